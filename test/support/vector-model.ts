/** What a vector space should hold, searched by brute force: what the answers of every index type are held against. */

import type { Database, Metric, SearchOptions } from '../../src/api/database.ts';
import { check, near, same } from './check.ts';
import { exactDistanceOf } from './metrics.ts';

const k = 10;

export class VectorModel {
  readonly rows = new Map<number, Float32Array>();
  readonly #metric: Metric;
  readonly #dimension: number;

  constructor(metric: Metric, dimension: number) {
    this.#metric = metric;
    this.#dimension = dimension;
  }

  /** Smaller is nearer. */
  distance(query: Float32Array, id: number): number {
    const row = this.rows.get(id);
    check(row !== undefined, `${id} was deleted and is answered`);
    const distance = exactDistanceOf(this.#metric, query, row as Float32Array);
    return this.#metric === 'InnerProduct' ? -distance : distance;
  }

  /** How many lie within a radius, on the scale of the metric. */
  within(query: Float32Array, radius: number): number {
    const bound = this.#metric === 'InnerProduct' ? -radius : radius;
    return [...this.rows.keys()].filter((id) => this.distance(query, id) < bound).length;
  }

  /** Checks that distances are exact and in order; returns the share of the true k nearest that was found. */
  async recall(db: Database, queries: Float32Array, options: SearchOptions = {}): Promise<number> {
    const dimension = this.#dimension;
    let found = 0;
    const searched = queries.length / dimension;
    for (let q = 0; q < searched; q++) {
      const query = queries.slice(q * dimension, (q + 1) * dimension);
      const hits = await db.searchTopK(query, k, options);
      same(hits.length, k);
      same(new Set(hits.map(({ id }) => id)).size, k, 'distinct hits');
      const all = Float64Array.from(this.rows.keys(), (id) => this.distance(query, id)).sort();
      const worst = all[k - 1] as number;
      let last = -Infinity;
      for (const { id, distance } of hits) {
        const own = this.distance(query, Number(id));
        const told = this.#metric === 'InnerProduct' ? -distance : distance;
        near(told, own, 1e-4 * Math.max(1, Math.abs(own)), `distance of ${id}`);
        check(told >= last, 'best first');
        last = told;
        if (own <= worst + 1e-5 * Math.max(1, Math.abs(worst))) found++;
      }
    }
    return found / (k * searched);
  }
}
