/** A vector space straight on the core, without engine or storage: what recall and speed of an index are measured on. */

import { CoreInstance } from '../../src/kernel/instance.ts';
import type { BuildName } from '../../src/kernel/module.ts';
import { loadCore } from '../unit/core.ts';

export const metricCodes = { l2: 0, ip: 1, cosine: 2 } as const;
export type MetricName = keyof typeof metricCodes;

export interface Found {
  /** Row numbers, best first: the id of a vector is its row. */
  readonly rows: number[];
  /** In kernel scale. */
  readonly distances: number[];
}

const insertChunk = 1000;
const linkChunk = 256;

export class CoreSpace {
  readonly dimension: number;
  private readonly instance: CoreInstance;

  constructor(build: BuildName, dimension: number, metric: MetricName, index: 'Flat' | 'HNSW16') {
    this.dimension = dimension;
    this.instance = new CoreInstance(loadCore(build));
    this.instance.exports.arena_init(12_000);
    const kind = index === 'Flat' ? 0 : 1;
    this.check(
      this.instance.exports.vec_create(dimension, metricCodes[metric], kind, 16, 128, 0, 42, 0),
      'vec_create',
    );
  }

  /** Rows of `dimension` values one after another; their ids are 0, 1, … Links them when the index is a graph. */
  fill(vectors: Float32Array): void {
    const { exports } = this.instance;
    const count = vectors.length / this.dimension;
    for (let first = 0; first < count; first += insertChunk) {
      const rows = Math.min(insertChunk, count - first);
      const at = this.instance.scratch(rows * (8 + 4 * this.dimension));
      const ids = this.instance.i64(at, rows);
      for (let i = 0; i < rows; i++) ids[i] = BigInt(first + i);
      const values = vectors.subarray(first * this.dimension, (first + rows) * this.dimension);
      this.instance.f32(at + rows * 8, values.length).set(values);
      this.check(exports.vec_insert(at, at + rows * 8, rows), 'vec_insert');
    }
    while (this.check(exports.vec_link(linkChunk), 'vec_link') > 0);
  }

  search(query: Float32Array, k: number, ef: number): Found {
    const at = this.instance.scratch(4 * this.dimension + 16 * k + 16);
    const ids = at;
    const slots = ids + 8 * k;
    const distances = slots + 4 * k;
    const queryAt = distances + 4 * k;
    this.instance.f32(queryAt, this.dimension).set(query);
    const found = this.check(
      this.instance.exports.vec_search(queryAt, k, ef, slots, distances),
      'vec_search',
    );
    this.check(this.instance.exports.vec_ids(slots, found, ids), 'vec_ids');
    return {
      rows: Array.from(this.instance.i64(ids, found), Number),
      distances: Array.from(this.instance.f32(distances, found)),
    };
  }

  private check(status: number, call: string): number {
    if (status < 0) throw new Error(`${call} answered ${status}`);
    return status;
  }
}
