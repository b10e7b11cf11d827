/**
 * Searches in Postgres. An index answers approximately, and scans on (`iterative_scan`) until k results are there; should it end
 * before, which it does when it has used up its memory, the table is read. Range searches are exact: they read the table.
 */

import type { ArgumentsOf, CallContext, HitArguments, PackedHits } from '../../api/calls.ts';
import type { SearchHit, SpaceInfo, VectorData, VectorId } from '../../api/database.ts';
import { integerIn, invalid, shown } from '../../base/arguments.ts';
import { compareBytes, encodeUtf8 } from '../../base/text.ts';
import { packHits } from '../../client/packed-hits.ts';
import { vectorItems } from '../../space/metrics.ts';
import { checkId } from '../../space/vector-ids.ts';
import { checkQueries, checkVector } from '../../space/vector-input.ts';
import { kMax } from '../../space/vector-space.ts';
import { operatorOf } from './postgres-index.ts';
import { andWhere, idOf, kindOf, type Row, textOf, vectorOf } from './postgres-rows.ts';
import type { Rows, Sql, Table } from './postgres-upstream.ts';

/** pgvector's own bounds. */
const efSearchMax = 1000;
const probesMax = 32_768;
const tuplesMax = 2_147_483_647;
/** Queries of one statement of a batch. */
const batchQueries = 32;

interface NearestRow extends Row {
  readonly query: number;
}

interface Effort {
  readonly efSearch?: number | undefined;
  readonly nprobe?: number | undefined;
}

export async function searchTopK(
  sql: Sql,
  table: Table,
  { query, k, efSearch, nprobe, ...wanted }: ArgumentsOf<'searchTopK'>,
): Promise<SearchHit<VectorData>[]> {
  const vector = textOf(checkVector(query, kindOf(table.info), 'query'));
  integerIn(k, 1, kMax, 'k');
  const [hits = []] = await nearest(sql, table, [vector], k, { efSearch, nprobe }, wanted);
  return hits;
}

export async function searchTopKBatch(
  sql: Sql,
  table: Table,
  { queries, k, efSearch, nprobe, ...wanted }: ArgumentsOf<'searchTopKBatch'>,
  { signal, onProgress, allow }: CallContext,
): Promise<PackedHits> {
  const { dimension, metric } = kindOf(table.info);
  const packed = checkQueries(queries, { dimension, metric });
  integerIn(k, 1, kMax, 'k');
  const items = vectorItems(dimension, metric);
  const total = packed.length / items;
  if (total * k > kMax)
    throw invalid(`Got ${total} queries for ${k} hits each, expected at most ${kMax} hits in all`);
  const found: SearchHit<VectorData>[][] = [];
  for (let from = 0; from < total; from += batchQueries) {
    signal?.throwIfAborted();
    allow?.();
    const until = Math.min(total, from + batchQueries);
    const texts = Array.from({ length: until - from }, (_, i) =>
      textOf(packed.subarray((from + i) * items, (from + i + 1) * items)),
    );
    found.push(...(await nearest(sql, table, texts, k, { efSearch, nprobe }, wanted)));
    onProgress?.({ done: until, total });
  }
  return packHits(found, wanted);
}

/** The k nearest of each of some queries, in one statement. */
async function nearest(
  sql: Sql,
  { info, table }: Table,
  queries: readonly string[],
  k: number,
  effort: Effort,
  wanted: HitArguments,
): Promise<SearchHit<VectorData>[][]> {
  const { sql: operator, distance } = operatorOf(info);
  const indexType = info.indexType ?? 'Flat';
  const values: unknown[] = [queries, k];
  const condition = andWhere(wanted.where, info, values);
  // Ties at the end of the list go by id too, where no index has to give the order.
  const order = indexType === 'Flat' ? 'd, t.id' : `t.embedding ${operator} given.embedding`;
  const statement = `SELECT given.number::int AS query, id, ${distance} AS distance ${columnsOf(wanted, 'hit')}
    FROM (SELECT text::vector AS embedding, number FROM unnest($1::text[]) WITH ORDINALITY AS q (text, number)) AS given,
    LATERAL (SELECT t.id::text AS id, t.embedding ${operator} given.embedding AS d ${columnsOf(wanted, 't')}
      FROM ${table} AS t WHERE true ${condition} ORDER BY ${order} LIMIT $2) AS hit`;
  const rows = await sql.transaction(async (run) => {
    await setSearch(run, indexType, k, effort);
    const found = await run<NearestRow>(statement, values);
    if (indexType === 'Flat' || found.length === queries.length * k) return found;
    // Fewer than k for some: are there no more, or did the index give up?
    const counted = await run<{ count: string }>(
      `SELECT count(*) AS count FROM (SELECT 1 FROM ${table} AS t WHERE $1::text[] IS NOT NULL ${condition} LIMIT $2) AS matching`,
      values,
    );
    if (found.length >= queries.length * Number(counted[0]?.count ?? 0)) return found;
    await run('SET LOCAL enable_indexscan = off');
    return run<NearestRow>(statement, values);
  }, false);
  const hits = queries.map((): NearestRow[] => []);
  for (const row of rows) hits[row.query - 1]?.push(row);
  return hits.map((some) => sorted(info, hitsOf(info, some)));
}

async function setSearch(run: Rows, indexType: string, k: number, effort: Effort): Promise<void> {
  const { efSearch, nprobe } = effort;
  const ef = efSearch === undefined ? Math.max(64, k) : integerIn(efSearch, 1, kMax, 'efSearch');
  const lists = nprobe === undefined ? Math.max(1, Math.ceil(ef / 16)) : integerIn(nprobe, 1, kMax, 'nprobe');
  if (indexType.startsWith('HNSW')) {
    await run(`SET LOCAL hnsw.ef_search = ${Math.min(efSearchMax, ef)}`);
    // Else no more than ef results come back, and of them those that a condition leaves.
    await run('SET LOCAL hnsw.iterative_scan = strict_order');
    await run(`SET LOCAL hnsw.max_scan_tuples = ${tuplesMax}`);
  } else if (indexType.startsWith('IVF')) {
    await run(`SET LOCAL ivfflat.probes = ${Math.min(probesMax, lists)}`);
    await run('SET LOCAL ivfflat.iterative_scan = relaxed_order');
  }
}

export async function rangeSearch(
  sql: Sql,
  { info, table }: Table,
  { query, radius, limit, after, ...wanted }: ArgumentsOf<'rangeSearch'>,
): Promise<SearchHit<VectorData>[]> {
  const vector = textOf(checkVector(query, kindOf(info), 'query'));
  if (typeof radius !== 'number' || Number.isNaN(radius))
    throw invalid(`Got ${shown(radius)} for radius, expected a number`);
  const most = integerIn(limit ?? 10_000, 1, kMax, 'limit');
  const { sql: operator, distance } = operatorOf(info);
  // Larger is nearer.
  const isProduct = info.metric === 'InnerProduct';
  const values: unknown[] = [vector, radius, most];
  const condition = andWhere(wanted.where, info, values);
  const behind = after === undefined ? '' : behindSql(after, info, isProduct, values);
  const rows = await sql.transaction(async (run) => {
    // An index would find only some of them.
    await run('SET LOCAL enable_indexscan = off');
    return run<Row>(
      `SELECT id::text AS id, distance ${columnsOf(wanted, 'hit')} FROM (
         SELECT measured.*, ${distance} AS distance FROM (
           SELECT id ${columnsOf(wanted, 't')}, embedding ${operator} $1::vector AS d
           FROM ${table} AS t WHERE true ${condition}) AS measured) AS hit
       WHERE distance ${isProduct ? '>' : '<'} $2::float8 ${behind}
       ORDER BY distance ${isProduct ? 'DESC' : ''}, hit.id LIMIT $3`,
      values,
    );
  }, false);
  return hitsOf(info, rows);
}

/** What stands behind a hit of the page before. Distances come back from the server to the last bit, and so go there again. */
function behindSql(
  after: { id?: unknown; distance?: unknown },
  info: SpaceInfo,
  isProduct: boolean,
  values: unknown[],
): string {
  const { id, distance } = after;
  if (typeof distance !== 'number' || Number.isNaN(distance))
    throw invalid(`Got ${shown(distance)} for after.distance, expected a number`);
  const ids = info.ids ?? 'int';
  const at = `$${values.push(distance)}::float8`;
  const idAt = `$${values.push(String(checkId(id, ids)))}::${ids === 'string' ? 'text' : 'bigint'}`;
  return `AND (distance ${isProduct ? '<' : '>'} ${at} OR (distance = ${at} AND hit.id > ${idAt}))`;
}

/** @param from the alias of the table, or of what gives its vectors as text already */
function columnsOf({ includeVectors, includeMetadata }: HitArguments, from: 't' | 'hit'): string {
  const vector = from === 't' ? ', t.embedding::text AS embedding' : `, ${from}.embedding`;
  return `${includeVectors ? vector : ''}${includeMetadata ? `, ${from}.metadata` : ''}`;
}

function hitsOf(info: SpaceInfo, rows: readonly Row[]): SearchHit<VectorData>[] {
  return rows.map((row) => ({
    id: idOf(info, row),
    distance: row.distance ?? 0,
    ...(row.embedding === undefined ? {} : { vector: vectorOf(row.embedding) }),
    ...(row.metadata === undefined ? {} : { metadata: row.metadata ?? {} }),
  }));
}

/** Best first, ties by id: an index orders neither ties nor, where it goes on for more, the rest. */
function sorted(info: SpaceInfo, hits: SearchHit<VectorData>[]): SearchHit<VectorData>[] {
  const sign = info.metric === 'InnerProduct' ? -1 : 1;
  return hits.sort((a, b) => sign * (a.distance - b.distance) || compareIds(a.id, b.id));
}

function compareIds(a: VectorId, b: VectorId): number {
  if (typeof a === 'string' && typeof b === 'string') return compareBytes(encodeUtf8(a), encodeUtf8(b));
  return a < b ? -1 : 1;
}
