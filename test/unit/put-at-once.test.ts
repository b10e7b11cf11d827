/**
 * A put by itself, where nothing of storage is waited for, is made in its own turn and not in a group (engine/commit-queue.ts):
 * order, failures and what is stored have to be the same.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database } from '../../src/api/database.ts';
import { shibuDbError } from '../../src/api/errors.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { openNodeDatabase } from '../support/node-database.ts';

/** Counts what went either way, and refuses when it is told to. */
class CountingBackend extends MemoryBackend {
  atOnce = 0;
  grouped = 0;
  full = false;
  readonly #records: MemoryDisk;

  constructor(disk: MemoryDisk) {
    super(disk);
    this.#records = disk;
  }

  override readonly appendNow: MemoryBackend['appendNow'] = ({ space, sequence, bytes }) => {
    if (this.full) throw shibuDbError('QUOTA_EXCEEDED', 'no room');
    this.atOnce++;
    this.#records.space(space).append(sequence, bytes);
  };

  override append(entries: Parameters<MemoryBackend['append']>[0]): Promise<void> {
    this.grouped += entries.length;
    return super.append(entries);
  }
}

async function opened(disk: MemoryDisk): Promise<{ db: Database; backend: CountingBackend }> {
  const backend = new CountingBackend(disk);
  const db = await openNodeDatabase('at once', { backend });
  if ((await db.listSpaces()).length === 0)
    await db.createSpace('kv', 'key-value', { durability: 'relaxed' });
  await db.useSpace('kv');
  return { db, backend };
}

async function contentsOf(db: Database): Promise<Record<string, unknown>> {
  const contents: Record<string, unknown> = {};
  for await (const { key, value } of db.scan()) contents[key] = value;
  return contents;
}

test('puts at once and writes that take the queue keep their order, in memory and in the log', async () => {
  const disk = new MemoryDisk();
  const { db, backend } = await opened(disk);
  const model: Record<string, unknown> = {};
  for (let round = 0; round < 50; round++) {
    const key = `key ${round % 7}`;
    await db.put(key, `alone ${round}`);
    // None of these is awaited before the next is made: the first ones of them have to come first.
    await Promise.all([
      db.increment('count'),
      db.put(key, `queued ${round}`),
      round % 3 === 0 ? db.delete(key) : db.put('other', `${round}`),
      db.putMany([{ key: 'many', value: `${round}` }]),
      db.put('many', `later ${round}`),
    ]);
    model[key] = `queued ${round}`;
    if (round % 3 === 0) delete model[key];
    else model.other = `${round}`;
    model.many = `later ${round}`;
    model.count = `${round + 1}`;
  }
  // The first put of all waits for its space to be opened.
  assert.ok(backend.atOnce >= 49, `${backend.atOnce} at once`);
  assert.ok(backend.grouped >= 50, `${backend.grouped} in groups`);
  assert.deepEqual(await contentsOf(db), model);
  // Not closed: what is stored is the log alone.
  const { db: again } = await opened(disk);
  assert.deepEqual(await contentsOf(again), model);
  await again.close();
});

test('a put that storage refuses at once changes nothing, and the next one goes on', async () => {
  const disk = new MemoryDisk();
  const { db, backend } = await opened(disk);
  await db.put('a', '1');
  backend.full = true;
  await assert.rejects(db.put('a', '2'), { code: 'QUOTA_EXCEEDED' });
  assert.equal(await db.get('a'), '1');
  backend.full = false;
  await db.put('b', '3');
  const { db: again } = await opened(disk);
  assert.deepEqual(await contentsOf(again), { a: '1', b: '3' });
  await again.close();
});

test('a checkpoint drops what was logged at once, and only that', async () => {
  const disk = new MemoryDisk();
  const { db } = await opened(disk);
  for (let i = 0; i < 1000; i++) await db.put(`key ${i}`, 'x'.repeat(100));
  await db.checkpoint();
  assert.deepEqual(disk.space(1).log, []);
  for (let i = 0; i < 10; i++) await db.put(`key ${i}`, 'y');
  assert.equal(disk.space(1).log.length, 10);
  const { db: again } = await opened(disk);
  assert.deepEqual(
    [await again.get('key 9'), await again.get('key 10'), await again.size()],
    ['y', 'x'.repeat(100), 1000],
  );
  await again.close();
});
