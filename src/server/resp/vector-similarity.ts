/** VSIM: the nearest elements of a vector set, by a vector or by an element, among those that a FILTER lets pass. */

import type { SearchHit, SpaceDescription, VectorData } from '../../api/database.ts';
import { type Expression, holds, parseExpression } from './filter-expression.ts';
import { whereOf } from './filter-where.ts';
import {
  integerWord,
  keyIn,
  numberWord,
  type RespContext,
  syntaxError,
  textIn,
  upper,
} from './resp-command.ts';
import { Double, type Reply, RespError, RespMap } from './resp-writer.ts';
import { attributesText } from './vector-attributes.ts';
import { describeSet, dimensionError, vectorIn } from './vector-set.ts';

type Hit = SearchHit<VectorData>;

const countMax = 10_000;
/** Elements that are looked at for each that is asked for, where FILTER-EF does not say it: Redis' own default. */
const effortPerHit = 100;
/** Elements of one step, where a filter is evaluated on one after another. */
const pageSize = 1000;

interface Options {
  count: number;
  ef?: number;
  withScores: boolean;
  withAttributes: boolean;
  /** Greatest distance, of Cosine. */
  epsilon?: number;
  filter?: Expression;
  filterEffort?: number;
  isExact: boolean;
}

function optionsIn(words: readonly Buffer[], from: number): Options {
  const options: Options = { count: 10, withScores: false, withAttributes: false, isExact: false };
  for (let i = from; i < words.length; i++) {
    const option = upper(words[i]);
    if (option === 'WITHSCORES') options.withScores = true;
    else if (option === 'WITHATTRIBS') options.withAttributes = true;
    else if (option === 'COUNT') options.count = Number(integerWord(words[++i]));
    else if (option === 'EF') options.ef = Number(integerWord(words[++i]));
    else if (option === 'EPSILON') options.epsilon = numberWord(words[++i]) * 2;
    else if (option === 'FILTER') options.filter = parseExpression(textIn(words[++i]));
    else if (option === 'FILTER-EF') options.filterEffort = Number(integerWord(words[++i]));
    else if (option === 'TRUTH') options.isExact = true;
    else if (option !== 'NOTHREAD') throw syntaxError();
  }
  if (!(options.count >= 1 && options.count <= countMax))
    throw new RespError(`ERR COUNT must be from 1 to ${countMax}`);
  if (options.ef !== undefined && !(options.ef >= 1 && options.ef <= 1_000_000))
    throw new RespError('ERR invalid EF');
  if (options.filterEffort !== undefined && options.filterEffort < 0)
    throw new RespError('ERR invalid FILTER-EF');
  return options;
}

export async function vsim(context: RespContext, words: readonly Buffer[]): Promise<Reply> {
  const name = keyIn(words[1]);
  const byElement = upper(words[2]) === 'ELE';
  const { vector: given, next } = byElement ? { vector: undefined, next: 4 } : vectorIn(words, 2);
  const options = optionsIn(words, next);
  const space = await describeSet(context, name);
  const { withScores, withAttributes, epsilon } = options;
  if (space === undefined) return withScores || withAttributes ? new RespMap([]) : [];
  const query = given ?? (await context.client.call('getVector', { space: name, id: keyIn(words[3]) }));
  if (query === undefined) throw new RespError('ERR element not found in set');
  if (query.length !== space.dimension) throw dimensionError(space.dimension, query.length);
  const hits = await hitsOf(context, space, query, options);
  const near = hits.filter(({ distance }) => epsilon === undefined || distance <= epsilon);
  return replyOf(near, context.writer.version, withScores, withAttributes);
}

function replyOf(hits: readonly Hit[], version: 2 | 3, withScores: boolean, withAttributes: boolean): Reply {
  if (!withScores && !withAttributes) return hits.map(({ id }) => String(id));
  const told = hits.map(({ distance, metadata }): Reply[] => [
    ...(withScores ? [new Double(1 - distance / 2)] : []),
    ...(withAttributes ? [attributesText(metadata)] : []),
  ]);
  // In version 2 all stand in one array, in version 3 what belongs to an element is its value.
  if (version === 2) return hits.flatMap(({ id }, i): Reply[] => [String(id), ...(told[i] ?? [])]);
  return new RespMap(hits.map(({ id }, i) => [String(id), told[i]?.length === 1 ? told[i]?.[0] : told[i]]));
}

async function hitsOf(
  context: RespContext,
  space: SpaceDescription,
  query: VectorData,
  { count, ef, filter, filterEffort, isExact, withAttributes }: Options,
): Promise<Hit[]> {
  const where = filter && whereOf(filter, space.metadataFields ?? []);
  const wanted = {
    space: space.name,
    query,
    includeMetadata: withAttributes,
    ...(where === undefined ? {} : { where }),
  };
  const { client } = context;
  if (filter !== undefined && where === undefined) {
    const effort = filterEffort ?? count * effortPerHit;
    return filtered(context, wanted, count, filter, effort === 0 ? Number.POSITIVE_INFINITY : effort);
  }
  if (isExact)
    return (await client.call('rangeSearch', {
      ...wanted,
      radius: Number.POSITIVE_INFINITY,
      limit: count,
    })) as Hit[];
  const efSearch = ef === undefined ? {} : { efSearch: Math.min(countMax, Math.max(ef, count)) };
  return (await client.call('searchTopK', { ...wanted, k: count, ...efSearch })) as Hit[];
}

/** The nearest `count` that pass, of the nearest `effort` there are: page after page, so that no more than a page is in memory. */
async function filtered(
  { client }: RespContext,
  wanted: { readonly space: string; readonly query: VectorData },
  count: number,
  filter: Expression,
  effort: number,
): Promise<Hit[]> {
  const found: Hit[] = [];
  let last: Hit | undefined;
  for (let seen = 0; seen < effort; ) {
    const limit = Math.min(pageSize, effort - seen);
    const page = (await client.call('rangeSearch', {
      ...wanted,
      radius: Number.POSITIVE_INFINITY,
      limit,
      includeMetadata: true,
      ...(last === undefined ? {} : { after: { id: last.id, distance: last.distance } }),
    })) as Hit[];
    for (const hit of page) {
      if (holds(filter, hit.metadata ?? {})) found.push(hit);
      if (found.length === count) return found;
    }
    if (page.length < limit) break;
    seen += page.length;
    last = page.at(-1);
  }
  return found;
}
