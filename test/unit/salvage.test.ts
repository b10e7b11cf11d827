/**
 * A damaged space, opened to save what is intact: what comes back is right, what is lost is named, nothing can be written, and
 * the other spaces do not notice. And records that are sound but cannot be applied.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database, Metadata } from '../../src/api/database.ts';
import { encodeLogRecord } from '../../src/engine/log-record.ts';
import { CoreInstance } from '../../src/kernel/instance.ts';
import { encodePut } from '../../src/space/operation.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { cloneDisk } from '../support/clone-disk.ts';
import { nodeCore, openNodeDatabase } from '../support/node-database.ts';
import { Random } from '../support/random.ts';

const dimension = 128;
const entries = 1500;
const seed = Number(process.env.SHIBUMI_TEST_SEED ?? 7);

function open(disk: MemoryDisk, onCorruption: 'fail' | 'salvage' = 'fail'): Promise<Database> {
  return openNodeDatabase('salvage', { backend: new MemoryBackend(disk), onCorruption });
}

const vectorOf = (id: number): Float32Array => new Random(id + 1).vectors(dimension);
const contentOf = (i: number): Uint8Array => new Random(i + 1).bytes(i % 100 === 0 ? 40_000 : 600);

/** Every tenth is as long as a part of a record, give or take some; every hundredth takes several. */
function metadataOf(id: number): Metadata {
  const length = id % 100 === 0 ? 30_000 : id % 10 === 0 ? 4040 + ((id / 10) % 40) : 300;
  return { number: id, even: id % 2 === 0, text: String.fromCharCode(97 + (id % 26)).repeat(length) };
}

const numberOf = (id: unknown): number => Number(String(id).replace('id ', ''));

async function filledDisk(ids: 'int' | 'string' = 'int'): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const db = await open(disk);
  await db.createSpace('kv', 'key-value');
  await db.createSpace('vectors', 'vector', {
    dimension,
    indexType: 'HNSW8',
    ids,
    metadataFields: [
      { name: 'number', type: 'int' },
      { name: 'even', type: 'bool' },
    ],
  });
  await db.createSpace('other', 'key-value');
  await db.put('a', 'b', { space: 'other' });
  await db.putMany(
    Array.from({ length: entries }, (_, i) => ({ key: `key ${i}`, value: contentOf(i) })),
    { space: 'kv' },
  );
  const packed = new Float32Array(entries * dimension);
  for (let i = 0; i < entries; i++) packed.set(vectorOf(i), i * dimension);
  const all = Array.from({ length: entries }, (_, i) => (ids === 'int' ? i : `id ${i}`));
  const metadata = Array.from({ length: entries }, (_, i) => metadataOf(i));
  await db.insertVectors(all, packed, { space: 'vectors', metadata });
  await db.waitForIndex({ space: 'vectors' });
  await db.close();
  return disk;
}

/** Blocks of a space in a segment, by key. */
function blocksOf(disk: MemoryDisk, space: number, segment: number): string[] {
  return [...disk.space(space).blocks]
    .filter(([, { name }]) => name.block >>> 24 === segment)
    .map(([key]) => key);
}

function flip(disk: MemoryDisk, space: number, key: string): void {
  const block = disk.space(space).blocks.get(key);
  assert.ok(block !== undefined);
  const bytes = block.bytes.slice();
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] as number) ^ 1;
  disk.space(space).blocks.set(key, { ...block, bytes });
}

test('a damaged key-value block: the rest comes back right and read-only', async () => {
  const sound = await filledDisk();
  const keys = blocksOf(sound, 1, 1);
  assert.ok(keys.length > 4, `${keys.length} blocks`);
  // The first holds the tree's header: without it nothing can be found.
  for (const damaged of [keys[1], keys[Math.floor(keys.length / 2)], keys.at(-1)] as string[]) {
    const disk = cloneDisk(sound);
    flip(disk, 1, damaged);
    const failing = await open(disk);
    await assert.rejects(failing.get('key 1', { space: 'kv' }), { code: 'CORRUPTION' });
    assert.equal(await failing.get('a', { space: 'other' }), 'b');
    const db = await open(disk, 'salvage');
    let found = 0;
    for await (const { key, value } of db.scan({ space: 'kv' })) {
      assert.deepEqual(value, contentOf(Number(key.slice(4))));
      found++;
    }
    assert.ok(found > 0 && found < entries, `${found} of ${entries} entries`);
    const { readOnly = [] } = await db.describeSpace('kv');
    assert.ok(readOnly.some(({ kind, segment }) => kind === 'block' && segment === 1));
    await assert.rejects(db.put('key 1', 'new', { space: 'kv' }), { code: 'READ_ONLY' });
    await db.put('a', 'c', { space: 'other' });
    await db.close();
    // Nothing was changed by looking.
    await assert.rejects((await open(disk)).get('key 1', { space: 'kv' }), { code: 'CORRUPTION' });
  }
});

for (const ids of ['int', 'string'] as const)
  test(`a damaged block of vectors (${ids} ids): the other vectors come back bit for bit and are found`, async () => {
    const disk = await filledDisk(ids);
    const [first] = blocksOf(disk, 2, 1);
    flip(disk, 2, first as string);
    await assert.rejects((await open(disk)).countVectors({ space: 'vectors' }), { code: 'CORRUPTION' });
    const db = await open(disk, 'salvage');
    let found = 0;
    for await (const { id, vector, metadata } of db.scanVectors({ space: 'vectors' })) {
      const number = numberOf(id);
      assert.deepEqual(vector, vectorOf(number));
      assert.deepEqual(metadata, metadataOf(number));
      if (found++ % 50 === 0)
        assert.equal((await db.searchTopK(vector as Float32Array, 1, { space: 'vectors' }))[0]?.id, id);
    }
    assert.ok(found > 0 && found < entries, `${found} of ${entries} vectors`);
    const odd = await db.countVectors({ space: 'vectors', where: 'even=false' });
    assert.ok(odd > 0 && odd < found, `${odd} of ${found} vectors are odd`);
    const spare = ids === 'int' ? 1 : 'id 1';
    await assert.rejects(db.deleteVector(spare, { space: 'vectors' }), { code: 'READ_ONLY' });
  });

test('a damaged block of metadata: every vector comes back, with its metadata or without any', async () => {
  const sound = await filledDisk();
  const records = blocksOf(sound, 2, 5);
  assert.ok(records.length > 4, `${records.length} blocks`);
  // Of the first block's pages all others hang: without it no metadata is found.
  for (const [damaged, most] of [
    [records[0], 0],
    [records[1], entries],
    [records.at(-1), entries],
  ] as const) {
    const disk = cloneDisk(sound);
    flip(disk, 2, damaged as string);
    await assert.rejects((await open(disk)).countVectors({ space: 'vectors' }), { code: 'CORRUPTION' });
    const db = await open(disk, 'salvage');
    let vectors = 0;
    let described = 0;
    for await (const { id, vector, metadata } of db.scanVectors({ space: 'vectors' })) {
      assert.deepEqual(vector, vectorOf(numberOf(id)));
      vectors++;
      if (metadata === undefined || Object.keys(metadata).length === 0) continue;
      assert.deepEqual(metadata, metadataOf(numberOf(id)));
      described++;
    }
    assert.equal(vectors, entries);
    assert.ok(most === 0 ? described === 0 : described > 0 && described < most, `${described} have metadata`);
    // Filters see what has come back and nothing else.
    assert.equal(await db.countVectors({ space: 'vectors', where: 'number >= 0' }), described);
    const { readOnly = [] } = await db.describeSpace('vectors');
    assert.ok(readOnly.some(({ kind, segment }) => kind === 'block' && segment === 5));
  }
});

test('damaged postings are made again: no metadata is lost, and filters find it all', async () => {
  const disk = await filledDisk();
  flip(disk, 2, blocksOf(disk, 2, 6)[0] as string);
  const db = await open(disk, 'salvage');
  assert.equal(await db.countVectors({ space: 'vectors', where: 'even=true' }), entries / 2);
  for await (const { id, metadata } of db.scanVectors({ space: 'vectors' }))
    assert.deepEqual(metadata, metadataOf(numberOf(id)));
});

test('damage to the graph mends itself: nothing is lost, and the space stays writable', async () => {
  for (const segment of [8, 9, 10]) {
    const disk = await filledDisk();
    const [block] = blocksOf(disk, 2, segment);
    flip(disk, 2, block as string);
    assert.equal((await (await open(disk)).verify()).ok, false);
    const db = await open(disk);
    assert.equal(await db.countVectors({ space: 'vectors' }), entries);
    const [hit] = await db.searchTopK(vectorOf(77), 1, { space: 'vectors' });
    assert.equal(hit?.id, 77);
    await db.waitForIndex({ space: 'vectors' });
    await db.insertVector(99_999, vectorOf(99_999), { space: 'vectors' });
    await db.waitForIndex({ space: 'vectors' });
    await db.close();
    const again = await open(disk);
    assert.deepEqual(
      (await again.verify()).spaces.map(({ faults }) => faults),
      [[], [], []],
    );
    assert.equal((await again.describeSpace('vectors')).index?.pending, 0);
    assert.equal(await again.countVectors({ space: 'vectors' }), entries + 1);
  }
});

test('either copy of manifest and catalog is enough; with both of a manifest gone the log is what is left', async () => {
  const sound = await filledDisk();
  const db0 = await open(sound);
  await db0.put('late', 'in the log', { space: 'kv' });
  for (const which of ['manifest', 'manifestCopy'] as const) {
    const disk = cloneDisk(sound);
    disk.space(1)[which] = new Uint8Array(3);
    const db = await open(disk);
    assert.deepEqual(await db.get('key 5', { space: 'kv' }), contentOf(5));
    const report = await db.verify();
    assert.equal(report.ok, false);
    assert.equal(report.spaces[0]?.faults[0]?.kind, 'manifest');
  }
  for (const which of ['catalog', 'catalogCopy'] as const) {
    const disk = cloneDisk(sound);
    disk[which] = new Uint8Array(3);
    const db = await open(disk);
    assert.equal((await db.listSpaces()).length, 3);
    assert.equal((await db.verify()).faults[0]?.kind, 'catalog');
  }
  const disk = cloneDisk(sound);
  disk.space(1).manifest = new Uint8Array(3);
  disk.space(1).manifestCopy = new Uint8Array(3);
  const db = await open(disk, 'salvage');
  assert.equal(await db.get('late', { space: 'kv' }), 'in the log');
  assert.equal((await db.describeSpace('kv')).readOnly?.[0]?.kind, 'manifest');
});

test('a lost log record is named; what the others say is there', async () => {
  const disk = await filledDisk();
  const db0 = await open(disk);
  for (let i = 0; i < 5; i++) await db0.put(`late ${i}`, `${i}`, { space: 'kv' });
  const { log } = disk.space(1);
  const lost = log[2]?.sequence;
  disk.space(1).log = log.filter((_, i) => i !== 2);
  await assert.rejects((await open(disk)).get('late 1', { space: 'kv' }), { code: 'CORRUPTION' });
  const db = await open(disk, 'salvage');
  const there = await db.getMany(['late 0', 'late 1', 'late 2', 'late 3', 'late 4', 'key 9'], {
    space: 'kv',
  });
  assert.deepEqual(there, ['0', '1', undefined, '3', '4', contentOf(9)]);
  assert.deepEqual(
    (await db.describeSpace('kv')).readOnly?.map(({ record }) => record),
    [lost],
  );
});

test('a sound record that cannot be applied is set aside: the space is readable, never unopenable', async () => {
  const disk = await filledDisk();
  const db0 = await open(disk);
  await db0.put('before', '1', { space: 'kv' });
  await db0.put('poisoned', '2', { space: 'kv' });
  await db0.put('after', '3', { space: 'kv' });
  const { log } = disk.space(1);
  const poisoned = log[1];
  assert.ok(poisoned !== undefined);
  const tool = new CoreInstance(nodeCore());
  tool.exports.arena_init(4096);
  // An operation of a kind that does not exist, behind one that does: the record is half done when it fails.
  const half = encodePut('half', 'x');
  const unknown = encodePut('never', 'x').slice();
  unknown[0] = 99;
  const bytes = encodeLogRecord(1, poisoned.sequence, [half, unknown], (data) => tool.checksum(data));
  disk.space(1).log = log.map((entry) => (entry === poisoned ? { ...entry, bytes } : entry));
  const db = await open(disk);
  const there = await db.getMany(['before', 'half', 'never', 'after', 'key 3'], { space: 'kv' });
  assert.deepEqual(there, ['1', undefined, undefined, '3', contentOf(3)]);
  const { readOnly = [] } = await db.describeSpace('kv');
  assert.deepEqual(
    readOnly.map(({ kind, record }) => [kind, record]),
    [['record', poisoned.sequence]],
  );
  await assert.rejects(db.put('more', 'x', { space: 'kv' }), { code: 'READ_ONLY' });
  const report = await db.verify();
  assert.equal(report.spaces[0]?.faults[0]?.record, poisoned.sequence);
  // Emptying it makes it sound.
  await db.clear({ space: 'kv' });
  await db.put('more', 'x', { space: 'kv' });
  assert.equal((await db.verify()).ok, true);
});

test('whatever block or record is damaged, salvage never gives a wrong entry', async () => {
  const sound = await filledDisk();
  const db0 = await open(sound);
  for (let i = 0; i < 20; i++) {
    await db0.put(`key ${i * 7}`, contentOf(i * 7), { space: 'kv' });
    await db0.insertVector(i * 3, vectorOf(i * 3), { space: 'vectors', metadata: metadataOf(i * 3) });
  }
  const random = new Random(seed);
  for (let round = 0; round < 40; round++) {
    const disk = cloneDisk(sound);
    for (const space of [1, 2]) {
      for (const key of [...disk.space(space).blocks.keys()])
        if (random.unit() < 0.15) flip(disk, space, key);
      const { log } = disk.space(space);
      disk.space(space).log = log.filter(() => random.unit() < 0.9);
    }
    const db = await open(disk, 'salvage');
    for await (const { key, value } of db.scan({ space: 'kv' }))
      assert.deepEqual(value, contentOf(Number(key.slice(4))), `round ${round}, seed ${seed}`);
    for await (const { id, vector, metadata } of db.scanVectors({ space: 'vectors' })) {
      assert.deepEqual(vector, vectorOf(Number(id)), `round ${round}, seed ${seed}`);
      if (metadata !== undefined && Object.keys(metadata).length > 0)
        assert.deepEqual(metadata, metadataOf(Number(id)), `round ${round}, seed ${seed}`);
    }
  }
});
