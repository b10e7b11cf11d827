/**
 * What an owner may still answer from memory. A real engine; the storage behind the epoch is scripted, because what is tested
 * is a pause that comes at one exact point.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { shibuDbError } from '../../../src/api/errors.ts';
import type { Message } from '../../../src/rpc/messages.ts';
import { MemoryBackend } from '../../../src/storage/memory-backend.ts';
import { leaseMs, type OwnedStorage, Owner } from '../../../src/tabs/owner.ts';
import { startNodeEngine } from '../../support/node-database.ts';

class ScriptedStorage implements OwnedStorage {
  readonly epoch = 7;
  readonly identity = '0123456789abcdef';
  confirmedAtMs: number = performance.now();
  /** Those that asked and were not answered yet. */
  readonly asked: PromiseWithResolvers<void>[] = [];

  confirm(): Promise<void> {
    const answer = Promise.withResolvers<void>();
    this.asked.push(answer);
    return answer.promise;
  }
}

async function ownedDatabase(): Promise<{
  owner: Owner;
  storage: ScriptedStorage;
  session: Owner['session'];
}> {
  const engine = await startNodeEngine('lease', { backend: new MemoryBackend() });
  await engine.createSpace({ name: 'kv', engine: 'key-value', durability: 'strict' });
  const storage = new ScriptedStorage();
  const owner = new Owner({ engine, storage });
  return { owner, storage, session: () => owner.session() };
}

const nothing: Message = { requests: [], cancels: [] };
function get(id: number): Message {
  return {
    requests: [{ id, method: 'exists', args: { space: 'kv', key: 'k' }, progress: false }],
    cancels: [],
  };
}

/** Whether the promise is settled after everything that is ready has run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(() => {
    settled = true;
  });
  await sleep(20);
  return settled;
}

test('a lately confirmed owner answers without asking', async () => {
  const { storage, session } = await ownedDatabase();
  assert.deepEqual(await session().exchange(get(1)), {
    epoch: 7,
    replies: [{ id: 1, value: false }],
    gone: false,
  });
  assert.equal(storage.asked.length, 0);
});

test('an owner that was paused answers only when it has looked, after the answer was computed', async () => {
  const { storage, session } = await ownedDatabase();
  storage.confirmedAtMs = performance.now() - leaseMs - 1;
  const answer = session().exchange(get(1));
  // However busy the machine is: it asks once the answer is there.
  while (storage.asked.length === 0) await sleep(1);
  assert.equal(await isSettled(answer), false);
  assert.equal(storage.asked.length, 1);
  storage.confirmedAtMs = performance.now();
  storage.asked[0]?.resolve();
  assert.deepEqual((await answer).replies, [{ id: 1, value: false }]);
});

test('a look from before the pause does not count: it looks again', async () => {
  const { storage, session } = await ownedDatabase();
  storage.confirmedAtMs = performance.now() - leaseMs - 1;
  const answer = session().exchange(get(1));
  await sleep(20);
  // Begun before the pause, so it says nothing of what happened in it.
  storage.asked[0]?.resolve();
  while (storage.asked.length < 2) await sleep(1);
  assert.equal(await isSettled(answer), false);
  assert.equal(storage.asked.length, 2);
  storage.confirmedAtMs = performance.now();
  storage.asked[1]?.resolve();
  assert.deepEqual((await answer).replies, [{ id: 1, value: false }]);
});

test('an owner that has lost the database lets no answer out, refuses what comes later, and says that it is gone', async () => {
  const { owner, storage, session } = await ownedDatabase();
  storage.confirmedAtMs = performance.now() - leaseMs - 1;
  const [first, second] = [session(), session()];
  const waiting = second.exchange(nothing);
  const answer = first.exchange(get(1));
  await sleep(20);
  storage.asked[0]?.reject(shibuDbError('NOT_OWNER', 'its epoch is 8'));
  assert.deepEqual(await answer, { epoch: 7, replies: [], gone: true });
  // Who only waited for answers is told as well.
  assert.deepEqual(await waiting, { epoch: 7, replies: [], gone: true });
  assert.equal(owner.isOver, true);
  const { replies, gone } = await first.exchange(get(2));
  assert.equal(gone, true);
  assert.deepEqual(
    replies.map((reply) => ('error' in reply ? reply.error.code : reply)),
    ['NOT_OWNER'],
  );
});

test('an owner whose storage fails when it looks cannot be sure, and lets nothing out either', async () => {
  const { storage, session } = await ownedDatabase();
  storage.confirmedAtMs = performance.now() - leaseMs - 1;
  const answer = session().exchange(get(1));
  await sleep(20);
  storage.asked[0]?.reject(new Error('the disk is on fire'));
  assert.deepEqual(await answer, { epoch: 7, replies: [], gone: true });
});

test('a client that closes gets the answers of what it wrote, and then that it is closed', async () => {
  const { session } = await ownedDatabase();
  const client = session();
  const put = (id: number): Message['requests'][number] => ({
    id,
    method: 'put',
    args: { space: 'kv', key: `k${id}`, value: 'v' },
    progress: false,
  });
  const order: number[] = [];
  let message: Message = {
    requests: [put(1), put(2), { id: 3, method: 'close', args: {}, progress: false }],
    cancels: [],
  };
  while (!order.includes(3)) {
    order.push(...(await client.exchange(message)).replies.map(({ id }) => id));
    message = nothing;
  }
  assert.deepEqual(order, [1, 2, 3]);
});

test('an owner that hands over answers what it accepted, refuses the rest, and is gone then', async () => {
  const { owner, session } = await ownedDatabase();
  const client = session();
  const accepted = client.exchange({
    requests: [{ id: 1, method: 'put', args: { space: 'kv', key: 'k', value: 'v' }, progress: false }],
    cancels: [],
  });
  const handedOver = owner.handOver();
  assert.deepEqual((await accepted).replies, [{ id: 1, value: undefined }]);
  const refused = await client.exchange(get(2));
  assert.deepEqual(
    refused.replies.map((reply) => ('error' in reply ? reply.error.code : reply)),
    ['NOT_OWNER'],
  );
  await handedOver;
  assert.equal((await client.exchange(nothing)).gone, true);
});
