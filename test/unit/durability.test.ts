/** When each `durability` asks storage for a flush, and how many calls share one: what stands behind an acknowledgement. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Durability } from '../../src/api/database.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { openNodeDatabase } from '../support/node-database.ts';

/** A memory backend that tells what it was asked for, and whose flushes may take their time. */
class WatchedBackend extends MemoryBackend {
  override readonly appendNow = undefined;
  readonly appends: boolean[] = [];
  records = 0;
  flushes = 0;
  published = 0;
  flushing: Promise<void> = Promise.resolve();

  override append(entries: Parameters<MemoryBackend['append']>[0], flush = false): Promise<void> {
    this.appends.push(flush);
    this.records += entries.length;
    return super.append(entries);
  }

  override async flush(): Promise<void> {
    this.flushes++;
    await this.flushing;
  }

  override publish(space: number, manifest: Uint8Array): Promise<void> {
    this.published++;
    return super.publish(space, manifest);
  }
}

async function opened(durability: Durability): Promise<{ db: Database; backend: WatchedBackend }> {
  const backend = new WatchedBackend(new MemoryDisk());
  const db = await openNodeDatabase('durability', { backend });
  await db.createSpace('space', 'key-value', { durability });
  await db.useSpace('space');
  return { db, backend };
}

async function puts(db: Database, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await db.put(`key ${i}`, 'value');
}

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !done(); i++) await sleep(10);
  assert.ok(done());
}

/** In the middle of the flush of what was written first. */
async function flushing(): Promise<Awaited<ReturnType<typeof opened>> & PromiseWithResolvers<void>> {
  const { db, backend } = await opened({ everyMs: 20 });
  const flush = Promise.withResolvers<void>();
  backend.flushing = flush.promise;
  await db.put('early', 'value');
  await until(() => backend.flushes === 1);
  return { db, backend, ...flush };
}

for (const [durability, expected] of [
  ['strict', [true, true, true, true, true]],
  ['relaxed', [false, false, false, false, false]],
  ['none', []],
  [{ everyOps: 2 }, [false, true, false, true, false]],
  [{ everyOps: 1 }, [true, true, true, true, true]],
  [{ everyMs: 3_600_000 }, [false, false, false, false, false]],
] as const)
  test(`${JSON.stringify(durability)}: five puts ask for ${expected.filter(Boolean).length} flushes`, async () => {
    const { db, backend } = await opened(durability);
    await puts(db, 5);
    assert.deepEqual(backend.appends, expected);
    assert.equal(backend.flushes, 0);
    await db.close();
  });

test('calls that wait for a commit are one record of the next one', async () => {
  const { db, backend } = await opened('strict');
  const calls = Array.from({ length: 500 }, (_, i) => db.put(`key ${i}`, 'value'));
  const counted = Array.from({ length: 500 }, () => db.increment('n'));
  await Promise.all(calls);
  assert.deepEqual(
    await Promise.all(counted),
    counted.map((_, i) => i + 1),
  );
  // What came first goes at once, alone or with others: nothing waits for company. The rest of that moment goes together.
  assert.ok(backend.appends.length <= 2, `${backend.appends.length} transactions`);
  assert.ok(backend.records <= 2, `${backend.records} records`);
  await db.close();
});

test('none: a checkpoint keeps what no log has', async () => {
  const { db, backend } = await opened('none');
  await puts(db, 5);
  await db.checkpoint();
  assert.ok(backend.published > 0);
  assert.deepEqual(backend.appends, []);
  await db.close();
});

test('everyMs: what is written is flushed in time although nothing comes after it', async () => {
  const { db, backend } = await opened({ everyMs: 20 });
  await db.put('key', 'value');
  await until(() => backend.flushes === 1);
  await db.close();
});

test('everyMs: what is written while a flush is under way is flushed by one of its own', async () => {
  const { db, backend, resolve } = await flushing();
  const appended = backend.appends.length;
  await db.put('late', 'value');
  assert.ok(!backend.appends.slice(appended).includes(true));
  resolve();
  await until(() => backend.flushes === 2);
  await db.close();
});

test('everyMs: a flush that failed is made up for by the next write', async () => {
  const { db, backend, reject } = await flushing();
  reject(new Error('made to fail'));
  await sleep(0);
  await db.put('late', 'value');
  assert.equal(backend.appends.at(-1), true);
  await db.close();
});
