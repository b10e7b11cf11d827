/**
 * Where data sets come from: public ones and the `latent` generator in ../shared/data where that folder is there (its README
 * says what they are), generated ones anywhere.
 */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { nodeCore } from '../support/node-database.ts';
import { makeSpace } from './core-space.ts';
import { type DataSet, exactDistance, queryCount, rowAt, type SetMetric, truthK } from './data-set.ts';

const root = path.resolve(import.meta.dirname, '../..');
const shared = path.resolve(root, '../shared/data');
const cache = path.join(root, 'build/bench-cache');

/** Why the public sets cannot be had here, if so. */
export const noPublicData: string | undefined = existsSync(path.join(shared, 'README.md'))
  ? undefined
  : `${path.relative(root, shared)} is not there`;

export const publicSets = ['arxiv-gte384', 'fashion10k', 'met-clip512', 'sift10k', 'web-bge1024'] as const;
export type PublicSet = (typeof publicSets)[number];

const latentQueries = 500;

export function loadPublicSet(name: PublicSet): DataSet {
  const about = JSON.parse(readFileSync(path.join(shared, `${name}.json`), 'utf8'));
  const metric = { l2: 'L2', cosine: 'Cosine', ip: 'InnerProduct' }[about.metric as string] as SetMetric;
  const distances = new Float64Array(readBuffer(path.join(shared, `${name}.gtd.f64`)));
  const queries = readFloats(name, 'query', about.dtype);
  const count = queries.length / about.d;
  const perQuery = distances.length / count;
  const truth = Float64Array.from(
    { length: count },
    (_, q) => distances[q * perQuery + truthK - 1] as number,
  );
  return { name, metric, dimension: about.d, base: readFloats(name, 'base', about.dtype), queries, truth };
}

function readFloats(name: string, part: 'base' | 'query', dtype: string): Float32Array {
  const file = path.join(shared, `${name}.${part}.${dtype === 'u8' ? 'u8' : 'f32'}`);
  const bytes = readBuffer(file);
  return dtype === 'u8' ? Float32Array.from(new Uint8Array(bytes)) : new Float32Array(bytes);
}

function readBuffer(file: string): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = readFileSync(file);
  return buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
}

/**
 * Unit vectors of 384 dimensions for InnerProduct, clustered in a latent space of 32: `latent20k`, `latent100k`. Where
 * ../shared is absent, a generated set of the same size under another name.
 */
export async function loadLatent(count: number): Promise<DataSet> {
  const generator = path.join(shared, 'latent.mjs');
  if (!existsSync(generator)) return generateSet(count, 384, latentQueries);
  const { gen } = (await import(pathToFileURL(generator).href)) as {
    gen(count: number, dimension: number, clusters: number, seed: number): Float32Array;
  };
  const all = gen(count + latentQueries, 384, 200, 42);
  return withTruth(`latent${shortCount(count)}`, 384, all, latentQueries);
}

/** Clustered unit vectors for InnerProduct, the same on every machine: `generated2k-48`. */
export function generateSet(count: number, dimension: number, queries: number): DataSet {
  const random = mulberry32(42);
  const centres = Float32Array.from({ length: Math.ceil(Math.sqrt(count)) * dimension }, () =>
    gaussian(random),
  );
  const all = new Float32Array((count + queries) * dimension);
  for (let row = 0; row < count + queries; row++) {
    const centre = Math.floor((random() * centres.length) / dimension) * dimension;
    const vector = rowAt(all, dimension, row);
    for (let i = 0; i < dimension; i++) vector[i] = (centres[centre + i] as number) + gaussian(random);
    const length = Math.hypot(...vector);
    for (let i = 0; i < dimension; i++) vector[i] = (vector[i] as number) / length;
  }
  return withTruth(`generated${shortCount(count)}-${dimension}`, dimension, all, queries);
}

function shortCount(count: number): string {
  return count % 1000 === 0 ? `${count / 1000}k` : String(count);
}

function withTruth(name: string, dimension: number, all: Float32Array, queryRows: number): DataSet {
  const base = all.slice(0, all.length - queryRows * dimension);
  const queries = all.slice(base.length);
  const set = { name, metric: 'InnerProduct' as const, dimension, base, queries };
  return { ...set, truth: cachedTruth(set) };
}

/** Exact distances by Shibumi's own Flat, which the unit tests hold against a float64 loop; kept for the next run. */
function cachedTruth(set: Omit<DataSet, 'truth'>): Float64Array {
  const key = createHash('sha256');
  key.update(JSON.stringify([1, set.name, set.metric, set.dimension, truthK]));
  key.update(new Uint8Array(set.base.buffer)).update(new Uint8Array(set.queries.buffer));
  const file = path.join(cache, `${set.name}-${key.digest('hex').slice(0, 16)}.f64`);
  if (existsSync(file)) return new Float64Array(readBuffer(file));
  const truth = exactTruth(set);
  mkdirSync(cache, { recursive: true });
  // Under another name first, so that a run beside this one never reads half a file.
  writeFileSync(`${file}.${process.pid}`, truth);
  renameSync(`${file}.${process.pid}`, file);
  return truth;
}

function exactTruth(set: Omit<DataSet, 'truth'>): Float64Array {
  const flat = makeSpace(nodeCore('simd128'), set, 'Flat');
  return Float64Array.from({ length: queryCount(set) }, (_, q) => {
    const query = rowAt(set.queries, set.dimension, q);
    const hits = flat.searchTopK(query, truthK, {});
    return Math.max(
      ...hits.map(({ id }) => exactDistance(set.metric, query, rowAt(set.base, set.dimension, Number(id)))),
    );
  });
}

function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Box and Muller. */
function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
