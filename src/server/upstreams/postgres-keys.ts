/** The calls on key-value spaces in Postgres. What has expired is not there; a write over it, or a sweep, removes it. */

import type { ScanArguments } from '../../api/calls.ts';
import type { Entry, PutEntry, Value } from '../../api/database.ts';
import { shibuDbError } from '../../api/errors.ts';
import { integerIn, invalid, shown, wellFormedText } from '../../base/arguments.ts';
import { ValuePacker } from '../../base/pack-values.ts';
import { increment } from '../../space/conditional.ts';
import { checkKey, deadlineOf } from '../../space/key-value-space.ts';
import { toPublicId } from '../../space/vector-ids.ts';
import { entriesOf } from './entries.ts';
import { keyOfCursor } from './key-range.ts';
import type { Rows, Sql } from './postgres-upstream.ts';
import type { UpstreamCalls } from './upstream.ts';

interface Stored {
  readonly value: Buffer;
  readonly is_text: boolean;
}

const pageEntries = 256;
const valueBytesMax = 64 * 1024 * 1024;
const live = '(expires_at IS NULL OR expires_at > clock_timestamp())';
/** $n: milliseconds from now, or null. */
const deadline = (n: number): string => `clock_timestamp() + $${n}::float8 * interval '1 millisecond'`;

const keyBytes = (key: string): Buffer => Buffer.from(checkKey(key));
const msOf = (ttlMs: unknown): number | null => deadlineOf(ttlMs, 0) ?? null;

function fromRow({ value, is_text }: Stored): Value {
  return is_text ? value.toString() : Uint8Array.from(value);
}

function toRow(value: unknown): { bytes: Buffer; isText: boolean } {
  const isText = typeof value === 'string';
  if (!isText && !(value instanceof Uint8Array))
    throw invalid(`Got ${shown(value)} for value, expected a string or a Uint8Array`);
  const bytes = isText ? Buffer.from(wellFormedText(value, 'value')) : Buffer.from(value);
  if (bytes.length > valueBytesMax)
    throw invalid(`Got a value of ${bytes.length} bytes, expected at most ${valueBytesMax}`);
  return { bytes, isText };
}

export function postgresKeyCalls(sql: Sql): UpstreamCalls {
  const tableOf = async (space: string, call: string): Promise<string> =>
    (await sql.tableOf(space, 'key-value', call)).table;
  const one = async (table: string, key: string): Promise<Stored | undefined> =>
    (
      await sql.rows<Stored>(`SELECT value, is_text FROM ${table} WHERE key = $1 AND ${live}`, [
        keyBytes(key),
      ])
    )[0];

  return {
    get: async ({ key }, space) => {
      const found = await one(await tableOf(space, 'get'), key);
      return found === undefined ? undefined : fromRow(found);
    },
    exists: async ({ key }, space) => (await one(await tableOf(space, 'exists'), key)) !== undefined,
    put: async ({ key, value, ttlMs }, space) => {
      await putAll(sql, await tableOf(space, 'put'), [
        { key, value, ...(ttlMs === undefined ? {} : { ttlMs }) },
      ]);
      return undefined;
    },
    putMany: async ({ entries }, space) => {
      await putAll(sql, await tableOf(space, 'putMany'), entriesOf(entries));
      return undefined;
    },
    putEach: async (columns, space) => {
      await putAll(sql, await tableOf(space, 'put'), entriesOf(columns));
      return undefined;
    },
    delete: async ({ key }, space) => {
      const table = await tableOf(space, 'delete');
      const gone = await sql.rows<{ live: boolean }>(
        `DELETE FROM ${table} WHERE key = $1 RETURNING ${live} AS live`,
        [keyBytes(key)],
        true,
      );
      return gone[0]?.live === true;
    },
    deleteMany: async ({ keys }, space) => {
      const table = await tableOf(space, 'deleteMany');
      const gone = await sql.rows<{ live: boolean }>(
        `DELETE FROM ${table} WHERE key = ANY($1::bytea[]) RETURNING ${live} AS live`,
        [keys.map(keyBytes)],
        true,
      );
      return gone.filter((row) => row.live).length;
    },
    getMany: async ({ keys }, space) => getAll(sql, await tableOf(space, 'getMany'), keys),
    getEach: async ({ keys }, space) => getAll(sql, await tableOf(space, 'get'), keys),
    size: async (_, space) => {
      const table = await tableOf(space, 'size');
      const [found] = await sql.rows<{ count: string }>(
        `SELECT count(*) AS count FROM ${table} WHERE ${live}`,
        [],
      );
      return Number(found?.count ?? 0);
    },
    clear: async (_, space) => {
      await sql.rows(`TRUNCATE ${await tableOf(space, 'clear')}`, [], true);
      return undefined;
    },
    increment: async ({ key, by }, space) => {
      // Checks both.
      increment(key, by);
      const table = await tableOf(space, 'increment');
      return sql.transaction((rows) => add(rows, table, key, BigInt(by)), true);
    },
    putIf: async ({ key, value, expected, ttlMs }, space) => {
      const table = await tableOf(space, 'putIf');
      const { bytes, isText } = toRow(value);
      const at = keyBytes(key);
      if (expected === undefined) {
        const made = await sql.rows(
          `INSERT INTO ${table} AS t (key, value, is_text, expires_at) VALUES ($1, $2, $3, ${deadline(4)})
           ON CONFLICT (key) DO UPDATE SET value = $2, is_text = $3, expires_at = ${deadline(4)}
           WHERE NOT (t.expires_at IS NULL OR t.expires_at > clock_timestamp()) RETURNING 1`,
          [at, bytes, isText, msOf(ttlMs)],
          true,
        );
        return made.length > 0;
      }
      const found = toRow(expected);
      const changed = await sql.rows(
        `UPDATE ${table} SET value = $2, is_text = $3, expires_at = ${deadline(4)}
         WHERE key = $1 AND value = $5 AND is_text = $6 AND ${live} RETURNING 1`,
        [at, bytes, isText, msOf(ttlMs), found.bytes, found.isText],
        true,
      );
      return changed.length > 0;
    },
    expire: async ({ key, ttlMs }, space) => {
      const table = await tableOf(space, 'expire');
      const changed = await sql.rows(
        `UPDATE ${table} SET expires_at = ${deadline(2)} WHERE key = $1 AND ${live} RETURNING 1`,
        [keyBytes(key), msOf(ttlMs)],
        true,
      );
      return changed.length > 0;
    },
    ttl: async ({ key }, space) => {
      const table = await tableOf(space, 'ttl');
      const [found] = await sql.rows<{ ms: number | null }>(
        `SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 * 1000 AS ms FROM ${table} WHERE key = $1 AND ${live}`,
        [keyBytes(key)],
      );
      if (found === undefined) return undefined;
      return found.ms === null ? Number.POSITIVE_INFINITY : found.ms;
    },
  };
}

/** All or none, the last of a key that is there twice. */
async function putAll(sql: Sql, table: string, entries: readonly PutEntry[]): Promise<void> {
  const rows = new Map<string, { at: Buffer; bytes: Buffer; isText: boolean; ms: number | null }>();
  for (const { key, value, ttlMs } of entries)
    rows.set(key, { at: keyBytes(key), ...toRow(value), ms: msOf(ttlMs) });
  if (rows.size === 0) return;
  const all = [...rows.values()];
  await sql.rows(
    `INSERT INTO ${table} (key, value, is_text, expires_at)
     SELECT key, value, is_text, clock_timestamp() + ms * interval '1 millisecond'
     FROM unnest($1::bytea[], $2::bytea[], $3::boolean[], $4::float8[]) AS given (key, value, is_text, ms)
     ON CONFLICT (key) DO UPDATE SET value = excluded.value, is_text = excluded.is_text, expires_at = excluded.expires_at`,
    [
      all.map(({ at }) => at),
      all.map(({ bytes }) => bytes),
      all.map(({ isText }) => isText),
      all.map(({ ms }) => ms),
    ],
    true,
  );
}

async function getAll(
  sql: Sql,
  table: string,
  keys: readonly string[],
): Promise<ReturnType<ValuePacker['values']>> {
  const found = await sql.rows<Stored & { key: Buffer }>(
    `SELECT key, value, is_text FROM ${table} WHERE key = ANY($1::bytea[]) AND ${live}`,
    [keys.map(keyBytes)],
  );
  const byKey = new Map(found.map((row) => [row.key.toString(), fromRow(row)]));
  const packer = new ValuePacker();
  for (const key of keys) packer.add(byKey.get(key));
  return packer.values();
}

/** The row is made first and then locked, so that two first additions do not both begin at 0. */
async function add(rows: Rows, table: string, key: string, by: bigint): Promise<number | bigint> {
  const at = keyBytes(key);
  await rows(`DELETE FROM ${table} WHERE key = $1 AND NOT ${live}`, [at]);
  await rows(`INSERT INTO ${table} (key, value, is_text) VALUES ($1, '0', true) ON CONFLICT DO NOTHING`, [
    at,
  ]);
  const [found] = await rows<Stored>(`SELECT value, is_text FROM ${table} WHERE key = $1 FOR UPDATE`, [at]);
  const text = found?.is_text === true ? found.value.toString() : '';
  if (!/^(?:0|-?[1-9]\d{0,18})$/.test(text))
    throw shibuDbError('NOT_A_NUMBER', `Got no integer of 64 bits under ${shown(key)}`);
  const sum = BigInt(text) + by;
  if (BigInt.asIntN(64, sum) !== sum)
    throw shibuDbError(
      'OVERFLOW',
      `${text} + ${by} under ${shown(key)} does not fit 64 bits; nothing was changed`,
    );
  await rows(`UPDATE ${table} SET value = $2 WHERE key = $1`, [at, Buffer.from(String(sum))]);
  return toPublicId(sum);
}

export async function* scanKeys(
  sql: Sql,
  space: string,
  { prefix, start, end, limit, reverse, cursor }: ScanArguments,
): AsyncGenerator<Entry[], void> {
  const { table } = await sql.tableOf(space, 'key-value', 'scan');
  if (prefix !== undefined && (start !== undefined || end !== undefined))
    throw invalid('Got a prefix and a range, expected one of them');
  let left =
    limit === undefined ? Number.POSITIVE_INFINITY : integerIn(limit, 0, Number.MAX_SAFE_INTEGER, 'limit');
  let least: Buffer = Buffer.from(start ?? prefix ?? '');
  let most: Buffer | undefined =
    prefix === undefined
      ? end === undefined
        ? undefined
        : Buffer.from(end)
      : afterPrefix(Buffer.from(prefix));
  let isBehind = false;
  const goOn = (key: Buffer): void => {
    if (reverse) most = key;
    else {
      least = key;
      isBehind = true;
    }
  };
  if (cursor !== undefined) goOn(Buffer.from(keyOfCursor(cursor)));
  while (left > 0) {
    const count = Math.min(left, pageEntries);
    const found = await sql.rows<Stored & { key: Buffer }>(
      `SELECT key, value, is_text FROM ${table} WHERE key ${isBehind ? '>' : '>='} $1 AND ($2::bytea IS NULL OR key < $2) AND ${live}
       ORDER BY key ${reverse ? 'DESC' : 'ASC'} LIMIT $3`,
      [least, most ?? null, count],
    );
    const last = found.at(-1);
    if (last === undefined) return;
    left -= found.length;
    goOn(last.key);
    yield found.map((row) => ({ key: row.key.toString(), value: fromRow(row) }));
    if (found.length < count) return;
  }
}

/** The first bytes that come after all that begin with `prefix`; nothing: there are none. */
function afterPrefix(prefix: Buffer): Buffer | undefined {
  let end = prefix.length;
  while (end > 0 && prefix[end - 1] === 0xff) end--;
  if (end === 0) return undefined;
  const after = Buffer.from(prefix.subarray(0, end));
  after[end - 1] = (after[end - 1] ?? 0) + 1;
  return after;
}
