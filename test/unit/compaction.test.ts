/**
 * Compaction: what is left after deletes takes the room of a database that only ever held that, nothing is lost or doubled by
 * writes that come meanwhile, open scans go on, and full storage is given room again.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Value } from '../../src/api/database.ts';
import { shibuDbError } from '../../src/api/errors.ts';
import type { Settings } from '../../src/engine/settings.ts';
import type { StoredBlock } from '../../src/storage/backend.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { openNodeDatabase } from '../support/node-database.ts';
import { Random } from '../support/random.ts';

const seed = Number(process.env.SHIBUMI_TEST_SEED ?? Date.now() % 2 ** 31);
const dimension = 64;
const count = 12_000;
const kept = count / 10;

const open = (disk: MemoryDisk, settings: Partial<Settings> = {}): Promise<Database> =>
  openNodeDatabase('compaction', { backend: new MemoryBackend(disk), settings });
/** As often as possible. */
const eager: Partial<Settings> = {
  compactBlocksMin: 1,
  compactSlackMin: 0.1,
  compactPauseMs: 0,
  sliceMs: 0.2,
  checkpointLogBytes: 200_000,
};

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 90_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, 'nothing was compacted');
    await sleep(20);
  }
}

function storedBytesOf(disk: MemoryDisk): number {
  let bytes = 0;
  for (const { blocks, log } of disk.spaces.values()) {
    for (const block of blocks.values()) bytes += block.bytes.length;
    for (const record of log) bytes += record.bytes.length;
  }
  return bytes;
}

test('after deleting 90 % memory and stored bytes are those of a database of the rest, and recall is as good', {
  timeout: 110_000,
}, async () => {
  const random = new Random(7);
  const vectors = random.vectors(count * dimension);
  const ids = Array.from({ length: count }, (_, i) => i);
  const options = { dimension, indexType: 'HNSW8', efConstruction: 40 } as const;
  const rowsOf = (chosen: number[]): Float32Array =>
    Float32Array.from(chosen.flatMap((id) => [...vectors.subarray(id * dimension, (id + 1) * dimension)]));
  const rest = ids.filter((id) => id % 10 === 0);

  const fresh = new MemoryDisk();
  const small = await open(fresh);
  await small.createSpace('v', 'vector', options);
  await small.insertVectors(rest, rowsOf(rest), { space: 'v' });
  await small.waitForIndex({ space: 'v' });
  await small.checkpoint();
  const aim = await small.describeSpace('v');

  const disk = new MemoryDisk();
  let db = await open(disk);
  await db.createSpace('v', 'vector', options);
  await db.useSpace('v');
  await db.insertVectors(ids, vectors);
  await db.waitForIndex();
  const before = await db.describeSpace('v');
  for (let from = 0; from < count; from += 1000)
    await Promise.all(
      ids
        .slice(from, from + 1000)
        .filter((id) => id % 10 !== 0)
        .map((id) => db.deleteVector(id)),
    );
  await until(async () => (await db.describeSpace('v')).memoryBytes < before.memoryBytes / 2);
  await db.waitForIndex();
  await db.checkpoint();
  const after = await db.describeSpace('v');
  assert.equal(after.count, kept);
  assert.ok(after.memoryBytes <= aim.memoryBytes * 1.3, `${after.memoryBytes} of ${aim.memoryBytes}`);
  assert.ok(after.storedBytes <= aim.storedBytes * 1.3, `${after.storedBytes} of ${aim.storedBytes}`);
  assert.ok(storedBytesOf(disk) <= storedBytesOf(fresh) * 1.3);

  const queries = Array.from({ length: 100 }, () => random.vectors(dimension));
  const recall = async (of: Database): Promise<number> => {
    let found = 0;
    for (const query of queries) {
      const truth = await of.rangeSearch(query, 1e9, { space: 'v' });
      const near = new Set(truth.slice(0, 10).map(({ id }) => id));
      for (const { id } of await of.searchTopK(query, 10, { space: 'v', efSearch: 40 }))
        if (near.has(id)) found++;
    }
    return found / (queries.length * 10);
  };
  const [ours, theirs] = [await recall(db), await recall(small)];
  assert.ok(ours >= theirs - 0.02, `recall ${ours}, of the fresh one ${theirs}`);

  await db.close();
  db = await open(disk);
  for (const id of rest.slice(0, 50)) {
    const vector = await db.getVector(id, { space: 'v' });
    assert.deepEqual(vector, vectors.slice(id * dimension, (id + 1) * dimension));
  }
  assert.equal((await db.verify()).ok, true);
  await db.close();
  await small.close();
});

/** Has no room for blocks of more than `mostBytes` in one checkpoint, as a browser whose quota is used up. */
class CrampedBackend extends MemoryBackend {
  static readonly mostBytes = 7 * 262_144;
  refusals = 0;

  override writeBlocks(space: number, blocks: readonly StoredBlock[], bytes = 0): Promise<void> {
    if (bytes <= CrampedBackend.mostBytes) return super.writeBlocks(space, blocks);
    this.refusals++;
    return Promise.reject(shibuDbError('QUOTA_EXCEEDED', `${bytes} bytes are too many`));
  }
}

test('an image that was compacted halfway and found no room is compacted again when more was deleted', async () => {
  const disk = new MemoryDisk();
  const backend = new CrampedBackend(disk);
  const settings = { checkpointIdleMs: 50 };
  const db = await openNodeDatabase('cramped', { backend, settings });
  await db.createSpace('kv', 'key-value');
  await db.useSpace('kv');
  const deleteAll = (from: number, to: number): Promise<unknown> =>
    db.deleteMany(Array.from({ length: to - from }, (_, i) => `${from + i}`));
  for (let from = 0; from < 5000; from += 500)
    await db.putMany(
      Array.from({ length: 500 }, (_, i) => ({ key: `${from + i}`, value: 'x'.repeat(1900) })),
    );
  const memoryBytes = async (): Promise<number> => (await db.describeSpace('kv')).memoryBytes;
  const before = await memoryBytes();
  await deleteAll(0, 3700);
  await until(async () => backend.refusals > 0 && (await memoryBytes()) < before * 0.6);
  assert.equal(disk.space(1).blocks.size, 0);
  await deleteAll(3700, 4750);
  await until(async () => disk.space(1).blocks.size > 0);
  await db.close();

  const again = await openNodeDatabase('cramped', { backend: new MemoryBackend(disk), settings });
  assert.equal(await again.size({ space: 'kv' }), 250);
  assert.equal((await again.verify()).ok, true);
  await again.close();
});

test('keys written, overwritten and deleted during compactions are what they are without', async (t) => {
  t.diagnostic(`SHIBUMI_TEST_SEED=${seed}`);
  const random = new Random(seed);
  const disk = new MemoryDisk();
  let db = await open(disk, eager);
  await db.createSpace('kv', 'key-value', { durability: 'relaxed' });
  await db.useSpace('kv');
  const model = new Map<string, Value>();
  let smaller = 0;
  let memory = 0;
  for (let round = 0; round < 60; round++) {
    const writes: Promise<unknown>[] = [];
    // By turns mostly puts and mostly deletes, so that there is something to give back.
    const puts = round % 4 < 2 ? 0.8 : 0.15;
    for (let i = 0; i < 150; i++) {
      const key = `key ${random.below(1500)}`;
      if (random.unit() < puts) {
        const value =
          random.unit() < 0.02 ? random.bytes(90_000) : `${round} ${i} ${'x'.repeat(random.below(900))}`;
        model.set(key, value);
        writes.push(db.put(key, value));
      } else {
        model.delete(key);
        writes.push(db.delete(key));
      }
      if (i % 10 === 0) await sleep(0);
    }
    await Promise.all(writes);
    const now = (await db.describeSpace('kv')).memoryBytes;
    if (now < memory) smaller++;
    memory = now;
  }
  assert.ok(smaller > 0, 'memory never became smaller');
  for (const reopened of [false, true]) {
    if (reopened) {
      await db.close();
      db = await open(disk, eager);
    }
    const found = new Map<string, Value>();
    for await (const { key, value } of db.scan({ space: 'kv' })) found.set(key, value);
    assert.deepEqual(found, new Map([...model].sort(([a], [b]) => (a < b ? -1 : 1))));
  }
  assert.equal((await db.verify()).ok, true);
  await db.close();
});

test('vectors inserted, replaced and deleted during compactions are there once, and a scan goes on', async (t) => {
  t.diagnostic(`SHIBUMI_TEST_SEED=${seed}`);
  const random = new Random(seed + 1);
  const disk = new MemoryDisk();
  let db = await open(disk, eager);
  await db.createSpace('v', 'vector', { dimension: 16, indexType: 'HNSW4', ids: 'string' });
  await db.useSpace('v');
  const model = new Map<string, Float32Array>();
  for (let round = 0; round < 40; round++) {
    const writes: Promise<unknown>[] = [];
    const scan = db.scanVectors()[Symbol.asyncIterator]();
    const expected = new Map(model);
    const first = round % 5 === 0 ? await scan.next() : undefined;
    for (let i = 0; i < 60; i++) {
      const id = `id ${random.below(600)}`;
      if (random.unit() < (round % 4 < 2 ? 0.9 : 0.1)) {
        const vector = random.vectors(16);
        model.set(id, vector);
        writes.push(db.insertVector(id, vector));
      } else {
        model.delete(id);
        writes.push(db.deleteVector(id));
      }
      if (i % 5 === 0) await sleep(0);
    }
    await Promise.all(writes);
    if (first !== undefined && !first.done) {
      const seen = new Map([[first.value.id as string, first.value.vector]]);
      for (let next = await scan.next(); !next.done; next = await scan.next())
        seen.set(next.value.id as string, next.value.vector);
      assert.equal(seen.size, expected.size);
      for (const [id, vector] of expected) assert.deepEqual(seen.get(id), vector);
    }
  }
  for (const reopened of [false, true]) {
    if (reopened) {
      await db.close();
      db = await open(disk, eager);
    }
    const found = new Map<string, Float32Array>();
    for await (const { id, vector } of db.scanVectors({ space: 'v' })) found.set(id as string, vector);
    assert.equal(found.size, model.size);
    for (const [id, vector] of model) assert.deepEqual(found.get(id), vector);
    const [id, vector] = [...model][0] as [string, Float32Array];
    assert.equal((await db.searchTopK(vector, 1, { space: 'v' }))[0]?.id, id);
  }
  await db.close();
});
