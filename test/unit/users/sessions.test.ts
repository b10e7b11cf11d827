/** Sessions of one database: rights that change while they are open, and tokens that bring a session back. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallContext, SignedIn } from '../../../src/api/calls.ts';
import type { Permissions } from '../../../src/api/users.ts';
import { SessionMemory } from '../../../src/client/session-state.ts';
import { DatabaseEngine } from '../../../src/engine/database-engine.ts';
import { Session } from '../../../src/engine/session.ts';
import { defaultSettings } from '../../../src/engine/settings.ts';
import { oneCore } from '../../../src/kernel/module.ts';
import { MemoryBackend, MemoryDisk } from '../../../src/storage/memory-backend.ts';
import { nodeCore } from '../../support/node-database.ts';

const day = 24 * 3_600_000;

async function startWithoutUsers(): Promise<Omit<Scene, 'root'>> {
  const disk = new MemoryDisk();
  const clock = { nowMs: 1_000_000 };
  const engine = await DatabaseEngine.open({
    name: 'sessions',
    cores: oneCore(nodeCore()),
    backend: new MemoryBackend(disk),
    now: () => performance.now(),
    wallClock: () => clock.nowMs,
    settings: { ...defaultSettings, passwordCost: { N: 16, r: 8, p: 1 } },
  });
  return { engine, clock, disk };
}

/** An engine with an admin; `root` is a session of theirs. */
async function start(): Promise<Scene> {
  const scene = await startWithoutUsers();
  const root = new Session(scene.engine);
  await root.call('createFirstAdmin', { username: 'root', password: 'pw' }, {});
  await root.call('authenticate', { username: 'root', password: 'pw' }, {});
  return { ...scene, root };
}

interface Scene {
  readonly engine: DatabaseEngine;
  readonly root: Session;
  readonly clock: { nowMs: number };
  readonly disk: MemoryDisk;
}

async function addUser(
  { engine, root }: Scene,
  permissions: Permissions,
): Promise<Session & { signedIn: SignedIn }> {
  await root.call('createUser', { user: { username: 'ann', password: 'pw', permissions } }, {});
  const session = new Session(engine);
  const signedIn = await session.call('authenticate', { username: 'ann', password: 'pw' }, {});
  return Object.assign(session, { signedIn });
}

const put = (session: Session, key = 'k'): unknown =>
  session.call('put', { space: 'kv', key, value: 'v' }, {});

test('rights that are taken away are gone from sessions that are open', async () => {
  const scene = await start();
  const { root, engine } = scene;
  await root.call('createSpace', { name: 'kv', engine: 'key-value', options: {} }, {});
  const ann = await addUser(scene, { kv: 'write' });
  await put(ann);
  await root.call('updateUserPermissions', { username: 'ann', permissions: { kv: 'read' } }, {});
  assert.throws(() => put(ann), { code: 'PERMISSION_DENIED' });
  assert.equal(await ann.call('get', { space: 'kv', key: 'k' }, {}), 'v');
  await root.call('updateUserRole', { username: 'ann', role: 'admin' }, {});
  await put(ann);
  await root.call('updateUserRole', { username: 'ann', role: 'user' }, {});
  assert.throws(() => put(ann), { code: 'PERMISSION_DENIED' });
  await root.call('updateUserPassword', { username: 'ann', password: 'new' }, {});
  assert.throws(() => ann.call('stats', {}, {}), { code: 'NOT_AUTHENTICATED' });
  await ann.call('authenticate', { username: 'ann', password: 'new' }, {});
  await root.call('deleteUser', { username: 'ann' }, {});
  assert.throws(() => ann.call('stats', {}, {}), { code: 'NOT_AUTHENTICATED' });
  // Another user of the same name and password is another user.
  await root.call(
    'createUser',
    { user: { username: 'ann', password: 'new', permissions: { kv: 'write' } } },
    {},
  );
  assert.throws(() => ann.call('stats', {}, {}), { code: 'NOT_AUTHENTICATED' });
  await engine.close();
});

test('a bulk insert stops at the chunk after its permission was taken away', async () => {
  const scene = await start();
  const { root, engine } = scene;
  const dimension = 1024;
  await root.call(
    'createSpace',
    { name: 'vec', engine: 'vector', options: { dimension, durability: 'none' } },
    {},
  );
  const ann = await addUser(scene, { vec: 'write' });
  const count = 8192;
  const revoked = Promise.withResolvers<void>();
  let asked = false;
  const context: CallContext = {
    onProgress() {
      if (asked) return;
      asked = true;
      const change = root.call('updateUserPermissions', { username: 'ann', permissions: {} }, {});
      Promise.resolve(change).then(() => revoked.resolve(), revoked.reject);
    },
  };
  const ids = Array.from({ length: count }, (_, i) => i);
  const vectors = new Float32Array(count * dimension);
  const error = await Promise.resolve(
    ann.call('insertVectors', { space: 'vec', ids, vectors }, context),
  ).then(
    () => assert.fail('every vector went in'),
    (reason: { code: string; details: { acknowledged: number } }) => reason,
  );
  await revoked.promise;
  assert.equal(error.code, 'PERMISSION_DENIED');
  const stored = await root.call('countVectors', { space: 'vec' }, {});
  assert.ok(
    error.details.acknowledged > 0 && error.details.acknowledged <= stored,
    `${error.details.acknowledged}`,
  );
  assert.ok(stored < count, `${stored} vectors went in`);
  await engine.close();
});

test('a session from before there were users needs a login once there are', async () => {
  const { engine } = await startWithoutUsers();
  const [early, late] = [new Session(engine), new Session(engine)];
  await early.call('stats', {}, {});
  assert.equal(await late.call('createFirstAdmin', { username: 'root', password: 'pw' }, {}), true);
  assert.equal(await late.call('createFirstAdmin', { username: 'second', password: 'pw' }, {}), false);
  for (const session of [early, late])
    assert.throws(() => session.call('stats', {}, {}), { code: 'NOT_AUTHENTICATED' });
  await engine.close();
});

test('a session goes on from what its caller remembered, also in another engine over the same data', async () => {
  const first = await start();
  await first.root.call('createSpace', { name: 'kv', engine: 'key-value', options: {} }, {});
  const ann = await addUser(first, { kv: 'read' });
  const memory = new SessionMemory();
  assert.equal(memory.state, undefined);
  memory.note('authenticate', { username: 'ann', password: 'pw' }, ann.signedIn);
  memory.note('useSpace', { name: 'kv' }, undefined);
  assert.ok(!JSON.stringify(memory.state).includes('"pw"'), 'no password is remembered');
  await first.engine.close();

  const second = await DatabaseEngine.open({
    name: 'sessions',
    cores: oneCore(nodeCore()),
    backend: new MemoryBackend(first.disk),
    now: () => performance.now(),
    wallClock: () => first.clock.nowMs,
    settings: defaultSettings,
  });
  const session = new Session(second);
  const resumed = await session.call('resumeSession', memory.state ?? {}, {});
  assert.deepEqual(resumed?.user, { username: 'ann', role: 'user', permissions: { kv: 'read' } });
  assert.equal(await session.call('get', { space: undefined, key: 'k' }, {}), undefined);
  assert.throws(() => put(session), { code: 'PERMISSION_DENIED' });
  // Nothing remembered: nobody signed in and no space chosen.
  await session.call('resumeSession', {}, {});
  assert.throws(() => session.call('stats', {}, {}), { code: 'NOT_AUTHENTICATED' });
  await second.close();
});

test('a token is refused when it is old, altered, or of a user who is gone or has a new password', async () => {
  const scene = await start();
  const { root, clock, engine } = scene;
  const { token } = (await addUser(scene, {})).signedIn;
  const session = new Session(engine);
  const refused = (given: unknown): void =>
    assert.throws(() => session.call('resumeSession', { token: given as string }, {}), {
      code: 'NOT_AUTHENTICATED',
      name: 'AuthenticationError',
    });
  const [claims = '', signature = ''] = token.split('.');
  assert.match(token, /^[\w-]+\.[\w-]+$/, 'fit for a header and a subprotocol');
  const forged = btoa(JSON.stringify({ username: 'root', expiresMs: Number.MAX_SAFE_INTEGER }));
  for (const bad of [
    '',
    '.',
    'x',
    claims,
    `${claims}.`,
    `.${signature}`,
    `${forged}.${signature}`,
    `${forged}.`,
    7,
    null,
    `${claims}.${signature.slice(1)}A`,
    `${forged}.${signature}.${signature}`,
  ])
    refused(bad);
  await session.call('resumeSession', { token }, {});
  // A refused token leaves the session as it was.
  refused('x');
  await session.call('stats', {}, {});

  clock.nowMs += 6 * day;
  const { token: renewed } = (await session.call('resumeSession', { token }, {})) as SignedIn;
  clock.nowMs += 2 * day;
  refused(token);
  await session.call('resumeSession', { token: renewed }, {});
  await root.call('updateUserPassword', { username: 'ann', password: 'new' }, {});
  refused(renewed);
  const again = await session.call('authenticate', { username: 'ann', password: 'new' }, {});
  await root.call('deleteUser', { username: 'ann' }, {});
  refused(again.token);
  await root.call('createUser', { user: { username: 'ann', password: 'new' } }, {});
  refused(again.token);
  await engine.close();
});

test('guesses are slowed down whichever session they come from, and too many at once are refused', async () => {
  const { engine } = await start();
  const guess = (username: string): Promise<string> =>
    Promise.resolve(new Session(engine).call('authenticate', { username, password: 'a guess' }, {})).then(
      () => 'signed in',
      (error) => error.code,
    );
  for (let i = 0; i < 3; i++) assert.equal(await guess('root'), 'INVALID_CREDENTIALS');
  const startedMs = performance.now();
  assert.equal(await guess('root'), 'INVALID_CREDENTIALS');
  const tookMs = performance.now() - startedMs;
  assert.ok(tookMs >= 245, `the fourth guess took ${tookMs} ms, expected a wait of 250`);
  // Eight wait for their turns, for a name that nobody has as for any other.
  const guesses = Array.from({ length: 9 }, () => guess('nobody'));
  assert.equal(await guesses[8], 'TOO_MANY_ATTEMPTS');
  await engine.close();
  for (const each of guesses.slice(0, 8)) assert.match(await each, /^(INVALID_CREDENTIALS|CLOSED)$/);
});
