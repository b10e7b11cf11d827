/**
 * The limits of production that a local runtime does not enforce: what would cross one fails here by name, and the engine
 * keeps below them all. The whole conformance suite runs over the same checks (conformance.test.ts).
 */

import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { isShibuDbError } from '../../src/api/errors.ts';
import { DatabaseClient } from '../../src/client/database-client.ts';
import type { DurableStorage, SqlValue } from '../../src/edge/durable-storage.ts';
import { edgePasswordCost, edgeScrypt } from '../../src/edge/edge-scrypt.ts';
import {
  boundParametersMax,
  LimitedSql,
  rowBytesMax,
  statementBytesMax,
} from '../../src/edge/limited-sql.ts';
import { openEngine } from '../../src/edge/open-engine.ts';
import { SqliteBackend } from '../../src/edge/sqlite-backend.ts';
import { Session } from '../../src/engine/session.ts';
import { DirectTransport } from '../../src/local/direct-transport.ts';
import { nodeCore } from '../support/node-database.ts';
import { missingWorkerd, startWorkerd } from './workerd.ts';

const skip = missingWorkerd();

/** A Durable Object's storage as far as the backend uses it, over Node's own SQLite, telling of each statement. */
function sqliteStorage(told: (query: string, bindings: SqlValue[]) => void = () => {}): DurableStorage {
  const sqlite = new DatabaseSync(':memory:');
  return {
    sql: {
      databaseSize: 0,
      exec(query, ...bindings) {
        told(query, bindings);
        const rows = sqlite.prepare(query).all(...(bindings as Uint8Array[])) as never[];
        return { toArray: () => rows, [Symbol.iterator]: () => rows[Symbol.iterator]() };
      },
    },
    transactionSync(body) {
      sqlite.exec('BEGIN');
      try {
        const result = body();
        sqlite.exec('COMMIT');
        return result;
      } catch (error) {
        sqlite.exec('ROLLBACK');
        throw error;
      }
    },
    sync: async () => {},
    setAlarm: async () => {},
    getAlarm: async () => null,
    deleteAlarm: async () => {},
  };
}

test('a row of more than 2,000,000 bytes is refused before SQLite sees it', () => {
  const seen: string[] = [];
  const sql = new LimitedSql(sqliteStorage((query) => seen.push(query)).sql);
  sql.exec('CREATE TABLE t (a BLOB, b TEXT)');
  sql.exec('INSERT INTO t VALUES (?, ?)', new Uint8Array(rowBytesMax - 3), 'x');
  assert.throws(
    () => sql.exec('INSERT INTO t VALUES (?, ?)', new Uint8Array(rowBytesMax - 2), 'x'),
    /2000001 bytes of a row/,
  );
  assert.equal(seen.length, 2);
});

test('more than 100 bound values and statements of more than 100,000 bytes are refused', () => {
  const sql = new LimitedSql(sqliteStorage().sql);
  const values = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
  const query = (count: number): string =>
    `SELECT ${values(count)
      .map(() => '?')
      .join(', ')}`;
  sql.exec(query(boundParametersMax), ...values(boundParametersMax));
  assert.throws(
    () => sql.exec(query(boundParametersMax + 1), ...values(boundParametersMax + 1)),
    /101 values bound to a statement/,
  );
  assert.throws(() => sql.exec(`SELECT 1${' '.repeat(statementBytesMax)}`), /100008 bytes of a statement/);
});

test('the backend cuts what is longer than a row, and puts it together again', async () => {
  let longest = 0;
  let most = 0;
  const storage = sqliteStorage((_query, bindings) => {
    most = Math.max(most, bindings.length);
    longest = Math.max(longest, ...bindings.map((value) => (value instanceof Uint8Array ? value.length : 0)));
  });
  const backend = new SqliteBackend(storage, 'db');
  const long = Uint8Array.from({ length: 5_000_003 }, (_, i) => i % 251);
  await backend.append(
    [
      { space: 1, sequence: 1, bytes: long },
      { space: 1, sequence: 2, bytes: long.subarray(0, 10) },
    ],
    true,
  );
  await backend.publish(1, long);
  const [first, second] = await backend.readLog(1, 1);
  assert.deepEqual(first?.bytes, long);
  assert.equal(second?.bytes.length, 10);
  assert.deepEqual((await backend.readState()).manifests.get(1), long);
  assert.ok(longest > 1_900_000 && longest <= rowBytesMax, `the longest value had ${longest} bytes`);
  assert.ok(most <= boundParametersMax, `${most} values were bound`);
});

test('a stored password that costs more than an isolate may spend is refused, not computed', async () => {
  const salt = new Uint8Array(16);
  await edgeScrypt(new Uint8Array(8), salt, edgePasswordCost);
  for (const cost of [
    { N: 2 ** 15, r: 8, p: 1 },
    { N: 2 ** 13, r: 8, p: 40 },
  ])
    await assert.rejects(
      async () => edgeScrypt(new Uint8Array(8), salt, cost),
      (error: unknown) => isShibuDbError(error) && error.code === 'UNSUPPORTED' && /N=/.test(error.message),
    );
});

test('an alarm sweeps a slice of what has expired, and there is another one for the rest', async () => {
  const engine = await openEngine(
    sqliteStorage(),
    { wasm: nodeCore('simd128').module },
    { backgroundTimers: false },
  );
  const db = new DatabaseClient(new DirectTransport(new Session(engine, () => engine.close())));
  await db.createSpace('kv', 'key-value');
  const entries = Array.from({ length: 2500 }, (_, i) => ({ key: `${i}`, value: 'x', ttlMs: 1 }));
  await db.putMany(entries, { space: 'kv' });
  await new Promise((resolve) => setTimeout(resolve, 20));
  let swept = 0;
  db.addEventListener('expired', ({ detail }) => {
    swept += detail.count;
  });
  let alarms = 0;
  while (engine.tendAtMs() !== undefined && alarms < 20) {
    await engine.tend();
    alarms++;
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(swept <= 1000 * alarms, `${swept} were swept in ${alarms} alarms`);
  }
  assert.ok(alarms >= 3 && alarms < 20, `${alarms} alarms`);
  assert.equal(swept, 2500);
  await db.close();
});

test('a damaged catalog and damaged manifests are read from their copies', async () => {
  const storage = sqliteStorage();
  const options = { wasm: nodeCore('simd128').module };
  const first = await openEngine(storage, options);
  const db = new DatabaseClient(new DirectTransport(new Session(first, () => first.close())));
  await db.createSpace('kv', 'key-value');
  await db.put('key', 'value', { space: 'kv' });
  await db.checkpoint();
  await db.close();
  storage.sql.exec("UPDATE shibumi_state SET bytes = zeroblob(60) WHERE name NOT LIKE 'copy/%'");
  const second = await openEngine(storage, options);
  const again = new DatabaseClient(new DirectTransport(new Session(second, () => second.close())));
  assert.equal(await again.get('key', { space: 'kv' }), 'value');
  const { faults, spaces } = await again.verify();
  assert.deepEqual([faults.length, spaces[0]?.faults.length], [1, 1], 'what is damaged is told');
  await again.close();
});

test('objects of one class share the memory of an isolate: one that needs room gets that of idle ones, and no more than there is', {
  skip,
}, async (t) => {
  const memoryBytesMax = 24 * 1024 * 1024;
  const workerd = await startWorkerd({
    script: 'test/edge/memory-worker.ts',
    objects: { SPACES: 'Spaces' },
    bindings: { MEMORY_BYTES_MAX: String(memoryBytesMax) },
  });
  t.after(() => workerd.dispose());
  interface Told {
    readonly code?: string;
    readonly count: number;
    readonly memoryBytes: number;
    readonly found: unknown;
  }
  const ask = async (object: string, call: string): Promise<Told> =>
    (await (await workerd.dispatchFetch(`http://edge.test/${object}/${call}`)).json()) as never;
  // As much as fits in at all: then it is refused, and nothing that was acknowledged is lost.
  const first = await ask('first', 'fill');
  assert.equal(first.code, 'OUT_OF_MEMORY');
  assert.ok(
    first.memoryBytes <= memoryBytesMax && first.memoryBytes > memoryBytesMax / 2,
    `${first.memoryBytes} bytes`,
  );
  assert.ok(first.count > 1000, `only ${first.count} vectors fitted in`);
  // Nobody calls the first one any more: what it has is the second's.
  const second = await ask('second', 'fill');
  assert.equal(second.code, 'OUT_OF_MEMORY');
  assert.ok(second.count > first.count / 2, `${first.count} and then ${second.count} vectors`);
  // And back, and forth: each finds all that it was told was kept.
  for (const [object, { count }] of [
    ['first', first],
    ['second', second],
    ['first', first],
  ] as const) {
    const again = await ask(object, 'look');
    assert.deepEqual([again.code, again.count, again.found], [undefined, count, count - 1], object);
    assert.ok(again.memoryBytes <= memoryBytesMax);
  }
  // One that is in use keeps what it has, while a third one takes all it can get.
  assert.equal((await ask('second', 'hold')).code, undefined);
  assert.equal((await ask('third', 'fill')).code, 'OUT_OF_MEMORY');
  const scanned = await ask('second', 'finish');
  assert.deepEqual([scanned.code, scanned.found], [undefined, second.count]);
  assert.equal((await ask('first', 'look')).count, first.count);
});
