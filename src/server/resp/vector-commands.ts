/**
 * Vector sets as in Redis 8: the key of a set is the name of a Cosine space with text ids. The first VADD makes the space, if
 * whoever sends it may. A similarity is 1 - distance / 2, so that 1 is the same direction and 0 the opposite one. Attributes are
 * the vectors' metadata.
 */

import type { IndexType, Metadata, SpaceDescription } from '../../api/database.ts';
import {
  integerWord,
  keyIn,
  type RespCommand,
  type RespContext,
  syntaxError,
  textIn,
  upper,
} from './resp-command.ts';
import { Double, type Reply, RespError, RespMap, Status } from './resp-writer.ts';
import { attributesIn, attributesText } from './vector-attributes.ts';
import { describeSet, dimensionError, vectorIn } from './vector-set.ts';
import { vsim } from './vector-similarity.ts';

type Words = readonly Buffer[];

/** What a set is told to be by VADD, and what VINFO calls it. */
const quantizations = [
  { option: 'NOQUANT', suffix: '', told: 'f32' },
  { option: 'Q8', suffix: ',SQ8', told: 'int8' },
  { option: 'BIN', suffix: ',BQ', told: 'bin' },
] as const;
type Quantization = (typeof quantizations)[number];

interface AddOptions {
  M?: number;
  efConstruction?: number;
  quantization?: Quantization;
  attributes?: Metadata;
}

function addOptionsIn(words: Words, from: number): AddOptions {
  const options: AddOptions = {};
  for (let i = from; i < words.length; i++) {
    const option = upper(words[i]);
    const quantization = quantizations.find((each) => each.option === option);
    if (quantization !== undefined) {
      if (options.quantization !== undefined) throw syntaxError();
      options.quantization = quantization;
    } else if (option === 'M') options.M = Number(integerWord(words[++i]));
    else if (option === 'EF') options.efConstruction = Number(integerWord(words[++i]));
    else if (option === 'SETATTR') options.attributes = attributesIn(textIn(words[++i]));
    // Adding takes turns by itself.
    else if (option !== 'CAS') throw syntaxError();
  }
  return options;
}

const graphOf = ({ indexType }: SpaceDescription): { M: number; quantization: Quantization } | undefined => {
  const [, M, suffix] = /^HNSW(\d+)(?:,Flat)?(,SQ8|,BQ)?$/.exec(indexType ?? '') ?? [];
  const quantization = quantizations.find((each) => each.suffix === (suffix ?? ''));
  return M === undefined || quantization === undefined ? undefined : { M: Number(M), quantization };
};

/** What a set was made as stays: VADD may say it again, and not otherwise. */
function checkSame(space: SpaceDescription, { M, quantization }: AddOptions): void {
  const graph = graphOf(space);
  if (quantization !== undefined && graph?.quantization !== quantization)
    throw new RespError('ERR asked quantization mismatch with existing vector set');
  if (M !== undefined && graph?.M !== M)
    throw new RespError('ERR asked M value mismatch with existing vector set');
}

async function vadd(context: RespContext, words: Words): Promise<Reply> {
  const { client } = context;
  const name = keyIn(words[1]);
  if (upper(words[2]) === 'REDUCE') throw new RespError('ERR REDUCE is not supported by this server');
  const { vector, next } = vectorIn(words, 2);
  const id = keyIn(words[next]);
  const options = addOptionsIn(words, next + 1);
  const space = await describeSet(context, name);
  if (space === undefined) await createSet(context, name, vector.length, options);
  else {
    checkSame(space, options);
    if (space.dimension !== vector.length) throw dimensionError(space.dimension, vector.length);
  }
  const former = await client.call('getMetadata', { space: name, id });
  // An element that is there keeps its attributes unless it is given others.
  const attributes = options.attributes ?? former;
  const metadata = attributes === undefined ? {} : { metadata: attributes };
  await client.call('insertVector', { space: name, id, vector, ...metadata });
  return former === undefined;
}

async function createSet(
  { client }: RespContext,
  name: string,
  dimension: number,
  { M = 16, efConstruction, quantization = quantizations[0] }: AddOptions,
): Promise<void> {
  const indexType = `HNSW${M}${quantization.suffix}` as IndexType;
  const options = { dimension, indexType, metric: 'Cosine', ids: 'string' } as const;
  await client.call('createSpace', {
    name,
    engine: 'vector',
    options: { ...options, ...(efConstruction === undefined ? {} : { efConstruction }) },
  });
}

async function vsetattr(context: RespContext, words: Words): Promise<Reply> {
  const name = keyIn(words[1]);
  const metadata = attributesIn(textIn(words[3]));
  if ((await describeSet(context, name)) === undefined) return false;
  return context.client.call('updateMetadata', { space: name, id: keyIn(words[2]), metadata, replace: true });
}

async function vgetattr(context: RespContext, words: Words): Promise<Reply> {
  const name = keyIn(words[1]);
  if ((await describeSet(context, name)) === undefined) return undefined;
  return attributesText(await context.client.call('getMetadata', { space: name, id: keyIn(words[2]) }));
}

/** What the server has nothing of: told in Redis' way. */
function refused(name: string, arity: number, why: string): RespCommand {
  return command(name, arity, 'readonly', () => {
    throw new RespError(`ERR ${name.toUpperCase()} is not supported by this server: ${why}`);
  });
}

async function vrem(context: RespContext, words: Words): Promise<Reply> {
  const name = keyIn(words[1]);
  if ((await describeSet(context, name)) === undefined) return false;
  return context.client.call('deleteVector', { space: name, id: keyIn(words[2]) });
}

async function vemb(context: RespContext, words: Words): Promise<Reply> {
  const name = keyIn(words[1]);
  if (words.length > 4 || (words.length === 4 && upper(words[3]) !== 'RAW')) throw syntaxError();
  if ((await describeSet(context, name)) === undefined) return undefined;
  const vector = await context.client.call('getVector', { space: name, id: keyIn(words[2]) });
  if (vector === undefined) return undefined;
  if (words.length === 3) return Array.from(vector, (x) => new Double(x));
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  return [new Status('f32'), bytes, new Double(Math.hypot(...vector))];
}

async function vinfo(context: RespContext, words: Words): Promise<Reply> {
  const space = await describeSet(context, keyIn(words[1]));
  if (space === undefined) return undefined;
  const graph = graphOf(space);
  return new RespMap([
    ['quant-type', graph?.quantization.told ?? 'f32'],
    ['vector-dim', space.dimension],
    ['size', space.count],
    ['hnsw-m', graph?.M ?? 0],
    ['attributes-fields', (space.metadataFields ?? []).length],
    ['index-type', space.indexType],
    ['index-pending', space.index?.pending ?? 0],
  ]);
}

function command(
  name: string,
  arity: number,
  flag: 'write' | 'readonly',
  run: RespCommand['run'],
): RespCommand {
  return { name, arity, flags: [flag], keys: [1, 1, 1], overlaps: false, run };
}

export const vectorCommands: readonly RespCommand[] = [
  command('vadd', -5, 'write', vadd),
  command('vsim', -4, 'readonly', vsim),
  command('vrem', 3, 'write', vrem),
  command(
    'vcard',
    2,
    'readonly',
    async (context, words) => (await describeSet(context, keyIn(words[1])))?.count ?? 0,
  ),
  command('vdim', 2, 'readonly', async (context, words) => {
    const space = await describeSet(context, textIn(words[1]));
    if (space?.dimension === undefined) throw new RespError('ERR key does not exist');
    return space.dimension;
  }),
  command('vemb', -3, 'readonly', vemb),
  command('vismember', 3, 'readonly', async (context, words) => {
    const name = keyIn(words[1]);
    if ((await describeSet(context, name)) === undefined) return false;
    return (await context.client.call('getVector', { space: name, id: keyIn(words[2]) })) !== undefined;
  }),
  command('vinfo', 2, 'readonly', vinfo),
  command('vsetattr', 4, 'write', vsetattr),
  command('vgetattr', 3, 'readonly', vgetattr),
  refused('vlinks', -3, 'it does not tell the links of its graph'),
  refused('vrandmember', -2, 'it draws no elements at random'),
  refused('vrange', -4, 'scan the space in its own protocol'),
];
