/**
 * The core in parts: each serves what it is loaded for, byte for byte as the whole one does, and what needs another one comes to
 * it, with nothing lost on the way.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IndexType, Metric } from '../../src/api/database.ts';
import { isShibuDbError, shibuDbError } from '../../src/api/errors.ts';
import { nextTask } from '../../src/base/next-task.ts';
import { CoreInstance, OtherCore } from '../../src/kernel/instance.ts';
import {
  type Core,
  type CoreKind,
  type Cores,
  checkWhole,
  LazyCores,
  oneCore,
} from '../../src/kernel/module.ts';
import { isCommon } from '../../src/space/common-index.ts';
import { KeyValueSpace } from '../../src/space/key-value-space.ts';
import { encodeInsertInts, encodePut, operationsIn } from '../../src/space/operation.ts';
import { VectorSpace } from '../../src/space/vector-space.ts';
import { MemoryDisk } from '../../src/storage/memory-backend.ts';
import { nodeCore, nodeCoreFor } from '../support/node-database.ts';
import { Random } from '../support/random.ts';
import { openInProcess } from './database.ts';

const builds = ['simd128', 'relaxed'] as const;
const dimension = 8;

function freshInstance(core: Core): CoreInstance {
  const instance = new CoreInstance(core);
  instance.exports.arena_init(1000);
  return instance;
}

function vectorSpace(core: Core, indexType: IndexType, metric: Metric): VectorSpace {
  return new VectorSpace(freshInstance(core), {
    dimension,
    metric,
    ...(metric === 'Lp' ? { p: 3 } : {}),
    indexType,
    ids: 'int',
    efConstruction: 40,
    seed: 1,
  });
}

/** Cores that say which were loaded; one that is `missing` cannot be. */
function watched(missing?: CoreKind): Cores & { readonly loadedKinds: CoreKind[] } {
  const loadedKinds: CoreKind[] = [];
  const cores = new LazyCores('simd128', async (kind) => {
    loadedKinds.push(kind);
    if (kind === missing) throw shibuDbError('WASM_UNAVAILABLE', `no ${kind} core`);
    return nodeCoreFor(kind);
  });
  return Object.assign(cores, { loadedKinds });
}

const indexTypes: readonly IndexType[] = [
  'Flat',
  'SQ8',
  'BQ',
  'PQ2',
  'HNSW8',
  'HNSW8,Flat',
  'HNSW8,SQ8',
  'HNSW8,BQ',
  'HNSW8,PQ2',
  'IVF4',
  'IVF4,Flat',
  'IVF4,SQ8',
  'IVF4,PQ2',
];
const metrics: readonly Metric[] = [
  'L2',
  'InnerProduct',
  'Cosine',
  'L1',
  'Linf',
  'Lp',
  'Canberra',
  'BrayCurtis',
  'JensenShannon',
  'Hamming',
  'Jaccard',
];

test('what the engine takes the part for vectors for is what that part serves', () => {
  let served = 0;
  for (const metric of metrics)
    for (const indexType of indexTypes) {
      const isForAll = /^(Flat|HNSW8(,Flat)?)$/.test(indexType);
      if (!isForAll && !['L2', 'InnerProduct', 'Cosine'].includes(metric)) continue;
      vectorSpace(nodeCore(), indexType, metric).create();
      const space = vectorSpace(nodeCoreFor('vector'), indexType, metric);
      if (isCommon(indexType, metric)) {
        space.create();
        served++;
      } else assert.throws(() => space.create(), OtherCore, `${indexType} ${metric}`);
    }
  assert.equal(served, 3 * 5);
});

/** Every block of an instance, by name. */
function imageOf({ exports, bytes }: CoreInstance, of: CoreInstance): Map<string, Buffer> {
  const blocks = new Map<string, Buffer>();
  for (let segment = 0; segment < 32; segment++)
    for (let index = 0; index < exports.arena_segment_blocks(segment); index++) {
      const at = exports.block_at(segment, index) >>> 0;
      blocks.set(`${segment}/${index}`, Buffer.from(bytes.call(of).slice(at, at + exports.block_bytes())));
    }
  return blocks;
}

function assertSameImage(a: CoreInstance, b: CoreInstance, what: string): void {
  const one = imageOf(a, a);
  const other = imageOf(b, b);
  assert.deepEqual([...one.keys()], [...other.keys()], what);
  assert.ok(one.size > 0);
  for (const [name, block] of one) assert.ok(other.get(name)?.equals(block), `${what}: block ${name}`);
}

for (const build of builds)
  test(`the same calls leave the same bytes in a part and in the whole core (${build})`, () => {
    const random = new Random(3);
    const vectors = random.vectors(600 * dimension);
    for (const indexType of ['Flat', 'HNSW8', 'HNSW8,SQ8', 'SQ8'] as const)
      for (const metric of ['L2', 'InnerProduct', 'Cosine'] as const) {
        const [part, whole] = [nodeCoreFor('vector', build), nodeCore(build)].map((core) => {
          const space = vectorSpace(core, indexType, metric);
          space.create();
          const ids = BigInt64Array.from({ length: 600 }, (_, i) => BigInt(i % 500));
          for (const operation of operationsIn(encodeInsertInts(ids, vectors))) space.apply(operation);
          while (space.pending() > 0) space.maintain(100);
          return space;
        }) as [VectorSpace, VectorSpace];
        assertSameImage(part.instance, whole.instance, `${indexType} ${metric}`);
        const query = vectors.subarray(0, dimension);
        assert.deepEqual(part.searchTopK(query, 10, {}), whole.searchTopK(query, 10, {}));
      }
    const keys = Array.from({ length: 5000 }, (_, i) => `key ${(i * 7919) % 4001}`);
    const [part, whole] = [nodeCoreFor('key-value', build), nodeCore(build)].map((core) => {
      const space = new KeyValueSpace(freshInstance(core));
      space.create();
      for (const [i, key] of keys.entries())
        for (const operation of operationsIn(encodePut(key, `value ${i}`, undefined))) space.apply(operation);
      return space;
    }) as [KeyValueSpace, KeyValueSpace];
    assertSameImage(part.instance, whole.instance, 'key-value');
  });

test('a part is loaded when a space needs it and not before', async () => {
  const cores = watched();
  const db = await openInProcess(undefined, { cores });
  await db.listSpaces();
  assert.deepEqual(cores.loadedKinds, []);
  await db.createSpace('kv', 'key-value');
  await db.put('a', '1', { space: 'kv' });
  assert.deepEqual(cores.loadedKinds, ['key-value']);
  await db.createSpace('points', 'vector', { dimension, indexType: 'HNSW8,SQ8' });
  await db.insertVector(1, new Float32Array(dimension), { space: 'points' });
  assert.deepEqual(cores.loadedKinds, ['key-value', 'vector']);
  await db.createSpace('lists', 'vector', { dimension, indexType: 'IVF4' });
  await db.insertVector(1, new Float32Array(dimension), { space: 'lists' });
  assert.deepEqual(cores.loadedKinds, ['key-value', 'vector', 'whole']);
  await db.createSpace('more', 'vector', { dimension });
  await db.countVectors({ space: 'more' });
  const { disk } = db;
  await db.close();

  const again = watched();
  const opened = await openInProcess(disk, { cores: again });
  assert.deepEqual(again.loadedKinds, ['whole'], 'the whole one serves the others too');
  assert.equal(await opened.get('a', { space: 'kv' }), '1');
  assert.equal(await opened.countVectors({ space: 'points' }), 1);
  assert.deepEqual(again.loadedKinds, ['whole']);
  await opened.close();
});

test('a core that could not be loaded is told to whoever needs it, and tried again', async () => {
  let attempts = 0;
  const cores = new LazyCores('simd128', async (kind) => {
    if (++attempts < 2) throw shibuDbError('WASM_UNAVAILABLE', 'the network is down');
    return nodeCoreFor(kind);
  });
  const db = await openInProcess(undefined, { cores });
  await db.createSpace('kv', 'key-value');
  await assert.rejects(db.put('a', '1', { space: 'kv' }), { code: 'WASM_UNAVAILABLE' });
  await db.put('a', '2', { space: 'kv' });
  assert.equal(await db.get('a', { space: 'kv' }), '2');
  assert.equal(attempts, 2);
  await db.close();
});

test('a reindex moves a space in use into the whole core, and what is written and read meanwhile is there', async () => {
  const cores = watched();
  const db = await openInProcess(undefined, { cores });
  const random = new Random(5);
  const count = 2000;
  const vectors = random.vectors(count * dimension);
  await db.createSpace('points', 'vector', { dimension, indexType: 'HNSW8,SQ8', durability: 'none' });
  const points = db.space('points');
  await points.insertVectors(
    Array.from({ length: count }, (_, i) => i),
    vectors,
  );
  const scanned: unknown[] = [];
  const scan = points.scanVectors()[Symbol.asyncIterator]();
  scanned.push((await scan.next()).value.id);
  let writing = true;
  let written = count;
  const writer = (async () => {
    while (writing) {
      await points.insertVector(written++, random.vectors(dimension));
      await nextTask();
    }
  })();
  await points.reindex({ indexType: 'IVF4' });
  assert.deepEqual(cores.loadedKinds, ['vector', 'whole']);
  writing = false;
  await writer;
  for (let next = await scan.next(); !next.done; next = await scan.next()) scanned.push(next.value.id);
  assert.deepEqual(
    scanned.slice(0, count),
    Array.from({ length: count }, (_, i) => i),
  );
  assert.equal(await points.countVectors(), written);
  for (const id of [0, 7, count - 1])
    assert.deepEqual(await points.getVector(id), vectors.slice(id * dimension, (id + 1) * dimension));
  assert.equal((await db.describeSpace('points')).indexType, 'IVF4');
  const { disk } = db;
  await db.close();

  const again = await openInProcess(disk, { cores: watched() });
  const report = await again.verify();
  assert.ok(report.ok, JSON.stringify(report));
  assert.equal(await again.countVectors({ space: 'points' }), written);
  const [hit] = await again.searchTopK(vectors.subarray(0, dimension), 1, { space: 'points' });
  assert.equal(hit?.id, 0);
  // And back, in the core it is in.
  await again.space('points').reindex({ indexType: 'HNSW8' });
  assert.equal(await again.countVectors({ space: 'points' }), written);
  await again.close();
});

test('without the whole core a reindex that needs it fails and changes nothing', async () => {
  const db = await openInProcess(undefined, { cores: watched('whole') });
  await db.createSpace('points', 'vector', { dimension, indexType: 'HNSW8' });
  const points = db.space('points');
  await points.insertVectors([1, 2], new Float32Array(2 * dimension).fill(1));
  await assert.rejects(points.reindex({ indexType: 'IVF4' }), { code: 'WASM_UNAVAILABLE' });
  assert.equal((await db.describeSpace('points')).indexType, 'HNSW8');
  await points.insertVector(3, new Float32Array(dimension));
  assert.equal(await points.countVectors(), 3);
  await points.reindex({ indexType: 'SQ8' });
  assert.equal((await points.searchTopK(new Float32Array(dimension), 1))[0]?.id, 3);
  await db.close();
});

test('an image whose index the catalog does not name any more is opened by the core that knows it', async () => {
  const disk = new MemoryDisk();
  const before = await openInProcess(disk, { settings: { backgroundTimers: false } });
  await before.createSpace('points', 'vector', { dimension, indexType: 'IVF4' });
  await before.insertVectors([1, 2], new Float32Array(2 * dimension).fill(1), { space: 'points' });
  await before.checkpoint();
  await before.reindex({ indexType: 'HNSW8', space: 'points' });
  // The catalog has the new index; the image is still the one of the checkpoint.
  before.crash();

  const cores = watched();
  const db = await openInProcess(disk, { cores });
  assert.equal(await db.countVectors({ space: 'points' }), 2);
  assert.equal((await db.describeSpace('points')).indexType, 'HNSW8');
  assert.deepEqual(cores.loadedKinds, ['vector', 'whole']);
  const report = await db.verify();
  assert.ok(report.ok, JSON.stringify(report));
  await db.close();
  await before.close().catch(() => {});
});

test('a core that is loaded twice at once is loaded once, and the whole one takes the place of the others', async () => {
  const cores = watched();
  const [a, b] = await Promise.all([cores.load('vector'), cores.load('vector')]);
  assert.equal(a, b);
  assert.equal(cores.loaded, a);
  const whole = await cores.load('whole');
  assert.equal(await cores.load('key-value'), whole);
  assert.deepEqual(cores.loadedKinds, ['vector', 'whole']);
  assert.equal(await oneCore(nodeCore()).load('vector'), nodeCore());
});

test('a part is refused where one core is to serve everything', () => {
  checkWhole(nodeCore().module);
  const empty = new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
  for (const [module, said] of [
    [nodeCoreFor('vector').module, /without all of the core/],
    [nodeCoreFor('key-value').module, /without all of the core/],
    [empty, /without the core/],
  ] as const)
    assert.throws(
      () => checkWhole(module),
      (error) => isShibuDbError(error) && error.code === 'INVALID_ARGUMENT' && said.test(error.message),
    );
});
