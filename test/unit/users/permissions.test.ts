/**
 * Every call × whoever may make it. The table below says once more, by itself, what each call needs: a call that is not in
 * it does not compile, and one whose right differs from the engine's fails.
 *
 * Method: one database with users of every kind; each makes each call on a session of its own. A refused call must fail with
 * the right code before it looks at anything; an allowed one must do what it does.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ArgumentsOf, Calls, Method } from '../../../src/api/calls.ts';
import { isShibuDbError } from '../../../src/api/errors.ts';
import { packValues } from '../../../src/base/pack-values.ts';
import { DatabaseEngine } from '../../../src/engine/database-engine.ts';
import { partOf } from '../../../src/engine/handlers.ts';
import { Session } from '../../../src/engine/session.ts';
import { defaultSettings } from '../../../src/engine/settings.ts';
import { oneCore } from '../../../src/kernel/module.ts';
import { MemoryBackend } from '../../../src/storage/memory-backend.ts';
import { nodeCore } from '../../support/node-database.ts';

type Need = 'anyone' | 'signed in' | 'admin' | 'read' | 'write';
type Plan = { readonly [M in keyof Calls]: readonly [Need, (space: Spaces) => ArgumentsOf<M>] };
/** The space the call works on: of either kind, in the name or in the arguments. */
interface Spaces {
  readonly kv: string;
  readonly vec: string;
}

const vector = new Float32Array([1, 2]);
const plan: Plan = {
  authenticate: ['anyone', () => ({ username: 'ann', password: 'pw' })],
  resumeSession: ['anyone', () => ({})],
  createFirstAdmin: ['anyone', () => ({ username: 'late', password: 'pw' })],
  close: ['anyone', () => ({})],
  nextEvents: ['anyone', () => ({ listener: 1 })],
  scanClose: ['anyone', () => ({ scan: 1 })],
  stats: ['signed in', () => ({})],
  createUser: ['admin', () => ({ user: { username: `new-${counter++}`, password: 'pw' } })],
  updateUserPassword: ['admin', () => ({ username: 'victim', password: 'pw' })],
  updateUserRole: ['admin', () => ({ username: 'victim', role: 'user' })],
  updateUserPermissions: ['admin', () => ({ username: 'victim', permissions: {} })],
  deleteUser: ['admin', () => ({ username: 'nobody' })],
  getUser: ['admin', () => ({ username: 'victim' })],
  listUsers: ['admin', () => ({})],
  createSpace: ['admin', () => ({ name: `new-${counter++}`, engine: 'key-value', options: {} })],
  deleteSpace: ['admin', () => ({ name: 'not there' })],
  listSpaces: ['admin', () => ({})],
  changeEncryption: ['admin', () => ({ current: { password: 'at rest' }, next: { password: 'at rest' } })],
  checkpoint: ['admin', () => ({})],
  verify: ['admin', () => ({ deep: false })],
  exportOpen: ['admin', () => ({ spaces: [] })],
  exportNext: ['admin', () => ({ transfer: 0 })],
  importOpen: ['admin', () => ({})],
  importNext: ['admin', () => ({ transfer: 0, bytes: new Uint8Array(0), last: false })],
  transferClose: ['anyone', () => ({ transfer: 0 })],
  getPart: ['read', ({ kv }) => ({ space: kv, key: 'k', from: 0 })],
  uploadOpen: ['write', ({ kv }) => ({ space: kv, key: 'up', isText: false })],
  uploadNext: ['signed in', () => ({ upload: 'none', bytes: new Uint8Array(1), last: true })],
  uploadClose: ['anyone', () => ({ upload: 'none' })],
  useSpace: ['read', ({ kv }) => ({ name: kv })],
  describeSpace: ['read', ({ vec }) => ({ name: vec })],
  get: ['read', ({ kv }) => ({ space: kv, key: 'k' })],
  exists: ['read', ({ kv }) => ({ space: kv, key: 'k' })],
  size: ['read', ({ kv }) => ({ space: kv })],
  ttl: ['read', ({ kv }) => ({ space: kv, key: 'k' })],
  getMany: ['read', ({ kv }) => ({ space: kv, keys: ['k'] })],
  getEach: ['read', ({ kv }) => ({ space: kv, keys: ['k'] })],
  scanOpen: ['read', ({ kv }) => ({ space: kv })],
  scanVectorsOpen: ['read', ({ vec }) => ({ space: vec })],
  scanNext: ['read', ({ kv }) => ({ scan: kv as unknown as number })],
  getVector: ['read', ({ vec }) => ({ space: vec, id: 1 })],
  getMetadata: ['read', ({ vec }) => ({ space: vec, id: 1 })],
  countVectors: ['read', ({ vec }) => ({ space: vec })],
  searchTopK: ['read', ({ vec }) => ({ space: vec, query: vector, k: 1 })],
  searchTopKBatch: ['read', ({ vec }) => ({ space: vec, queries: vector.slice(), k: 1 })],
  rangeSearch: ['read', ({ vec }) => ({ space: vec, query: vector, radius: 1 })],
  reindex: ['admin', ({ vec }) => ({ space: vec, indexType: 'HNSW8' })],
  waitForIndex: ['read', ({ vec }) => ({ space: vec })],
  put: ['write', ({ kv }) => ({ space: kv, key: 'k', value: 'v' })],
  delete: ['write', ({ kv }) => ({ space: kv, key: 'k' })],
  clear: ['write', ({ kv }) => ({ space: kv })],
  increment: ['write', ({ kv }) => ({ space: kv, key: 'n', by: 1 })],
  putIf: ['write', ({ kv }) => ({ space: kv, key: 'k', value: 'v', expected: undefined })],
  expire: ['write', ({ kv }) => ({ space: kv, key: 'k', ttlMs: 1e6 })],
  putMany: ['write', ({ kv }) => ({ space: kv, entries: [{ key: 'k', value: 'v' }] })],
  putEach: ['write', ({ kv }) => ({ space: kv, keys: ['k'], values: packValues(['v']) })],
  deleteMany: ['write', ({ kv }) => ({ space: kv, keys: ['k'] })],
  insertVector: ['write', ({ vec }) => ({ space: vec, id: 1, vector })],
  insertVectors: ['write', ({ vec }) => ({ space: vec, ids: [1], vectors: vector.slice() })],
  deleteVector: ['write', ({ vec }) => ({ space: vec, id: 1 })],
  deleteVectors: ['write', ({ vec }) => ({ space: vec, which: [1] })],
  updateMetadata: ['write', ({ vec }) => ({ space: vec, id: 1, metadata: { note: 'n' } })],
};
let counter = 0;

/** Who calls, and what the user may do in the spaces the calls work on. `undefined`: nobody signed in. */
const callers = {
  nobody: undefined,
  'user without permissions': 'none',
  'user with permissions elsewhere': 'elsewhere',
  'user who reads': 'read',
  'user who writes': 'write',
  admin: 'admin',
} as const;
type Caller = keyof typeof callers;

function mayCall(need: Need, caller: Caller): true | 'NOT_AUTHENTICATED' | 'PERMISSION_DENIED' {
  const has = callers[caller];
  if (need === 'anyone') return true;
  if (has === undefined) return 'NOT_AUTHENTICATED';
  if (need === 'signed in' || has === 'admin') return true;
  if (need === 'admin') return 'PERMISSION_DENIED';
  return has === 'write' || has === need ? true : 'PERMISSION_DENIED';
}

const spaces: Spaces = { kv: 'kv', vec: 'vec' };
let engine: DatabaseEngine;
const tokens = new Map<Caller, string>();

async function sessionOf(caller: Caller): Promise<Session> {
  const session = new Session(engine);
  const token = tokens.get(caller);
  if (token !== undefined) await session.call('resumeSession', { token }, {});
  return session;
}

before(async () => {
  engine = await DatabaseEngine.open({
    name: 'permissions',
    cores: oneCore(nodeCore()),
    backend: new MemoryBackend(),
    now: () => performance.now(),
    encryption: { password: 'at rest' },
    settings: { ...defaultSettings, passwordCost: { N: 16, r: 8, p: 1 } },
  });
  const root = new Session(engine);
  await root.call('createFirstAdmin', { username: 'root', password: 'pw' }, {});
  await root.call('authenticate', { username: 'root', password: 'pw' }, {});
  await root.call('createSpace', { name: 'kv', engine: 'key-value', options: {} }, {});
  await root.call('createSpace', { name: 'vec', engine: 'vector', options: { dimension: 2 } }, {});
  for (const username of ['ann', 'victim'])
    await root.call('createUser', { user: { username, password: 'pw' } }, {});
  for (const [caller, has] of Object.entries(callers) as [Caller, (typeof callers)[Caller]][]) {
    if (has === undefined) continue;
    const named =
      has === 'read' || has === 'write'
        ? ([
            ['kv', has],
            ['vec', has],
          ] as const)
        : [];
    const permissions = has === 'elsewhere' ? { other: 'write' as const } : Object.fromEntries(named);
    const role = has === 'admin' ? 'admin' : 'user';
    await root.call('createUser', { user: { username: caller, password: 'pw', role, permissions } }, {});
    const session = new Session(engine);
    const { token } = await session.call('authenticate', { username: caller, password: 'pw' }, {});
    tokens.set(caller, token);
  }
});

after(() => engine?.close());

/** A scan is opened by an admin, and handed to a session of the caller: its number is the same in both. */
async function argumentsFor(method: Method, session: Session): Promise<object> {
  if (method !== 'scanNext') return plan[method][1](spaces);
  const state = await session.call('resumeSession', { token: tokens.get('admin') as string }, {});
  assert.equal(state?.user.role, 'admin');
  return { scan: await session.call('scanOpen', { space: 'kv' }, {}) };
}

for (const caller of Object.keys(callers) as Caller[])
  test(`what may be called by: ${caller}`, async (t) => {
    for (const method of Object.keys(partOf) as Method[])
      await t.test(method, async () => {
        const expected = mayCall(plan[method][0], caller);
        // A scan cannot be passed on between sessions: its own test is below.
        if (method === 'scanNext' && caller !== 'admin') return;
        const session = await sessionOf(caller);
        const args = await argumentsFor(method, session);
        const outcome = await attempt(() => answerOf(session, method, args));
        if (expected === true) {
          // What an allowed call may still say is about its arguments, never about who called.
          assert.ok(!['NOT_AUTHENTICATED', 'PERMISSION_DENIED'].includes(outcome), outcome);
          const aboutArguments = [
            'deleteUser',
            'deleteSpace',
            'exportNext',
            'importNext',
            'uploadNext',
          ].includes(method);
          assert.equal(outcome, aboutArguments ? outcome : 'answered');
        } else {
          assert.equal(outcome, expected);
        }
      });
  });

test('a scan ends when the permission to read its space is taken away', async () => {
  const root = await sessionOf('admin');
  const reader = await sessionOf('user who reads');
  await root.call('put', { space: 'kv', key: 'k', value: 'v' }, {});
  const scan = await reader.call('scanOpen', { space: 'kv' }, {});
  await root.call('updateUserPermissions', { username: 'user who reads', permissions: { vec: 'write' } }, {});
  assert.equal(await attempt(() => reader.call('scanNext', { scan }, {})), 'PERMISSION_DENIED');
  assert.equal(await attempt(() => reader.call('scanClose', { scan }, {})), 'answered');
});

test('an upload ends when the permission to write to its space is taken away', async () => {
  const root = await sessionOf('admin');
  const username = 'uploader';
  await root.call('createUser', { user: { username, password: 'pw', permissions: { kv: 'write' } } }, {});
  const writer = new Session(engine);
  await writer.call('authenticate', { username, password: 'pw' }, {});
  const upload = await writer.call('uploadOpen', { space: 'kv', key: 'up', isText: false }, {});
  const bytes = new Uint8Array(300_000);
  await writer.call('uploadNext', { upload, bytes, last: false }, {});
  await root.call('updateUserPermissions', { username, permissions: { kv: 'read' } }, {});
  const next = (): unknown => writer.call('uploadNext', { upload, bytes, last: true }, {});
  assert.equal(await attempt(next), 'PERMISSION_DENIED');
  assert.equal(await attempt(() => writer.call('uploadClose', { upload }, {})), 'answered');
  assert.equal(await writer.call('exists', { space: 'kv', key: 'up' }, {}), false);
});

test('what works on the current space needs the permission for that one', async () => {
  const writer = await sessionOf('user who writes');
  await writer.call('useSpace', { name: 'kv' }, {});
  await writer.call('put', { space: undefined, key: 'k', value: 'v' }, {});
  const root = await sessionOf('admin');
  const username = 'user who writes';
  await root.call('updateUserPermissions', { username, permissions: { kv: 'read' } }, {});
  assert.equal(
    await attempt(() => writer.call('put', { space: undefined, key: 'k', value: 'v' }, {})),
    'PERMISSION_DENIED',
  );
  assert.equal(await writer.call('get', { space: undefined, key: 'k' }, {}), 'v');
  // Without any space the call itself says what is missing.
  const fresh = await sessionOf('user who writes');
  assert.equal(
    await attempt(() => fresh.call('get', { space: undefined, key: 'k' }, {})),
    'NO_SPACE_SELECTED',
  );
});

/** A call that waits for something to happen is allowed when it waits. */
function answerOf(session: Session, method: Method, args: object): unknown {
  const answer = session.call(method, args as never, {});
  return method === 'nextEvents' ? undefined : answer;
}

async function attempt(call: () => unknown): Promise<string> {
  try {
    await call();
    return 'answered';
  } catch (error) {
    return isShibuDbError(error) ? error.code : `not one of ours: ${error}`;
  }
}
