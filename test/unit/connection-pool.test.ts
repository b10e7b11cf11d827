/** The pool: who gets a connection and when, what is left of a borrower, and connections that fail. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Database } from '../../src/api/database.ts';
import { isShibuDbError, PoolExhaustedError, shibuDbError } from '../../src/api/errors.ts';
import {
  type ConnectionPool,
  type ConnectionPoolOptions,
  createConnectionPool,
} from '../../src/client/connection-pool.ts';
import type { DatabaseClient } from '../../src/client/database-client.ts';
import { openClient } from '../../src/client/open-client.ts';
import { Session } from '../../src/engine/session.ts';
import { type EngineShare, SharedEngines } from '../../src/engine/shared-engines.ts';
import { DirectTransport } from '../../src/local/direct-transport.ts';
import { MemoryBackend } from '../../src/storage/memory-backend.ts';
import { startNodeEngine } from '../support/node-database.ts';

const admin = { username: 'root', password: 'pw' };

/** A database that can be opened several times, and a pool of connections to it. */
function scene(
  t: TestContext,
  options: Partial<ConnectionPoolOptions> = {},
): {
  pool: ConnectionPool;
  open: (users?: boolean) => Promise<Database>;
  opened: Database[];
} {
  const engines = new SharedEngines();
  const backend = new MemoryBackend();
  const opened: Database[] = [];
  const share = (): Promise<EngineShare> =>
    engines.share('pool', async () => ({
      engine: await startNodeEngine('pool', { backend }),
      release: async () => {},
    }));
  // Memory forgets when the last has closed it.
  const kept = share();
  t.after(async () => (await kept).close());
  const open = async (users = false): Promise<Database> => {
    const { engine, close } = await share();
    const session = new Session(engine, close);
    const db = await openClient(() => new DirectTransport(session), users ? { admin } : {});
    opened.push(db);
    return db;
  };
  return { pool: createConnectionPool({ open: () => open(), ...options }), open, opened };
}

test('connections are reused, and statistics count them', async (t) => {
  const { pool, opened } = scene(t, { minSize: 1, maxSize: 3 });
  const first = await pool.getConnection();
  const second = await pool.getConnection();
  assert.deepEqual(pool.getStats(), {
    poolSize: 2,
    activeConnections: 2,
    minSize: 1,
    maxSize: 3,
    waiting: 0,
  });
  await first.createSpace('kv', 'key-value');
  await second.put('k', 'v', { space: 'kv' });
  await first.close();
  await first.close();
  {
    await using third = await pool.getConnection();
    assert.equal(await third.get('k', { space: 'kv' }), 'v');
  }
  await second.close();
  assert.equal(await pool.use((db) => db.get('k', { space: 'kv' })), 'v');
  assert.equal(opened.length, 2, 'no third was needed');
  assert.deepEqual(pool.getStats().activeConnections, 0);
  await assert.rejects(first.get('k', { space: 'kv' }), { code: 'CLOSED' });
  await assert.rejects(
    pool.use(() => Promise.reject(new Error('of the work'))),
    /of the work/,
  );
  assert.equal(pool.getStats().activeConnections, 0, 'a failing borrower gives back too');
  await pool.close();
});

test('the next borrower finds nothing of the former one: space, user, scans, listeners, unfinished calls', async (t) => {
  const { pool, open } = scene(t, { minSize: 1, maxSize: 1, ...admin });
  const outside = await open(true);
  await outside.authenticate('root', 'pw');
  await outside.createSpace('kv', 'key-value', { durability: 'none' });
  await outside.createUser({ username: 'ann', password: 'pw', permissions: { kv: 'write' } });
  let heard = 0;
  const first = await pool.getConnection();
  await first.useSpace('kv');
  await first.authenticate('ann', 'pw');
  await first.put('a', '1');
  await first.put('b', '2');
  const scan = first.scan()[Symbol.asyncIterator]();
  first.addEventListener('checkpoint', () => heard++);
  let settled = false;
  const unfinished = first.put('c', '3').finally(() => {
    settled = true;
  });
  await first.close();
  assert.ok(settled, 'it came back when its calls had ended');
  await unfinished;

  const second = await pool.getConnection();
  await assert.rejects(second.get('a'), { code: 'NO_SPACE_SELECTED' });
  assert.equal((await second.listUsers()).length, 2, 'the pools own user is signed in again');
  await assert.rejects(scan.next(), { code: 'CLOSED' });
  const told = new Promise<void>((resolve) => second.addEventListener('checkpoint', () => resolve()));
  await second.checkpoint();
  await told;
  assert.equal(heard, 0);
  await second.close();
  await pool.close();
  await outside.close();
});

test('who came first gets the next free connection', async (t) => {
  const { pool } = scene(t, { minSize: 1, maxSize: 1 });
  const held = await pool.getConnection();
  const order: number[] = [];
  const waiting = Array.from({ length: 5 }, (_, i) => pool.use(async () => order.push(i)));
  assert.equal(pool.getStats().waiting, 5);
  await held.close();
  await Promise.all(waiting);
  assert.deepEqual(order, [0, 1, 2, 3, 4]);
  await pool.close();
});

test('a pool whose connections are all in use says so after acquireTimeoutMs, and goes on', async (t) => {
  const { pool } = scene(t, { minSize: 0, maxSize: 1, acquireTimeoutMs: 25 });
  const held = await pool.getConnection();
  await assert.rejects(pool.getConnection(), (error) => {
    assert.ok(error instanceof PoolExhaustedError && isShibuDbError(error));
    assert.equal(error.code, 'POOL_EXHAUSTED');
    assert.match(error.message, /within 25 ms: 1 of at most 1/);
    assert.deepEqual(error.details, { poolSize: 1, activeConnections: 1, maxSize: 1, waiting: 0 });
    return true;
  });
  await assert.rejects(pool.getConnection({ signal: AbortSignal.abort() }), { code: 'ABORTED' });
  const controller = new AbortController();
  const aborted = pool.getConnection({ signal: controller.signal, timeoutMs: 30_000 });
  controller.abort();
  await assert.rejects(aborted, { code: 'ABORTED' });
  assert.equal(pool.getStats().waiting, 0, 'who gave up does not wait any more');
  await held.close();
  await (await pool.getConnection()).close();
  await pool.close();
});

test('an opening that fails is told to who waits, and the next one tries again', async (t) => {
  let fail = true;
  const inner = scene(t);
  const pool = createConnectionPool({
    minSize: 0,
    open: () => (fail ? Promise.reject(shibuDbError('LOCKED', 'taken')) : inner.open()),
  });
  await assert.rejects(pool.getConnection(), { code: 'LOCKED' });
  fail = false;
  await pool.use((db) => db.listSpaces());
  await pool.close();
  await inner.pool.close();
});

test('a connection that broke is replaced: when it comes back, and by the health check', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { pool, opened } = scene(t, { minSize: 1, maxSize: 2, healthCheckIntervalMs: 1000 });
  const lease = await pool.getConnection();
  await opened[0]?.close();
  await assert.rejects(lease.listSpaces());
  await lease.close();
  await pool.use((db) => db.listSpaces());
  assert.equal(opened.length, 2);

  await opened[1]?.close();
  t.mock.timers.tick(1000);
  while (opened.length < 3) await new Promise(setImmediate);
  await pool.use((db) => db.listSpaces());
  assert.deepEqual([pool.getStats().poolSize, opened.length], [1, 3]);
  await pool.close();
});

test('one that broke while it lay idle is not lent out', async (t) => {
  const { pool, opened } = scene(t, { minSize: 1, maxSize: 1 });
  await pool.use((db) => db.listSpaces());
  await opened[0]?.close();
  await new Promise((resolve) => setTimeout(resolve, 600));
  await pool.use((db) => db.listSpaces());
  assert.equal(opened.length, 2);
  await pool.close();
});

test('connections beyond minSize that nobody used for an interval are closed', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { pool } = scene(t, { minSize: 1, maxSize: 4, healthCheckIntervalMs: 1 });
  const leases = await Promise.all(Array.from({ length: 4 }, () => pool.getConnection()));
  for (const lease of leases) await lease.close();
  assert.equal(pool.getStats().poolSize, 4);
  await new Promise((resolve) => setTimeout(resolve, 5));
  t.mock.timers.tick(1);
  while (pool.getStats().poolSize > 1) await new Promise(setImmediate);
  assert.equal(pool.getStats().poolSize, 1);
  await pool.close();
});

test('after a new password the pool signs in with what it was given, or says that it cannot', async (t) => {
  const { pool, open } = scene(t, { minSize: 1, maxSize: 1, ...admin });
  const outside = await open(true);
  await outside.authenticate('root', 'pw');
  await pool.use((db) => db.listSpaces());
  await outside.updateUserPassword('root', 'other');
  await assert.rejects(
    pool.use((db) => db.listSpaces()),
    { code: 'NOT_AUTHENTICATED' },
  );
  await assert.rejects(pool.getConnection(), { code: 'INVALID_CREDENTIALS' });
  await outside.updateUserPassword('root', 'pw');
  await pool.use((db) => db.listSpaces());
  await pool.close();
  await outside.close();
});

test('close ends everything: idle, lent, waited for, and being opened', async (t) => {
  const { pool, opened } = scene(t, { minSize: 1, maxSize: 1 });
  const lease = await pool.getConnection();
  await lease.createSpace('kv', 'key-value');
  const put = lease.put('k', 'v', { space: 'kv' });
  const waiting = pool.getConnection();
  const refused = assert.rejects(waiting, { code: 'CLOSED' });
  await Promise.all([pool.close(), pool.close(), put, refused]);
  await assert.rejects(lease.get('k', { space: 'kv' }), { code: 'CLOSED' });
  await assert.rejects(pool.getConnection(), { code: 'CLOSED' });
  for (const db of opened) await assert.rejects(db.listSpaces(), { code: 'CLOSED' });
  // One that is being opened when its pool closes does not stay behind.
  const second = scene(t, { minSize: 3, maxSize: 3 });
  await second.pool.close();
  assert.equal(second.opened.length, 3);
  for (const db of second.opened) await assert.rejects(db.listSpaces(), { code: 'CLOSED' });
});

test('bad options are refused with what was expected', async (t) => {
  const { open, pool } = scene(t);
  const good: ConnectionPoolOptions = { open: () => open() };
  for (const [options, message] of [
    [undefined, /options/],
    [{}, /open/],
    [{ ...good, url: 'ws://localhost' }, /"url"/],
    [{ ...good, username: 'root' }, /username and password/],
    [{ ...good, maxSize: 0 }, /maxSize/],
    [{ ...good, maxSize: 2, minSize: 3 }, /minSize/],
    [{ ...good, acquireTimeoutMs: -1 }, /acquireTimeoutMs/],
    [{ ...good, healthCheckIntervalMs: '5' }, /healthCheckIntervalMs/],
  ] as const)
    assert.throws(() => createConnectionPool(options as never), { code: 'INVALID_ARGUMENT', message });
  const stranger = createConnectionPool({ open: async () => ({}) as DatabaseClient, minSize: 0 });
  await assert.rejects(stranger.getConnection(), { code: 'INVALID_ARGUMENT', message: /Database/ });
  await stranger.close();
  await pool.close();
});
