/** Events that need a storage that fails or a connection that changes, and the loop that asks for them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Method } from '../../src/api/calls.ts';
import type { DatabaseEvents, LogRecord } from '../../src/api/database.ts';
import { shibuDbError } from '../../src/api/errors.ts';
import { DatabaseClient } from '../../src/client/database-client.ts';
import type { Transport } from '../../src/client/transport.ts';
import type { StorageEstimate } from '../../src/storage/backend.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { openNodeDatabase } from '../support/node-database.ts';

/** A disk that is full when it is told to be. */
class SmallBackend extends MemoryBackend {
  override readonly appendNow = undefined;
  full = false;

  override async append(entries: Parameters<MemoryBackend['append']>[0]): Promise<void> {
    if (this.full) throw shibuDbError('QUOTA_EXCEEDED', 'no room');
    return super.append(entries);
  }

  override async estimate(): Promise<StorageEstimate> {
    return { usageBytes: 7, quotaBytes: 8 };
  }
}

test('a full storage is told to listeners and to the log, and the call fails all the same', async () => {
  const backend = new SmallBackend();
  const records: LogRecord[] = [];
  const log = { level: 'warn', write: (record: LogRecord) => records.push(record) } as const;
  await using db = await openNodeDatabase('quota', { backend, log });
  await db.createSpace('kv', 'key-value');
  const told = new Promise<DatabaseEvents['quota']>((resolve) => {
    db.addEventListener('quota', ({ detail }) => resolve(detail));
  });
  await db.listSpaces();
  backend.full = true;
  await assert.rejects(db.put('k', 'v', { space: 'kv' }), { code: 'QUOTA_EXCEEDED' });
  assert.deepEqual(await told, { usageBytes: 7, quotaBytes: 8 });
  backend.full = false;
  const [failed] = records.filter(({ event }) => event === 'storage failed');
  assert.deepEqual([failed?.level, failed?.code], ['error', 'QUOTA_EXCEEDED']);
});

test('a damaged space is told with its name', async () => {
  const disk = new MemoryDisk();
  const first = await openNodeDatabase('damage', { backend: new MemoryBackend(disk) });
  await first.createSpace('kv', 'key-value');
  await first.put('k', 'v', { space: 'kv' });
  await first.checkpoint();
  await first.close();
  for (const { blocks } of disk.spaces.values())
    for (const block of blocks.values()) (block.bytes[0] as number) ^= 1;
  await using db = await openNodeDatabase('damage', { backend: new MemoryBackend(disk) });
  const told = new Promise<DatabaseEvents['corruption']>((resolve) => {
    db.addEventListener('corruption', ({ detail }) => resolve(detail));
  });
  await db.listSpaces();
  await assert.rejects(db.get('k', { space: 'kv' }), { code: 'CORRUPTION' });
  const { space, message } = await told;
  assert.equal(space, 'kv');
  assert.match(message, /kv/);
});

/** A connection that answers what it is told to, and tells of itself. */
class ScriptedTransport implements Transport {
  readonly asked: Method[] = [];
  readonly answers: (() => Promise<unknown>)[] = [];
  tell: Parameters<NonNullable<Transport['listen']>>[0] = () => assert.fail('nobody listens');

  listen(listener: ScriptedTransport['tell']): void {
    this.tell = listener;
  }

  async call(method: Method): Promise<never> {
    this.asked.push(method);
    if (method !== 'nextEvents') return undefined as never;
    const answer = this.answers.shift();
    return (await (answer?.() ?? new Promise(() => {}))) as never;
  }

  release(): void {}
}

test('nothing is asked for while nobody listens, and what the connection tells itself arrives', () => {
  const transport = new ScriptedTransport();
  const db = new DatabaseClient(transport);
  assert.deepEqual(transport.asked, []);
  const epochs: number[] = [];
  db.addEventListener('ownerchange', ({ detail }) => epochs.push(detail.epoch));
  transport.tell('ownerchange', { epoch: 2, here: true });
  assert.deepEqual(epochs, [2]);
  assert.deepEqual(transport.asked, ['nextEvents']);
});

test('after a failure events are asked for again, and after closing no more', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const transport = new ScriptedTransport();
  const event = { type: 'expired', detail: { space: 'kv', count: 1 } };
  transport.answers.push(
    () => Promise.reject(shibuDbError('WORKER_LOST', 'gone')),
    async () => [event],
    () => Promise.reject(shibuDbError('CLOSED', 'closed')),
  );
  const db = new DatabaseClient(transport);
  const heard = Promise.withResolvers<number>();
  db.addEventListener('expired', ({ detail }) => heard.resolve(detail.count));
  await settled();
  assert.equal(transport.asked.length, 1, 'it waits before it asks again');
  t.mock.timers.tick(1000);
  assert.equal(await heard.promise, 1);
  await settled();
  assert.equal(transport.asked.length, 3);
  await db.close();
  db.addEventListener('expired', () => {});
  t.mock.timers.tick(10_000);
  await settled();
  assert.deepEqual(transport.asked, ['nextEvents', 'nextEvents', 'nextEvents', 'close']);
});

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
