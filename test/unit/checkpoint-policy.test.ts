/** When spaces of keys are stored: a write costs what its record costs, not what the space costs. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryBackend } from '../../src/storage/memory-backend.ts';
import { openNodeDatabase } from '../support/node-database.ts';

class CountingBackend extends MemoryBackend {
  published = 0;

  override publish(space: number, manifest: Uint8Array): Promise<void> {
    this.published++;
    return super.publish(space, manifest);
  }
}

const mebibyte = 1024 * 1024;
const keys = 12_000;
const value = new Uint8Array(1000).fill(7);

/** Checkpoints while a space of about 13 MiB is written all over in small writes. */
async function checkpointsOf(memoryBudgetBytes: number): Promise<number> {
  const backend = new CountingBackend();
  const db = await openNodeDatabase('policy', { backend, memoryBudgetBytes });
  await db.createSpace('kv', 'key-value', { durability: 'relaxed' });
  await db.useSpace('kv');
  for (let i = 0; i < keys; i += 1000)
    await db.putMany(Array.from({ length: 1000 }, (_, k) => ({ key: `key-${i + k}`, value })));
  await db.checkpoint();
  backend.published = 0;
  for (let i = 0; i < keys; i++) await db.put(`key-${(i * 7919) % keys}`, value);
  const { published } = backend;
  await db.close();
  return published;
}

test('a space that fits in memory and is written all over is not stored whole again and again', async () => {
  assert.equal(await checkpointsOf(256 * mebibyte), 0);
});

test('where memory is scarce, what has changed is stored, so that it can make room', async () => {
  assert.ok((await checkpointsOf(16 * mebibyte)) > 2);
});
