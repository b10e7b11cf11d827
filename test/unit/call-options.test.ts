/**
 * Every call of a `Database` × what ends it: a signal that has fired, a time that is none, a database that is closed. A call
 * that is not in the table does not compile. What was ended so must have changed nothing.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallOptions, Database, SpaceCalls } from '../../src/api/database.ts';
import { MemoryBackend } from '../../src/storage/memory-backend.ts';
import { rejects } from '../support/check.ts';
import { openNodeDatabase } from '../support/node-database.ts';

type Spaceless = 'space' | 'close' | 'addEventListener' | 'removeEventListener' | typeof Symbol.asyncDispose;
type Call = (db: Database, options: CallOptions) => Promise<unknown>;

const kv = { space: 'kv' };
const vec = { space: 'vec' };
const row = Float32Array.of(1, 2);
const calls: { readonly [Method in Exclude<keyof Database, Spaceless>]: Call } = {
  authenticate: (db, o) => db.authenticate('root', 'pw', o),
  createUser: (db, o) => db.createUser({ username: 'new', password: 'pw', role: 'admin' }, o),
  updateUserPassword: (db, o) => db.updateUserPassword('root', 'other', o),
  updateUserRole: (db, o) => db.updateUserRole('root', 'user', o),
  updateUserPermissions: (db, o) => db.updateUserPermissions('root', {}, o),
  deleteUser: (db, o) => db.deleteUser('root', o),
  getUser: (db, o) => db.getUser('root', o),
  listUsers: (db, o) => db.listUsers(o),
  createSpace: (db, o) => db.createSpace('new', 'key-value', o),
  deleteSpace: (db, o) => db.deleteSpace('kv', o),
  listSpaces: (db, o) => db.listSpaces(o),
  useSpace: (db, o) => db.useSpace('kv', o),
  describeSpace: (db, o) => db.describeSpace('kv', o),
  changeEncryption: (db, o) => db.changeEncryption({ password: 'a' }, { password: 'b' }, o),
  checkpoint: (db, o) => db.checkpoint(o),
  stats: (db, o) => db.stats(o),
  verify: (db, o) => db.verify(o),
  exportTo: (db, o) => db.exportTo(new WritableStream(), o),
  importFrom: (db, o) => db.importFrom(new ReadableStream(), o),
  put: (db, o) => db.put('k', 'w', { ...kv, ...o }),
  get: (db, o) => db.get('k', { ...kv, ...o }),
  getStream: (db, o) => db.getStream('k', { ...kv, ...o }),
  putStream: (db, o) => db.putStream('k', new Blob(['w']), { ...kv, ...o }),
  delete: (db, o) => db.delete('k', { ...kv, ...o }),
  exists: (db, o) => db.exists('k', { ...kv, ...o }),
  size: (db, o) => db.size({ ...kv, ...o }),
  clear: (db, o) => db.clear({ ...kv, ...o }),
  increment: (db, o) => db.increment('n', 1, { ...kv, ...o }),
  putIf: (db, o) => db.putIf('k', 'w', 'v', { ...kv, ...o }),
  expire: (db, o) => db.expire('k', 1, { ...kv, ...o }),
  ttl: (db, o) => db.ttl('k', { ...kv, ...o }),
  putMany: (db, o) => db.putMany([{ key: 'k', value: 'w' }], { ...kv, ...o }),
  getMany: (db, o) => db.getMany(['k'], { ...kv, ...o }),
  deleteMany: (db, o) => db.deleteMany(['k'], { ...kv, ...o }),
  scan: (db, o) => Array.fromAsync(db.scan({ ...kv, ...o })),
  insertVector: (db, o) => db.insertVector(2, row, { ...vec, ...o }),
  insertVectors: (db, o) => db.insertVectors([2], row, { ...vec, ...o }),
  getVector: (db, o) => db.getVector(1, { ...vec, ...o }),
  deleteVector: (db, o) => db.deleteVector(1, { ...vec, ...o }),
  searchTopKBatch: (db, o) => db.searchTopKBatch(row, 1, { ...vec, ...o }),
  rangeSearchPages: (db, o) => Array.fromAsync(db.rangeSearchPages(row, 1, { ...vec, ...o })),
  deleteVectors: (db, o) => db.deleteVectors([1], { ...vec, ...o }),
  getMetadata: (db, o) => db.getMetadata(1, { ...vec, ...o }),
  updateMetadata: (db, o) => db.updateMetadata(1, {}, { ...vec, ...o }),
  countVectors: (db, o) => db.countVectors({ ...vec, ...o }),
  scanVectors: (db, o) => Array.fromAsync(db.scanVectors({ ...vec, ...o })),
  searchTopK: (db, o) => db.searchTopK(row, 1, { ...vec, ...o }),
  rangeSearch: (db, o) => db.rangeSearch(row, 1, { ...vec, ...o }),
  reindex: (db, o) => db.reindex({ ...vec, indexType: 'HNSW8', ...o }),
  waitForIndex: (db, o) => db.waitForIndex({ ...vec, ...o }),
};

async function opened(): Promise<Database> {
  const db = await openNodeDatabase('options', { backend: new MemoryBackend() });
  await db.createSpace('kv', 'key-value');
  await db.createSpace('vec', 'vector', { dimension: 2 });
  await db.put('k', 'v', kv);
  await db.insertVector(1, row, vec);
  return db;
}

async function assertUnchanged(db: Database): Promise<void> {
  assert.deepEqual(
    (await db.listSpaces()).map(({ name }) => name),
    ['kv', 'vec'],
  );
  assert.deepEqual(await Array.fromAsync(db.scan(kv)), [{ key: 'k', value: 'v' }]);
  assert.equal(await db.ttl('k', kv), Number.POSITIVE_INFINITY);
  assert.deepEqual(await Array.fromAsync(db.scanVectors(vec)), [{ id: 1, vector: row }]);
  assert.deepEqual(await db.listUsers(), []);
  await rejects(db.get('k'), 'NO_SPACE_SELECTED');
}

test('a signal that has fired ends every call before it does anything', async () => {
  await using db = await opened();
  const signal = AbortSignal.abort(new Error('changed my mind'));
  for (const [method, call] of Object.entries(calls)) {
    const error = await rejects(call(db, { signal }), 'ABORTED');
    assert.equal(error.cause, signal.reason, method);
  }
  await assertUnchanged(db);
});

test('a senseless time is refused by every call', async () => {
  await using db = await opened();
  for (const call of Object.values(calls))
    await rejects(call(db, { timeoutMs: 0 }), 'INVALID_ARGUMENT', /timeoutMs/);
  await assertUnchanged(db);
});

test('a closed database refuses every call, whichever handle it comes through, and may be closed again', async () => {
  const db = await opened();
  const handle: SpaceCalls = db.space('kv');
  await Promise.all([db.close(), db.close()]);
  await db.close();
  await db[Symbol.asyncDispose]();
  for (const call of Object.values(calls)) await rejects(call(db, {}), 'CLOSED', /after close/);
  await rejects(handle.put('k', 'v'), 'CLOSED');
  await rejects(Array.fromAsync(handle.scan()), 'CLOSED');
  // Nothing comes any more, so nothing is refused.
  db.addEventListener('checkpoint', () => assert.fail('closed'));
});
