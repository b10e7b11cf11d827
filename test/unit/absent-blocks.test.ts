/**
 * Blocks that are not in memory: one that cannot be read refuses the call and nothing else, a write that comes to one only
 * when it is applied waits for it unseen, a space opens without reading what it may leave.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database } from '../../src/api/database.ts';
import { isShibuDbError } from '../../src/api/errors.ts';
import type { BlockName } from '../../src/storage/backend.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { openNodeDatabase } from '../support/node-database.ts';
import { Random } from '../support/random.ts';

/** 64 vectors a block. */
const dimension = 1024;
const count = 1280;
const originals = 1;

/** Tells which blocks are read, and may answer late. */
class WatchedBackend extends MemoryBackend {
  readonly read: number[] = [];
  readonly lazy: boolean;
  lateMs = 0;

  constructor(disk: MemoryDisk, lazy = false) {
    super(disk);
    this.lazy = lazy;
  }

  override async readBlocks(space: number, names: readonly BlockName[]): Promise<(Uint8Array | undefined)[]> {
    this.read.push(...names.map(({ block }) => block));
    if (this.lateMs > 0) await new Promise((resolve) => setTimeout(resolve, this.lateMs));
    return super.readBlocks(space, names);
  }

  get segments(): Set<number> {
    return new Set(this.read.map((block) => block >>> 24));
  }
}

async function openWatched(disk: MemoryDisk): Promise<{ db: Database; backend: WatchedBackend }> {
  const backend = new WatchedBackend(disk);
  const db = await openNodeDatabase('absent', { backend });
  if ((await db.listSpaces()).length > 0) await db.useSpace('vec');
  return { db, backend };
}

/** A stored space; id i is slot i, in block i / 64 of the originals. */
async function storedSpace(): Promise<{ disk: MemoryDisk; rows: Float32Array }> {
  const disk = new MemoryDisk();
  const { db } = await openWatched(disk);
  await db.createSpace('vec', 'vector', { dimension, indexType: 'SQ8', originals: 'storage' });
  await db.useSpace('vec');
  const rows = new Random(1).vectors(count * dimension);
  await db.insertVectors(
    Array.from({ length: count }, (_, i) => i),
    rows,
  );
  await db.close();
  return { disk, rows };
}

const rowOf = (rows: Float32Array, i: number): Float32Array => rows.slice(i * dimension, (i + 1) * dimension);

const isDamaged = (error: unknown): boolean =>
  isShibuDbError(error) && error.code === 'CORRUPTION' && /block 1\/5 does not match/.test(error.message);

test('a space whose originals are in storage opens without reading them, and a search reads only those it needs', async () => {
  const { disk, rows } = await storedSpace();
  const { db, backend } = await openWatched(disk);
  assert.equal((await db.describeSpace('vec')).count, count);
  assert.ok(!backend.segments.has(originals));
  const [hit] = await db.searchTopK(rowOf(rows, 700), 1, { oversample: 1, efSearch: 1 });
  assert.deepEqual(hit, { id: 700, distance: 0 });
  assert.deepEqual(
    backend.read.filter((block) => block >>> 24 === originals),
    [(originals << 24) | Math.floor(700 / 64)],
  );
  await db.close();
});

test('reads of one block at the same time read it once', async () => {
  const { disk, rows } = await storedSpace();
  const { db, backend } = await openWatched(disk);
  backend.lateMs = 5;
  const found = await Promise.all(Array.from({ length: 20 }, (_, i) => db.getVector(640 + i)));
  for (const [i, vector] of found.entries()) assert.deepEqual(vector, rowOf(rows, 640 + i));
  assert.equal(backend.read.filter((block) => block >>> 24 === originals).length, 1);
  await db.close();
});

test('a damaged block that was left in storage fails the calls that need it, by name, and no other', async () => {
  const { disk, rows } = await storedSpace();
  for (const { blocks } of disk.spaces.values()) {
    for (const { name, bytes } of blocks.values())
      if (name.block === ((originals << 24) | 5)) bytes[100] = (bytes[100] as number) ^ 1;
  }
  const { db } = await openWatched(disk);
  await assert.rejects(db.getVector(5 * 64), isDamaged);
  await assert.rejects(db.rangeSearch(rowOf(rows, 3), 1e9), isDamaged);
  assert.deepEqual(await db.getVector(6 * 64), rowOf(rows, 6 * 64));

  // A write that would go there is refused before it is logged, so that the space lives on.
  assert.equal(await db.deleteVector(5 * 64), true);
  await assert.rejects(db.insertVector(5000, rowOf(rows, 1)), isDamaged);
  assert.equal(await db.getVector(5000), undefined);
  assert.equal(await db.countVectors(), count - 1);
  const { spaces } = await db.verify();
  assert.deepEqual(
    spaces[0]?.faults.map(({ segment, block }) => [segment, block]),
    [[originals, 5]],
  );
  await db.close();
  const again = await openWatched(disk);
  assert.equal(await again.db.countVectors(), count - 1);
  assert.deepEqual(await again.db.getVector(7), rowOf(rows, 7));
  await again.db.close();
});

test('a write that other writes of its commit send to a block in storage waits for it, and readers see all or nothing', async () => {
  const { disk, rows } = await storedSpace();
  const { db, backend } = await openWatched(disk);
  backend.lateMs = 3;
  for (let round = 0; round < 8; round++) {
    // The slot that is freed first in this commit is taken by the insert behind it: no plan could know.
    const gone = round * 150;
    const replaced = 4000 + round;
    const writes = [db.deleteVector(gone), db.insertVector(replaced, rowOf(rows, round))];
    const reads = Array.from({ length: 10 }, async (_, i) => {
      await new Promise((resolve) => setTimeout(resolve, i));
      return db.countVectors();
    });
    assert.deepEqual(await Promise.all(writes), [true, undefined]);
    for (const seen of await Promise.all(reads)) assert.ok(seen === count || seen === count - 1);
    assert.deepEqual(await db.getVector(replaced), rowOf(rows, round));
    assert.equal(await db.getVector(gone), undefined);
  }
  assert.equal((await db.verify()).ok, true);
  await db.close();
});

test('a search that needs every original ends although others never stop writing', async () => {
  const disk = new MemoryDisk();
  const backend = new WatchedBackend(disk);
  const db = await openNodeDatabase('absent', { backend });
  // 80 blocks: more than one call may ask for at a time.
  const wide = 4096;
  await db.createSpace('vec', 'vector', { dimension: wide, indexType: 'SQ8', originals: 'storage' });
  await db.useSpace('vec');
  const rows = new Random(2).vectors(count * wide);
  await db.insertVectors(
    Array.from({ length: count }, (_, i) => i),
    rows,
  );
  await db.checkpoint();
  backend.lateMs = 1;
  let searching = true;
  let written = 0;
  const writing = (async () => {
    for (; searching; written++) {
      await db.insertVector(9000 + (written % 50), rows.subarray(0, wide));
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  for (const i of [77, 1200]) {
    const hits = await db.rangeSearch(rows.slice(i * wide, (i + 1) * wide), 1e9, { limit: 5 });
    assert.deepEqual(hits[0], { id: i, distance: 0 });
  }
  searching = false;
  await writing;
  assert.ok(written > 0);
  await db.close();
});

test('over a backend whose reads are dear, spaces of every kind open without their droppable blocks and answer the same', async () => {
  const disk = new MemoryDisk();
  const whole = await openNodeDatabase('lazy', { backend: new MemoryBackend(disk) });
  const random = new Random(3);
  const kinds = ['Flat', 'HNSW8', 'SQ8', 'HNSW8,BQ', 'IVF4,SQ8', 'HNSW8,PQ8'] as const;
  const rows = random.vectors(10_500 * 32);
  const ids = Array.from({ length: 10_500 }, (_, i) => i);
  for (const indexType of kinds) {
    await whole.createSpace(indexType, 'vector', { dimension: 32, indexType });
    await whole.insertVectors(ids, rows, { space: indexType });
    await whole.waitForIndex({ space: indexType });
  }
  await whole.createSpace('kv', 'key-value');
  await whole.putMany(
    ids.map((i) => ({ key: `k${i}`, value: `${i}`.repeat(40) })),
    { space: 'kv' },
  );
  await whole.checkpoint();
  const answers = async (db: Database): Promise<unknown[]> => {
    const found: unknown[] = [];
    for (const space of kinds) {
      const query = rows.slice(7 * 32, 8 * 32);
      found.push(await db.searchTopK(query, 20, { space, includeVectors: true }));
      found.push(await db.rangeSearch(query, 5, { space }));
      found.push(await db.getVector(10_000, { space }));
    }
    found.push(await db.getMany(['k1', 'k10499', 'none', 'k5000'], { space: 'kv' }));
    for await (const entry of db.scan({ space: 'kv', prefix: 'k10', limit: 50 })) found.push(entry);
    return found;
  };
  const expected = await answers(whole);
  await whole.close();
  const backend = new WatchedBackend(disk, true);
  const db = await openNodeDatabase('lazy', { backend });
  assert.equal((await db.describeSpace('Flat')).count, 10_500);
  assert.ok(!backend.segments.has(originals));
  assert.deepEqual(await answers(db), expected);
  await db.close();
});

test('a key-value space larger than half its budget opens by reading the way to its first answer', async () => {
  const disk = new MemoryDisk();
  const options = { memoryBudgetBytes: 8 * 1024 * 1024 };
  const first = await openNodeDatabase('kv', { backend: new MemoryBackend(disk), ...options });
  await first.createSpace('kv', 'key-value');
  const value = 'v'.repeat(3000);
  const keyOf = (i: number): string => `key ${String(i).padStart(5, '0')}`;
  for (let from = 0; from < 4000; from += 200) {
    const entries = Array.from({ length: 200 }, (_, i) => ({
      key: keyOf(from + i),
      value: `${from + i} ${value}`,
    }));
    await first.putMany(entries, { space: 'kv' });
  }
  await first.close();
  const backend = new WatchedBackend(disk);
  const db = await openNodeDatabase('kv', { backend, ...options });
  await db.useSpace('kv');
  assert.equal(await db.get(keyOf(2345)), `2345 ${value}`);
  assert.ok(backend.read.length <= 6, `${backend.read.length} blocks were read`);
  const before = backend.read.length;
  const keys = Array.from({ length: 400 }, (_, i) => keyOf(i * 10));
  assert.deepEqual(
    await db.getMany(keys),
    keys.map((_, i) => `${i * 10} ${value}`),
  );
  assert.ok(backend.read.length > before + 20);
  assert.equal(await db.size(), 4000);
  await db.close();
});
