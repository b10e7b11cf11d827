/** A pool of connections over a real bridge: sessions of their own, tokens instead of hashes, a server that comes back. */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { PoolExhaustedError } from '../../src/api/errors.ts';
import { createConnectionPool } from '../../src/bridge.ts';
import { serve } from '../../src/server.ts';
import { rejects } from '../support/check.ts';

const admin = { username: 'root', password: 'a password of the pool' };

test('a pool over the bridge lends sessions, each as if it were new', async (t) => {
  const server = await serve('pooled', { storage: 'memory', admin });
  t.after(() => server.close());
  const pool = createConnectionPool({ url: server.url, ...admin, minSize: 1, maxSize: 3 });
  t.after(() => pool.close());
  await pool.use(async (db) => {
    await db.createSpace('kv', 'key-value');
    await db.createUser({ username: 'ann', password: 'of ann', permissions: { kv: 'read' } });
    await db.useSpace('kv');
    await db.authenticate('ann', 'of ann');
    await rejects(db.put('k', 'v'), 'PERMISSION_DENIED');
  });
  const [first, second, third] = await Promise.all([1, 2, 3].map(() => pool.getConnection()));
  assert.ok(first && second && third);
  await rejects(first.get('k'), 'NO_SPACE_SELECTED');
  await first.put('k', 'v', { space: 'kv' });
  assert.equal(await third.get('k', { space: 'kv' }), 'v');
  assert.deepEqual(pool.getStats(), {
    poolSize: 3,
    activeConnections: 3,
    minSize: 1,
    maxSize: 3,
    waiting: 0,
  });
  await assert.rejects(pool.getConnection({ timeoutMs: 50 }), (error) => error instanceof PoolExhaustedError);
  await first.close();
  await first.close();
  await rejects(first.get('k', { space: 'kv' }), 'CLOSED');
  await pool.use((db) => db.listUsers());
  await Promise.all([second.close(), third.close()]);
  assert.equal(pool.getStats().activeConnections, 0);
});

test('a server that is started anew: the next borrower finds the pool’s user, and no space', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'shibumi-pool-'));
  let server = await serve(folder, { admin });
  const { port } = new URL(server.url);
  const pool = createConnectionPool({ url: server.url, ...admin, minSize: 1, maxSize: 1, timeoutMs: 20_000 });
  t.after(async () => {
    await pool.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });
  await pool.use(async (db) => {
    await db.createSpace('kv', 'key-value');
    await db.createUser({ username: 'ann', password: 'of ann', permissions: { kv: 'read' } });
    await db.useSpace('kv');
    await db.authenticate('ann', 'of ann');
  });
  await server.close();
  server = await serve(folder, { port: Number(port) });
  await pool.use(async (db) => {
    // Neither the space nor the user of the borrower before, although the session had to be begun anew.
    await rejects(db.get('k'), 'NO_SPACE_SELECTED');
    assert.equal((await db.listUsers()).length, 2);
  });
});

test('wrong credentials and a server that is not there are told to whoever asks', async () => {
  const server = await serve('locked', { storage: 'memory', admin });
  const wrong = createConnectionPool({ url: server.url, ...admin, password: 'wrong', minSize: 0 });
  await rejects(wrong.getConnection(), 'INVALID_CREDENTIALS');
  await wrong.close();
  await server.close();
  const nobody = createConnectionPool({ url: server.url, ...admin, minSize: 0, timeoutMs: 2000 });
  await rejects(nobody.getConnection(), 'BRIDGE_UNAVAILABLE');
  await nobody.close();
  assert.throws(() => createConnectionPool({ url: 'http://localhost' }), { code: 'INVALID_ARGUMENT' });
});
