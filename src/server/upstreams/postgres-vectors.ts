/** The calls on vector spaces in Postgres, but for the searches. */

import type { ArgumentsOf, CallContext, VectorScanArguments } from '../../api/calls.ts';
import type { Metadata, SpaceInfo, VectorData, VectorEntry } from '../../api/database.ts';
import { integerIn, invalid, shown } from '../../base/arguments.ts';
import { ByteWriter } from '../../space/metadata/byte-writer.ts';
import { writeRecord } from '../../space/metadata/record.ts';
import { checkId, checkInts, checkStrings } from '../../space/vector-ids.ts';
import { checkPacked, checkVector } from '../../space/vector-input.ts';
import { andWhere, idOf, kindOf, type Row, textOf, vectorOf } from './postgres-rows.ts';
import { rangeSearch, searchTopK, searchTopKBatch } from './postgres-search.ts';
import type { Sql, Table } from './postgres-upstream.ts';
import { whereSql } from './postgres-where.ts';
import { type UpstreamCalls, unsupported } from './upstream.ts';

const pageVectors = 256;
const chunkVectors = 1000;

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
    searchTopKBatch: async (args, space, context) =>
      searchTopKBatch(sql, await tableOf(space, 'searchTopKBatch'), args, context),
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
