/**
 * Data sets that recall tests and benchmarks share, and what "the right answer" means for them.
 *
 * Nothing here touches files, so that it runs in a page as well; sources.ts reads and generates.
 */

/** The metrics of the sets, which every index type serves. */
export type SetMetric = 'L2' | 'InnerProduct' | 'Cosine';

/** Base vectors, queries, and how far the true neighbours are. */
export interface DataSet {
  readonly name: string;
  readonly metric: SetMetric;
  readonly dimension: number;
  /** `count * dimension` components, row after row; row i has id i. */
  readonly base: Float32Array;
  readonly queries: Float32Array;
  /**
   * For every query the float64 distance of its `truthK`-th true neighbour: squared L2, 1 - cosine, or minus the product.
   * A row no farther away is a right answer, so that ties and duplicates count whichever of them is returned.
   */
  readonly truth: Float64Array;
}

/** Neighbours that searches are asked for and judged by. */
export const truthK = 10;

export function rowCount({ base, dimension }: Pick<DataSet, 'base' | 'dimension'>): number {
  return base.length / dimension;
}

export function queryCount({ queries, dimension }: Pick<DataSet, 'queries' | 'dimension'>): number {
  return queries.length / dimension;
}

export function rowAt(packed: Float32Array, dimension: number, row: number): Float32Array {
  return packed.subarray(row * dimension, (row + 1) * dimension);
}

/** In float64, smaller is nearer. A zero vector has cosine 0 with everything. */
export function exactDistance(metric: SetMetric, a: Float32Array, b: Float32Array): number {
  let squares = 0;
  let product = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] as number;
    const y = b[i] as number;
    squares += (x - y) * (x - y);
    product += x * y;
    aa += x * x;
    bb += y * y;
  }
  if (metric === 'L2') return squares;
  if (metric === 'InnerProduct') return -product;
  return aa === 0 || bb === 0 ? 1 : 1 - product / Math.sqrt(aa * bb);
}

/** recall@10: the share of the true neighbours that were found. `found[q]` holds query q's answer, best first. */
export function recallAt10(data: DataSet, found: readonly (readonly number[])[]): number {
  let right = 0;
  for (const [q, rows] of found.entries()) {
    const query = rowAt(data.queries, data.dimension, q);
    // Room for another order of summation, far below the distance between two neighbours.
    const farthest = (data.truth[q] as number) + 1e-9 * Math.max(1, Math.abs(data.truth[q] as number));
    // A row returned twice is one answer.
    for (const row of new Set(rows.slice(0, truthK))) {
      if (exactDistance(data.metric, query, rowAt(data.base, data.dimension, row)) <= farthest) right++;
    }
  }
  return right / (found.length * Math.min(truthK, rowCount(data)));
}
