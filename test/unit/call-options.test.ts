/**
 * Every call of a `Database` × what ends it: a signal that has fired or fires later, a time that is none, a database that is
 * closed; and what is logged of it. A call that is not in the table does not compile.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { CallOptions, Database, LogRecord, SpaceCalls } from '../../src/api/database.ts';
import type { ClientOptions } from '../../src/client/open-client.ts';
import { MemoryBackend } from '../../src/storage/memory-backend.ts';
import { rejects } from '../support/check.ts';
import { openNodeDatabase } from '../support/node-database.ts';

type Spaceless = 'space' | 'close' | 'addEventListener' | 'removeEventListener' | typeof Symbol.asyncDispose;
type Call = (db: Database, options: CallOptions) => Promise<unknown>;

const kv = { space: 'kv' };
const vec = { space: 'vec' };
const row = Float32Array.of(0.1234567, 2);
// What no log may tell: each can be told from everything else in it.
const [key, value, other, username, password] = ['key', 'value', 'other', 'user', 'password'].map(
  (what) => `secret ${what}`,
) as [string, string, string, string, string];
const id = 470_011;

const calls: { readonly [Method in Exclude<keyof Database, Spaceless>]: Call } = {
  authenticate: (db, o) => db.authenticate(username, password, o),
  createUser: (db, o) => db.createUser({ username, password, role: 'admin' }, o),
  updateUserPassword: (db, o) => db.updateUserPassword(username, password, o),
  updateUserRole: (db, o) => db.updateUserRole(username, 'user', o),
  updateUserPermissions: (db, o) => db.updateUserPermissions(username, {}, o),
  deleteUser: (db, o) => db.deleteUser(username, o),
  getUser: (db, o) => db.getUser(username, o),
  listUsers: (db, o) => db.listUsers(o),
  createSpace: (db, o) => db.createSpace('new', 'key-value', o),
  deleteSpace: (db, o) => db.deleteSpace('kv', o),
  listSpaces: (db, o) => db.listSpaces(o),
  useSpace: (db, o) => db.useSpace('kv', o),
  describeSpace: (db, o) => db.describeSpace('kv', o),
  changeEncryption: (db, o) => db.changeEncryption({ password }, { password }, o),
  checkpoint: (db, o) => db.checkpoint(o),
  stats: (db, o) => db.stats(o),
  verify: (db, o) => db.verify(o),
  exportTo: (db, o) => db.exportTo(new WritableStream(), o),
  importFrom: (db, o) => db.importFrom(new Blob([other]).stream(), o),
  put: (db, o) => db.put(key, other, { ...kv, ...o }),
  get: (db, o) => db.get(key, { ...kv, ...o }),
  getStream: (db, o) => db.getStream(key, { ...kv, ...o }),
  putStream: (db, o) => db.putStream(key, new Blob([other]), { ...kv, ...o }),
  delete: (db, o) => db.delete(key, { ...kv, ...o }),
  exists: (db, o) => db.exists(key, { ...kv, ...o }),
  size: (db, o) => db.size({ ...kv, ...o }),
  clear: (db, o) => db.clear({ ...kv, ...o }),
  increment: (db, o) => db.increment('n', 1, { ...kv, ...o }),
  putIf: (db, o) => db.putIf(key, other, value, { ...kv, ...o }),
  expire: (db, o) => db.expire(key, 1, { ...kv, ...o }),
  ttl: (db, o) => db.ttl(key, { ...kv, ...o }),
  putMany: (db, o) => db.putMany([{ key, value: other }], { ...kv, ...o }),
  getMany: (db, o) => db.getMany([key], { ...kv, ...o }),
  deleteMany: (db, o) => db.deleteMany([key], { ...kv, ...o }),
  scan: (db, o) => Array.fromAsync(db.scan({ ...kv, ...o })),
  insertVector: (db, o) => db.insertVector(id + 1, row, { ...vec, ...o }),
  insertVectors: (db, o) => db.insertVectors([id + 1], row, { ...vec, ...o }),
  getVector: (db, o) => db.getVector(id, { ...vec, ...o }),
  deleteVector: (db, o) => db.deleteVector(id, { ...vec, ...o }),
  searchTopKBatch: (db, o) => db.searchTopKBatch(row, 1, { ...vec, ...o }),
  rangeSearchPages: (db, o) => Array.fromAsync(db.rangeSearchPages(row, 1, { ...vec, ...o })),
  deleteVectors: (db, o) => db.deleteVectors([id], { ...vec, ...o }),
  getMetadata: (db, o) => db.getMetadata(id, { ...vec, ...o }),
  updateMetadata: (db, o) => db.updateMetadata(id, { note: value }, { ...vec, ...o }),
  countVectors: (db, o) => db.countVectors({ ...vec, ...o }),
  scanVectors: (db, o) => Array.fromAsync(db.scanVectors({ ...vec, ...o })),
  searchTopK: (db, o) => db.searchTopK(row, 1, { ...vec, ...o }),
  rangeSearch: (db, o) => db.rangeSearch(row, 1, { ...vec, ...o }),
  reindex: (db, o) => db.reindex({ ...vec, indexType: 'HNSW8', ...o }),
  waitForIndex: (db, o) => db.waitForIndex({ ...vec, ...o }),
};

async function opened(backend = new MemoryBackend(), options: ClientOptions = {}): Promise<Database> {
  const db = await openNodeDatabase('options', { backend, ...options });
  await db.createSpace('kv', 'key-value');
  await db.createSpace('vec', 'vector', { dimension: 2, metadataFields: [{ name: 'note', type: 'string' }] });
  await db.put(key, value, kv);
  await db.insertVector(id, row, vec);
  return db;
}

async function assertUnchanged(db: Database): Promise<void> {
  assert.deepEqual(
    (await db.listSpaces()).map(({ name }) => name),
    ['kv', 'vec'],
  );
  assert.deepEqual(await Array.fromAsync(db.scan(kv)), [{ key, value }]);
  assert.equal(await db.ttl(key, kv), Number.POSITIVE_INFINITY);
  assert.deepEqual(await Array.fromAsync(db.scanVectors(vec)), [{ id, vector: row }]);
  assert.deepEqual(await db.listUsers(), []);
  await rejects(db.get(key), 'NO_SPACE_SELECTED');
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
  await rejects(handle.put(key, value), 'CLOSED');
  await rejects(Array.fromAsync(handle.scan()), 'CLOSED');
  // Nothing comes any more, so nothing is refused.
  db.addEventListener('checkpoint', () => assert.fail('closed'));
});

/** A storage that, once it is told to, does nothing until it is let go on. */
class StalledBackend extends MemoryBackend {
  readonly goOn = Promise.withResolvers<void>();
  isStalled = false;

  override async append(...args: Parameters<MemoryBackend['append']>): Promise<void> {
    if (this.isStalled) await this.goOn.promise;
    return super.append(...args);
  }

  override async writeCatalog(...args: Parameters<MemoryBackend['writeCatalog']>): Promise<void> {
    if (this.isStalled) await this.goOn.promise;
    return super.writeCatalog(...args);
  }
}

/** They wait for the storage whatever is there. `insertVectors` says how far it came, which takes the storage's answer. */
const writes = [
  'createUser',
  'createSpace',
  'deleteSpace',
  'put',
  'putStream',
  'delete',
  'clear',
  'increment',
  'putIf',
  'expire',
  'putMany',
  'deleteMany',
  'insertVector',
  'deleteVector',
  'deleteVectors',
  'updateMetadata',
] as const satisfies (keyof typeof calls)[];

test('a signal that fires while a write waits for the storage ends it at once', async () => {
  for (const method of writes) {
    const backend = new StalledBackend();
    await using db = await opened(backend);
    backend.isStalled = true;
    const controller = new AbortController();
    const outcome = calls[method](db, { signal: controller.signal }).then(
      () => 'answered',
      (error) => error.code as string,
    );
    for (let turn = 0; turn < 5; turn++) await setImmediate();
    controller.abort();
    const told = await outcome;
    // First of all: nothing can be closed over a storage that does nothing.
    backend.goOn.resolve();
    assert.equal(told, 'ABORTED', method);
    // A call that made the first user leaves everybody else outside.
    if (method !== 'createUser') assert.equal((await db.stats()).name, 'options', method);
  }
});

test('the log of every call, answered or refused, tells nothing that was stored, asked for or secret', async () => {
  const records: LogRecord[] = [];
  const db = await opened(undefined, { log: { level: 'debug', write: (record) => records.push(record) } });
  // The last ones change what the others would find.
  const { deleteSpace, createUser, authenticate, ...rest } = calls;
  for (const call of [...Object.values(rest), authenticate, createUser, authenticate, deleteSpace]) {
    // One of these is a space of the other kind, which is refused.
    for (const options of [{}, vec, kv]) await call(db, options).catch(() => {});
  }
  await db.close();
  const text = JSON.stringify(records.map((record) => ({ ...record, timeMs: 0, durationMs: 0 })));
  assert.doesNotMatch(text, /secret|4700|0\.1234/);
  const told = new Set(records.map(({ method, code }) => `${method} ${code ?? 'answered'}`));
  for (const line of [
    'put answered',
    'put WRONG_ENGINE',
    'authenticate NO_USERS',
    'searchTopK answered',
    'createUser answered',
    'authenticate answered',
  ])
    assert.ok(told.has(line), `${line} is not in ${[...told].join(', ')}`);
});
