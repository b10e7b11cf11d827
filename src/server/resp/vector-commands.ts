/**
 * Vector sets as in Redis 8: the key of a set is the name of a Cosine space with text ids. The first VADD makes the space, if
 * whoever sends it may. A similarity is 1 - distance / 2, so that 1 is the same direction and 0 the opposite one.
 */

import type { SearchHit, SpaceDescription, VectorData } from '../../api/database.ts';
import { isShibuDbError } from '../../api/errors.ts';
import {
  integerWord,
  keyIn,
  numberWord,
  type RespCommand,
  type RespContext,
  syntaxError,
  textIn,
  upper,
} from './resp-command.ts';
import { Double, type Reply, RespError, RespMap, Status } from './resp-writer.ts';

type Words = readonly Buffer[];

const countMax = 10_000;

/** What there is under the name of a set. Nothing: no such space. */
async function describe(context: RespContext, name: string): Promise<SpaceDescription | undefined> {
  try {
    const space = await context.client.call('describeSpace', { name });
    if (space.engine !== 'vector' || space.metric !== 'Cosine' || space.ids !== 'string')
      throw new RespError(
        'WRONGTYPE Vector sets are Cosine spaces with string ids, and this space is another kind',
      );
    return space;
  } catch (error) {
    if (isShibuDbError(error) && error.code === 'SPACE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** A vector as `FP32 bytes` or `VALUES n x y …`, from word `at`; and the word behind it. */
function vectorIn(words: Words, at: number): { vector: Float32Array; next: number } {
  const kind = upper(words[at]);
  if (kind === 'FP32') {
    const bytes = words[at + 1];
    if (bytes === undefined || bytes.length === 0 || bytes.length % 4 !== 0)
      throw new RespError('ERR invalid vector specification');
    return { vector: new Float32Array(Uint8Array.from(bytes).buffer), next: at + 2 };
  }
  if (kind === 'VALUES') {
    const count = Number(integerWord(words[at + 1]));
    if (count < 1 || at + 2 + count > words.length) throw new RespError('ERR invalid vector specification');
    return {
      vector: Float32Array.from(words.slice(at + 2, at + 2 + count), numberWord),
      next: at + 2 + count,
    };
  }
  throw syntaxError();
}

function dimensionError(expected: number | undefined, found: number): RespError {
  return new RespError(`ERR Vector dimension mismatch - got ${found} but set has ${expected}`);
}

async function vadd(context: RespContext, words: Words): Promise<Reply> {
  const name = keyIn(words[1]);
  if (upper(words[2]) === 'REDUCE') throw new RespError('ERR REDUCE is not supported by this server');
  const { vector, next } = vectorIn(words, 2);
  const id = keyIn(words[next]);
  let M = 16;
  let efConstruction: number | undefined;
  for (let i = next + 1; i < words.length; i++) {
    const option = upper(words[i]);
    if (option === 'M') M = Number(integerWord(words[++i]));
    else if (option === 'EF') efConstruction = Number(integerWord(words[++i]));
    else if (option === 'Q8' || option === 'BIN' || option === 'SETATTR')
      throw new RespError(
        `ERR ${option} is not supported by this server: make the space as you want it first`,
      );
    // Here nothing is quantised unless the space says so, and adding takes turns by itself.
    else if (option !== 'CAS' && option !== 'NOQUANT') throw syntaxError();
  }
  const space = await describe(context, name);
  if (space === undefined) {
    const options = {
      dimension: vector.length,
      indexType: `HNSW${M}` as const,
      metric: 'Cosine',
      ids: 'string',
    } as const;
    await context.client.call('createSpace', {
      name,
      engine: 'vector',
      options: { ...options, ...(efConstruction === undefined ? {} : { efConstruction }) },
    });
  } else if (space.dimension !== vector.length) throw dimensionError(space.dimension, vector.length);
  const isNew = (await context.client.call('getVector', { space: name, id })) === undefined;
  await context.client.call('insertVector', { space: name, id, vector });
  return isNew;
}

interface SimilarOptions {
  count: number;
  ef?: number;
  withScores: boolean;
  /** Greatest distance, of Cosine. */
  epsilon?: number;
}

function similarOptionsIn(words: Words, from: number): SimilarOptions {
  const options: SimilarOptions = { count: 10, withScores: false };
  for (let i = from; i < words.length; i++) {
    const option = upper(words[i]);
    if (option === 'WITHSCORES') options.withScores = true;
    else if (option === 'COUNT') options.count = Number(integerWord(words[++i]));
    else if (option === 'EF') options.ef = Number(integerWord(words[++i]));
    else if (option === 'EPSILON') options.epsilon = numberWord(words[++i]) * 2;
    else if (option === 'FILTER' || option === 'FILTER-EF' || option === 'WITHATTRIBS')
      throw new RespError(`ERR ${option} is not supported by this server`);
    else if (option === 'TRUTH') options.ef = countMax;
    else if (option !== 'NOTHREAD') throw syntaxError();
  }
  if (!(options.count >= 1 && options.count <= countMax))
    throw new RespError(`ERR COUNT must be from 1 to ${countMax}`);
  return options;
}

async function vsim(context: RespContext, words: Words): Promise<Reply> {
  const name = keyIn(words[1]);
  const space = await describe(context, name);
  const byElement = upper(words[2]) === 'ELE';
  const { vector: given, next } = byElement ? { vector: undefined, next: 4 } : vectorIn(words, 2);
  const { count, ef, withScores, epsilon } = similarOptionsIn(words, next);
  if (space === undefined) return withScores ? new RespMap([]) : [];
  const query = given ?? (await context.client.call('getVector', { space: name, id: keyIn(words[3]) }));
  if (query === undefined) throw new RespError('ERR element not found in set');
  if (query.length !== space.dimension) throw dimensionError(space.dimension, query.length);
  const efSearch = ef === undefined ? {} : { efSearch: Math.min(countMax, Math.max(ef, count)) };
  const hits = (await context.client.call('searchTopK', {
    space: name,
    query,
    k: count,
    ...efSearch,
  })) as SearchHit<VectorData>[];
  const near = hits.filter(({ distance }) => epsilon === undefined || distance <= epsilon);
  if (!withScores) return near.map(({ id }) => String(id));
  return new RespMap(near.map(({ id, distance }) => [String(id), new Double(1 - distance / 2)]));
}

async function vrem(context: RespContext, words: Words): Promise<Reply> {
  const name = keyIn(words[1]);
  if ((await describe(context, name)) === undefined) return false;
  return context.client.call('deleteVector', { space: name, id: keyIn(words[2]) });
}

async function vemb(context: RespContext, words: Words): Promise<Reply> {
  const name = keyIn(words[1]);
  if (words.length > 4 || (words.length === 4 && upper(words[3]) !== 'RAW')) throw syntaxError();
  if ((await describe(context, name)) === undefined) return undefined;
  const vector = await context.client.call('getVector', { space: name, id: keyIn(words[2]) });
  if (vector === undefined) return undefined;
  if (words.length === 3) return Array.from(vector, (x) => new Double(x));
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  return [new Status('f32'), bytes, new Double(Math.hypot(...vector))];
}

async function vinfo(context: RespContext, words: Words): Promise<Reply> {
  const space = await describe(context, keyIn(words[1]));
  if (space === undefined) return undefined;
  const M = /^HNSW(\d+)/.exec(space.indexType ?? '')?.[1];
  return new RespMap([
    ['quant-type', 'f32'],
    ['vector-dim', space.dimension],
    ['size', space.count],
    ['hnsw-m', M === undefined ? 0 : Number(M)],
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
    async (context, words) => (await describe(context, keyIn(words[1])))?.count ?? 0,
  ),
  command('vdim', 2, 'readonly', async (context, words) => {
    const space = await describe(context, textIn(words[1]));
    if (space?.dimension === undefined) throw new RespError('ERR key does not exist');
    return space.dimension;
  }),
  command('vemb', -3, 'readonly', vemb),
  command('vismember', 3, 'readonly', async (context, words) => {
    const name = keyIn(words[1]);
    if ((await describe(context, name)) === undefined) return false;
    return (await context.client.call('getVector', { space: name, id: keyIn(words[2]) })) !== undefined;
  }),
  command('vinfo', 2, 'readonly', vinfo),
];
