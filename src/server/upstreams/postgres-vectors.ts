/**
 * The calls on vector spaces in Postgres. Distances are the contract's: pgvector's `<->` is squared, its `<#>` is negated. An
 * index answers approximately, and scans on (`hnsw.iterative_scan`) until k results are there; range searches are exact.
 */

import type { ArgumentsOf, CallContext, HitArguments, VectorScanArguments } from '../../api/calls.ts';
import type {
  Metadata,
  SearchHit,
  SpaceInfo,
  VectorData,
  VectorEntry,
  VectorId,
} from '../../api/database.ts';
import { integerIn, invalid, shown } from '../../base/arguments.ts';
import { ByteWriter } from '../../space/metadata/byte-writer.ts';
import { writeRecord } from '../../space/metadata/record.ts';
import { checkId, checkInts, checkStrings, toPublicId } from '../../space/vector-ids.ts';
import { checkPacked, checkVector } from '../../space/vector-input.ts';
import { kMax } from '../../space/vector-space.ts';
import type { Rows, Sql, Table } from './postgres-upstream.ts';
import { whereSql } from './postgres-where.ts';
import { type UpstreamCalls, unsupported } from './upstream.ts';

const pageVectors = 256;
const chunkVectors = 1000;
const indexedDimensionMax = 2000;
/** pgvector's own bound. */
const efSearchMax = 1000;
const probesMax = 32_768;

interface Operator {
  readonly sql: string;
  readonly operators: string;
  readonly toContract: (distance: number) => number;
  /** A radius of the contract as pgvector's distance. */
  readonly fromContract: (radius: number) => number;
}

const same = (x: number): number => x;
const operators: { readonly [Metric in NonNullable<SpaceInfo['metric']>]?: Operator } = {
  L2: {
    sql: '<->',
    operators: 'vector_l2_ops',
    toContract: (x) => x * x,
    fromContract: (x) => (x < 0 ? -1 : Math.sqrt(x)),
  },
  InnerProduct: { sql: '<#>', operators: 'vector_ip_ops', toContract: (x) => -x, fromContract: (x) => -x },
  Cosine: { sql: '<=>', operators: 'vector_cosine_ops', toContract: same, fromContract: same },
  L1: { sql: '<+>', operators: 'vector_l1_ops', toContract: same, fromContract: same },
};

export function operatorOf({ metric = 'L2' }: SpaceInfo): Operator {
  const operator = operators[metric];
  if (operator !== undefined) return operator;
  throw unsupported(
    'postgres',
    'createSpace',
    `metric ${metric}; it has ${Object.keys(operators).join(', ')}`,
  );
}

/** What makes the index. Nothing: there is none. */
export function accessMethodOf(info: SpaceInfo, efConstruction: number): string | undefined {
  const { dimension = 0 } = info;
  const indexType: string = info.indexType ?? 'Flat';
  if (indexType === 'Flat') return undefined;
  const { operators: family } = operatorOf(info);
  if (dimension > indexedDimensionMax)
    throw unsupported(
      'postgres',
      'createSpace',
      `an index over ${dimension} dimensions, at most ${indexedDimensionMax}`,
    );
  const M = /^HNSW(\d+)(,Flat)?$/.exec(indexType)?.[1];
  if (M !== undefined) {
    if (Number(M) > 100) throw unsupported('postgres', 'createSpace', `HNSW with M ${M}, at most 100`);
    const ef = Math.min(1000, Math.max(efConstruction, Number(M) * 2));
    return `USING hnsw (embedding ${family}) WITH (m = ${Number(M)}, ef_construction = ${ef})`;
  }
  const lists = /^IVF(\d+),Flat$/.exec(indexType)?.[1];
  if (lists !== undefined && info.metric !== 'L1')
    return `USING ivfflat (embedding ${family}) WITH (lists = ${Number(lists)})`;
  throw unsupported('postgres', 'createSpace', `index type ${indexType}; it has Flat, HNSW and IVF,Flat`);
}

interface Row {
  readonly id: string;
  readonly distance?: number;
  readonly embedding?: string;
  readonly metadata?: Metadata | null;
}

const kindOf = ({
  dimension = 0,
  metric = 'L2',
}: SpaceInfo): { dimension: number; metric: typeof metric } => ({ dimension, metric });
const idOf = ({ ids }: SpaceInfo, { id }: Row): VectorId => (ids === 'string' ? id : toPublicId(BigInt(id)));
const textOf = (vector: ArrayLike<number>): string => `[${Array.from(vector).join(',')}]`;
const vectorOf = (text: string): Float32Array => Float32Array.from(JSON.parse(text) as number[]);

function idText(id: unknown, { ids = 'int' }: SpaceInfo): string {
  return noZero(String(checkId(id, ids)));
}

function noZero(id: string): string {
  if (id.includes('\0')) throw unsupported('postgres', 'insertVector', 'an id with a zero character');
  return id;
}

/** Checked as the engine does, and as JSON. Nothing: no metadata. */
function metadataText(
  metadata: Metadata | null | undefined,
  { metadataFields = [] }: SpaceInfo,
  isPatch = false,
): string | null {
  if (metadata === undefined || metadata === null) return null;
  writeRecord(new ByteWriter(), metadata, metadataFields, 'metadata', isPatch);
  const kept = Object.entries(metadata).filter(([, value]) => value !== undefined && value !== null);
  return kept.length === 0 && !isPatch ? null : JSON.stringify(Object.fromEntries(kept), exactInteger);
}

/** JSON as Postgres gives it back has doubles. */
function exactInteger(_: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  if (Number.isSafeInteger(Number(value))) return Number(value);
  throw unsupported('postgres', 'insertVector', `the integer ${value} in metadata, beyond 2^53`);
}

/** AND and the condition, if there is one. */
function andWhere(where: unknown, { metadataFields = [] }: SpaceInfo, values: unknown[]): string {
  return where === undefined ? '' : `AND ${whereSql(where, metadataFields, values)}`;
}

export function postgresVectorCalls(sql: Sql): UpstreamCalls {
  const tableOf = (space: string, call: string): Promise<Table> => sql.tableOf(space, 'vector', call);
  return {
    insertVector: async ({ id, vector, metadata }, space) => {
      const { info, table } = await tableOf(space, 'insertVector');
      const text = textOf(checkVector(vector, kindOf(info)));
      await sql.rows(
        `INSERT INTO ${table} (id, embedding, metadata) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET embedding = excluded.embedding, metadata = excluded.metadata`,
        [idText(id, info), text, metadataText(metadata, info)],
        true,
      );
      return undefined;
    },
    insertVectors: async (args, space, context) => {
      await insertAll(sql, await tableOf(space, 'insertVectors'), args, context);
      return undefined;
    },
    getVector: async ({ id }, space) => {
      const { info, table } = await tableOf(space, 'getVector');
      const [found] = await sql.rows<Row>(`SELECT embedding::text FROM ${table} WHERE id = $1`, [
        idText(id, info),
      ]);
      return found?.embedding === undefined ? undefined : vectorOf(found.embedding);
    },
    deleteVector: async ({ id }, space) => {
      const { info, table } = await tableOf(space, 'deleteVector');
      return (
        (await sql.rows(`DELETE FROM ${table} WHERE id = $1 RETURNING 1`, [idText(id, info)], true)).length >
        0
      );
    },
    deleteVectors: async ({ which }, space) => {
      const { info, table } = await tableOf(space, 'deleteVectors');
      const values: unknown[] = [];
      if (typeof which === 'object' && which !== null && 'where' in which) {
        const condition = whereSql(which.where, info.metadataFields ?? [], values);
        return (await sql.rows(`DELETE FROM ${table} WHERE ${condition} RETURNING 1`, values, true)).length;
      }
      const ids =
        info.ids === 'string' ? checkStrings(which).map(noZero) : Array.from(checkInts(which), String);
      const type = info.ids === 'string' ? 'text' : 'bigint';
      return (await sql.rows(`DELETE FROM ${table} WHERE id = ANY($1::${type}[]) RETURNING 1`, [ids], true))
        .length;
    },
    getMetadata: async ({ id }, space) => {
      const { info, table } = await tableOf(space, 'getMetadata');
      const [found] = await sql.rows<Row>(`SELECT metadata FROM ${table} WHERE id = $1`, [idText(id, info)]);
      return found === undefined ? undefined : (found.metadata ?? {});
    },
    updateMetadata: async ({ id, metadata, replace }, space) => {
      const { info, table } = await tableOf(space, 'updateMetadata');
      const text = metadataText(metadata, info, true) ?? '{}';
      const cleared = Object.entries(metadata)
        .filter(([, value]) => value === null)
        .map(([field]) => field);
      const kept = replace ? "'{}'::jsonb" : "coalesce(metadata, '{}'::jsonb)";
      const changed = await sql.rows(
        `UPDATE ${table} SET metadata = nullif((${kept} || $2::jsonb) - $3::text[], '{}'::jsonb) WHERE id = $1 RETURNING 1`,
        [idText(id, info), text, cleared],
        true,
      );
      return changed.length > 0;
    },
    countVectors: async ({ where }, space) => {
      const { info, table } = await tableOf(space, 'countVectors');
      const values: unknown[] = [];
      const condition = andWhere(where, info, values);
      const [found] = await sql.rows<{ count: string }>(
        `SELECT count(*) AS count FROM ${table} WHERE true ${condition}`,
        values,
      );
      return Number(found?.count ?? 0);
    },
    searchTopK: async (args, space) => searchTopK(sql, await tableOf(space, 'searchTopK'), args),
    rangeSearch: async (args, space) => rangeSearch(sql, await tableOf(space, 'rangeSearch'), args),
    // An index is complete with every write.
    waitForIndex: async (_, space) => {
      await tableOf(space, 'waitForIndex');
      return undefined;
    },
  };
}

async function insertAll(
  sql: Sql,
  { info, table }: Table,
  { ids, vectors, metadata }: ArgumentsOf<'insertVectors'>,
  { onProgress, signal, allow }: CallContext,
): Promise<void> {
  const checked = info.ids === 'string' ? checkStrings(ids).map(noZero) : Array.from(checkInts(ids), String);
  const packed = checkPacked(vectors, checked.length, kindOf(info)) as Float32Array;
  const { dimension = 1 } = info;
  if (metadata !== undefined && (!Array.isArray(metadata) || metadata.length !== checked.length))
    throw invalid(
      `Got ${shown(metadata)} for metadata, expected an array with one for each of ${checked.length} ids`,
    );
  // All of it is checked before any of it is written.
  const texts = metadata?.map((each: Metadata | null | undefined) => metadataText(each, info));
  for (let from = 0; from < checked.length; from += chunkVectors) {
    signal?.throwIfAborted();
    allow?.();
    const until = Math.min(checked.length, from + chunkVectors);
    const rows = new Map<string, { vector: string; metadata: string | null }>();
    for (let row = from; row < until; row++)
      rows.set(checked[row] ?? '', {
        vector: textOf(packed.subarray(row * dimension, (row + 1) * dimension)),
        metadata: texts?.[row] ?? null,
      });
    await sql.rows(
      `INSERT INTO ${table} (id, embedding, metadata)
       SELECT id, embedding::vector, metadata::jsonb FROM unnest($1::${info.ids === 'string' ? 'text' : 'bigint'}[], $2::text[], $3::text[]) AS given (id, embedding, metadata)
       ON CONFLICT (id) DO UPDATE SET embedding = excluded.embedding, metadata = excluded.metadata`,
      [
        [...rows.keys()],
        [...rows.values()].map(({ vector }) => vector),
        [...rows.values()].map((row) => row.metadata),
      ],
      true,
    );
    onProgress?.({ done: until, total: checked.length });
  }
}

async function searchTopK(
  sql: Sql,
  { info, table }: Table,
  { query, k, efSearch, ...wanted }: ArgumentsOf<'searchTopK'>,
): Promise<SearchHit<VectorData>[]> {
  const vector = textOf(checkVector(query, kindOf(info), 'query'));
  integerIn(k, 1, kMax, 'k');
  const ef = Math.min(
    efSearchMax,
    efSearch === undefined ? Math.max(64, k) : integerIn(efSearch, 1, kMax, 'efSearch'),
  );
  const { sql: operator } = operatorOf(info);
  const values: unknown[] = [vector, k];
  const condition = andWhere(wanted.where, info, values);
  const rows = await sql.transaction(async (run) => {
    await setSearch(run, info.indexType ?? 'Flat', ef);
    return run<Row>(
      `SELECT id::text, embedding ${operator} $1 AS distance ${columnsOf(wanted)}
       FROM ${table} WHERE true ${condition} ORDER BY embedding ${operator} $1 LIMIT $2`,
      values,
    );
  }, false);
  return hitsOf(info, rows);
}

async function setSearch(run: Rows, indexType: string, ef: number): Promise<void> {
  if (indexType.startsWith('HNSW')) {
    await run(`SET LOCAL hnsw.ef_search = ${ef}`);
    // Else no more than ef results come back.
    await run('SET LOCAL hnsw.iterative_scan = strict_order');
  } else if (indexType.startsWith('IVF')) {
    await run(`SET LOCAL ivfflat.probes = ${Math.min(probesMax, Math.max(1, Math.ceil(ef / 16)))}`);
    await run('SET LOCAL ivfflat.iterative_scan = relaxed_order');
  }
}

async function rangeSearch(
  sql: Sql,
  { info, table }: Table,
  { query, radius, limit, ...wanted }: ArgumentsOf<'rangeSearch'>,
): Promise<SearchHit<VectorData>[]> {
  const vector = textOf(checkVector(query, kindOf(info), 'query'));
  if (typeof radius !== 'number' || Number.isNaN(radius))
    throw invalid(`Got ${shown(radius)} for radius, expected a number`);
  const most = integerIn(limit ?? 10_000, 1, kMax, 'limit');
  const { sql: operator, fromContract } = operatorOf(info);
  const values: unknown[] = [vector, fromContract(radius), most];
  const condition = andWhere(wanted.where, info, values);
  const rows = await sql.transaction(async (run) => {
    // An index would find only some of them.
    await run('SET LOCAL enable_indexscan = off');
    return run<Row>(
      `SELECT id::text, embedding ${operator} $1 AS distance ${columnsOf(wanted)}
       FROM ${table} WHERE embedding ${operator} $1 < $2 ${condition} ORDER BY distance LIMIT $3`,
      values,
    );
  }, false);
  return hitsOf(info, rows);
}

function columnsOf({ includeVectors, includeMetadata }: HitArguments): string {
  return `${includeVectors ? ', embedding::text' : ''}${includeMetadata ? ', metadata' : ''}`;
}

/** Best first, ties by id. */
function hitsOf(info: SpaceInfo, rows: readonly Row[]): SearchHit<VectorData>[] {
  const { toContract } = operatorOf(info);
  const sign = info.metric === 'InnerProduct' ? -1 : 1;
  return rows
    .map((row) => ({
      id: idOf(info, row),
      distance: toContract(row.distance ?? 0),
      ...(row.embedding === undefined ? {} : { vector: vectorOf(row.embedding) }),
      ...(row.metadata === undefined ? {} : { metadata: row.metadata ?? {} }),
    }))
    .sort((a, b) => sign * (a.distance - b.distance) || (a.id < b.id ? -1 : 1));
}

export async function* scanPostgresVectors(
  sql: Sql,
  space: string,
  { limit, cursor, where }: VectorScanArguments,
): AsyncGenerator<VectorEntry<VectorData>[], void> {
  const { info, table } = await sql.tableOf(space, 'vector', 'scanVectors');
  let left =
    limit === undefined ? Number.POSITIVE_INFINITY : integerIn(limit, 0, Number.MAX_SAFE_INTEGER, 'limit');
  if (cursor !== undefined && !cursor.startsWith(info.ids === 'string' ? 's' : 'i'))
    throw invalid('Got a cursor that no scan of this space gave');
  let behind = cursor?.slice(1);
  while (left > 0) {
    const count = Math.min(left, pageVectors);
    const values: unknown[] = [behind ?? null, count];
    const condition = andWhere(where, info, values);
    const rows = await sql.rows<Row>(
      `SELECT id::text AS id, embedding::text AS embedding, metadata FROM ${table} AS t
       WHERE ($1::text IS NULL OR t.id > $1::${info.ids === 'string' ? 'text COLLATE "C"' : 'bigint'}) ${condition} ORDER BY t.id LIMIT $2`,
      values,
    );
    if (rows.length === 0) return;
    left -= rows.length;
    behind = rows.at(-1)?.id;
    yield rows.map((row) => ({
      id: idOf(info, row),
      vector: vectorOf(row.embedding ?? '[]'),
      ...(row.metadata === undefined || row.metadata === null ? {} : { metadata: row.metadata }),
    }));
    if (rows.length < count) return;
  }
}
