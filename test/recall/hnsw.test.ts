/**
 * Recall of HNSW16 (efConstruction 128) on real data: of the 10 true nearest neighbours at least 95 % are found at
 * efSearch 64, averaged over the queries. Truth is the sets' own, computed in f64; for the generated one it is Flat's.
 *
 * A hit counts when its exact distance is at most that of the 10th true neighbour, so equal vectors may stand in for one
 * another (../shared/data/README.md). The sets are not part of the project: where they are absent, the tests skip.
 */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type BuildName, supportedBuild } from '../../src/kernel/module.ts';
import { CoreSpace, type MetricName } from './core-space.ts';

const folder = path.resolve(import.meta.dirname, '../../../shared/data');
const builds: readonly BuildName[] = ['simd128', 'relaxed'];
const k = 10;
const efSearch = 64;
const floor = 0.95;

interface DataSet {
  readonly dimension: number;
  readonly metric: MetricName;
  readonly base: Float32Array;
  readonly queries: Float32Array;
  /** Of each query, the exact distance of its k-th true neighbour. */
  readonly kth: readonly number[];
}

const publicSets = ['arxiv-gte384', 'fashion10k', 'met-clip512', 'sift10k', 'web-bge1024'];

function readBytes(file: string): ArrayBuffer {
  const bytes = readFileSync(path.join(folder, file));
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}

function readVectors(name: string): Float32Array {
  if (existsSync(path.join(folder, `${name}.f32`))) return new Float32Array(readBytes(`${name}.f32`));
  return Float32Array.from(new Uint8Array(readBytes(`${name}.u8`)));
}

function readSet(name: string): DataSet {
  const info = JSON.parse(readFileSync(path.join(folder, `${name}.json`), 'utf8'));
  const queries = readVectors(`${name}.query`);
  const distances = new Float64Array(readBytes(`${name}.gtd.f64`));
  const queryCount = queries.length / info.d;
  const truthDepth = distances.length / queryCount;
  return {
    dimension: info.d,
    metric: info.metric,
    base: readVectors(`${name}.base`),
    queries,
    kth: Array.from({ length: queryCount }, (_, i) => distances[i * truthDepth + k - 1] ?? Number.NaN),
  };
}

function rowOf(vectors: Float32Array, row: number, dimension: number): Float32Array {
  return vectors.subarray(row * dimension, (row + 1) * dimension);
}

/** In f64, on the scale of the ground truth. */
function exactDistance(a: Float32Array, b: Float32Array, metric: MetricName): number {
  let square = 0;
  let dot = 0;
  let normA = 0;
  let normB = 0;
  for (const [i, x] of a.entries()) {
    const y = b[i] ?? Number.NaN;
    square += (x - y) ** 2;
    dot += x * y;
    normA += x * x;
    normB += y * y;
  }
  if (metric === 'l2') return square;
  if (metric === 'ip') return -dot;
  return normA === 0 || normB === 0 ? 1 : 1 - dot / Math.sqrt(normA * normB);
}

function measureRecall(space: CoreSpace, set: DataSet, ef: number): number {
  let right = 0;
  for (const [i, kth] of set.kth.entries()) {
    const query = rowOf(set.queries, i, set.dimension);
    const { rows } = space.search(query, k, ef);
    assert.equal(rows.length, k);
    assert.equal(new Set(rows).size, k, 'a row was answered twice');
    for (const row of rows) {
      const distance = exactDistance(query, rowOf(set.base, row, set.dimension), set.metric);
      if (distance <= kth + 1e-9 * (1 + Math.abs(kth))) right++;
    }
  }
  return right / (k * set.kth.length);
}

function skipReason(build: BuildName): string | undefined {
  if (build === 'relaxed' && supportedBuild() !== 'relaxed') return 'no relaxed SIMD here';
  return existsSync(folder) ? undefined : `${folder} is not there`;
}

for (const build of builds) {
  for (const name of publicSets) {
    test(`${build}: recall@10 on ${name} is at least ${floor} at efSearch ${efSearch}`, (t) => {
      const reason = skipReason(build);
      if (reason !== undefined) return t.skip(reason);
      const set = readSet(name);
      const space = new CoreSpace(build, set.dimension, set.metric, 'HNSW16');
      space.fill(set.base);
      const recall = measureRecall(space, set, efSearch);
      t.diagnostic(`recall@10 ${recall.toFixed(4)}`);
      assert.ok(recall >= floor, `recall@10 is ${recall}`);
    });
  }
}

test('Flat finds exactly the true neighbours of sift10k', (t) => {
  const build = supportedBuild();
  const reason = build === undefined ? 'no WASM SIMD here' : skipReason(build);
  if (reason !== undefined || build === undefined) return t.skip(reason);
  const set = readSet('sift10k');
  const space = new CoreSpace(build, set.dimension, set.metric, 'Flat');
  space.fill(set.base);
  assert.equal(measureRecall(space, set, 0), 1);
});

test(`recall@10 on latent 100k x 384 is at least ${floor} at efSearch ${efSearch}`, async (t) => {
  const build = supportedBuild();
  const reason = build === undefined ? 'no WASM SIMD here' : skipReason(build);
  if (reason !== undefined || build === undefined) return t.skip(reason);
  const dimension = 384;
  const rows = 100_000;
  const queryCount = 200;
  const { gen } = await import(pathToFileURL(path.join(folder, 'latent.mjs')).href);
  const all: Float32Array = gen(rows + queryCount, dimension, 200, 42);
  const base = all.subarray(0, rows * dimension);
  const queries = all.subarray(rows * dimension);

  const flat = new CoreSpace(build, dimension, 'cosine', 'Flat');
  flat.fill(base);
  const kth = Array.from({ length: queryCount }, (_, i) => {
    const query = rowOf(queries, i, dimension);
    const last = flat.search(query, k, 0).rows[k - 1] ?? Number.NaN;
    return exactDistance(query, rowOf(base, last, dimension), 'cosine');
  });
  const space = new CoreSpace(build, dimension, 'cosine', 'HNSW16');
  const started = performance.now();
  space.fill(base);
  const seconds = (performance.now() - started) / 1000;
  const recall = measureRecall(space, { dimension, metric: 'cosine', base, queries, kth }, efSearch);
  t.diagnostic(`${build}: recall@10 ${recall.toFixed(4)}, built at ${Math.round(rows / seconds)} vectors/s`);
  assert.ok(recall >= floor, `recall@10 is ${recall}`);
});
