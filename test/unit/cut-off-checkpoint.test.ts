/** A checkpoint that the end of a process cut off: before its manifest counts, and before what it replaced is dropped. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../src/api/database.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { openNodeDatabase } from '../support/node-database.ts';

const keys = 3000;

class CutOffBackend extends MemoryBackend {
  readonly step: 'publish' | 'drop' | undefined;

  constructor(disk: MemoryDisk, step?: 'publish' | 'drop') {
    super(disk);
    this.step = step;
  }

  override publish(space: number, manifest: Uint8Array): Promise<void> {
    if (this.step === 'publish') return Promise.reject(new Error('cut off'));
    return super.publish(space, manifest);
  }

  override drop(...given: Parameters<MemoryBackend['drop']>): Promise<void> {
    if (this.step === 'drop') return Promise.reject(new Error('cut off'));
    return super.drop(...given);
  }
}

async function open(disk: MemoryDisk, step?: 'publish' | 'drop'): Promise<Database> {
  const db = await openNodeDatabase('cut off', { backend: new CutOffBackend(disk, step) });
  if ((await db.listSpaces()).length === 0) await db.createSpace('kv', 'key-value');
  await db.useSpace('kv');
  return db;
}

const write = (db: Database, round: number): Promise<unknown> =>
  db.putMany(
    Array.from({ length: keys }, (_, i) => ({ key: `key ${i}`, value: `round ${round} `.repeat(20) })),
  );

/** How many blocks are stored under a generation that is not their newest. */
function stale(disk: MemoryDisk): number {
  const generations = new Map<number, number[]>();
  for (const { blocks } of disk.spaces.values())
    for (const { name } of blocks.values())
      generations.set(name.block, [...(generations.get(name.block) ?? []), name.generation]);
  return [...generations.values()].reduce((sum, { length }) => sum + length - 1, 0);
}

for (const step of ['publish', 'drop'] as const)
  test(`cut off at ${step}: everything is there, and the next sessions remove the blocks that no manifest names`, async () => {
    const disk = new MemoryDisk();
    const first = await open(disk);
    await write(first, 1);
    await first.close();
    assert.equal(stale(disk), 0);

    const cut = await open(disk, step);
    await write(cut, 2);
    await cut.checkpoint().catch(() => {});
    await cut.close().catch(() => {});
    assert.ok(stale(disk) > 0, 'the checkpoint was not cut off');

    for (let session = 0; session < 2; session++) {
      const db = await open(disk);
      for (const key of ['key 0', 'key 1234', `key ${keys - 1}`])
        assert.equal(await db.get(key), 'round 2 '.repeat(20));
      assert.equal(await db.size(), keys);
      assert.equal((await db.verify()).ok, true);
      await write(db, 2);
      await db.close();
    }
    const last = await open(disk);
    for (let i = 0; i < 200 && stale(disk) > 0; i++) await sleep(1);
    assert.equal(stale(disk), 0);
    await last.close();
  });
