/** `connect` of `shibumi/bridge` to objects inside workerd: the conformance suite, and sockets that outlive an object's sleep. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { connect } from '../../src/bridge.ts';
import { connectForCase } from '../bridge/connect-for-case.ts';
import { callCases, runCase, suite } from '../conformance/suite.ts';
import { takesAllCases } from '../support/all-cases.ts';
import { missingWorkerd, startWorkerd, type Workerd } from './workerd.ts';

const skip = missingWorkerd();
const timeoutMs = 60_000;
const password = 'a long enough password';
let started: Promise<Workerd>[] = [];
after(async () => {
  for (const workerd of started) await (await workerd).dispose();
  started = [];
});

test('conformance over connect to objects in workerd', { skip }, async (t) => {
  const workerd = startWorkerd({
    script: 'test/edge/worker.ts',
    objects: { CASES: 'CaseRunner', HOSTS: 'SessionHost' },
  });
  started.push(workerd);
  const address = (await (await workerd).ready).href;
  const at = (path: string, name: string): string => `${address}${path}?name=${encodeURIComponent(name)}`;
  for (const entry of takesAllCases ? suite : callCases)
    await t.test(entry.name, { timeout: timeoutMs }, () =>
      runCase(entry, {
        build: 'simd128',
        storage: 'durable-object',
        open: (name, options) => connectForCase(at('bridge', name).replace('http', 'ws'), options),
        deleteDatabase: async (name) => {
          await fetch(at('remove', name));
        },
      }),
    );
});

test('a connection outlives the sleep of its object: user, space and the right to write once', {
  skip,
}, async () => {
  const workerd = startWorkerd({
    script: 'test/edge/object-worker.ts',
    objects: { NOTES: 'Notes', OPEN: 'Open' },
    bindings: { ADMIN_PASSWORD: password },
  });
  started.push(workerd);
  const address = (await (await workerd).ready).href;
  const instance = async (): Promise<{ instance: string; sockets: number }> =>
    (await (await fetch(`${address}inspect/sleeper`)).json()) as never;

  await using db = await connect(`${address.replace('http', 'ws')}notes/sleeper/`, {
    username: 'admin',
    password,
  });
  await db.createSpace('kv', 'key-value');
  await db.useSpace('kv');
  // More than one step of a scan takes.
  await db.putMany(
    Array.from({ length: 10_000 }, (_, i) => ({ key: `key ${String(i).padStart(4, '0')}`, value: 'x' })),
  );
  assert.equal(await db.increment('count'), 1);
  const scan = db.scan({ prefix: 'key' })[Symbol.asyncIterator]();
  await scan.next();
  const before = await instance();
  assert.equal(before.sockets, 1);
  // The runtime puts an object that has nothing to do out of memory after ten seconds; asking would wake it.
  await new Promise((resolve) => setTimeout(resolve, 16_000));
  const after = await instance();
  assert.notEqual(after.instance, before.instance, 'the object never slept');
  assert.equal(after.sockets, 1, 'its socket is still open');
  // Not a new connection: a write after a lost one could only end with OUTCOME_UNKNOWN or by chance.
  assert.equal(await db.increment('count'), 2);
  assert.equal((await instance()).sockets, 1);
  assert.equal((await db.listUsers()).length, 1, 'the user is still signed in');
  const taken = (async () => {
    for (;;) if ((await scan.next()).done) return;
  })();
  await assert.rejects(taken, { code: 'SNAPSHOT_LOST' });
});
