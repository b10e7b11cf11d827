/** How much of the vectors suite is done: all of it, or just enough to know that it still works. */

import type { IndexType } from '../../src/api/database.ts';
import type { CurvePlan } from './search-curve.ts';

/** Neighbours of a node, in every graph. */
export const m = 16;

/** What is measured on every data set; a graph beside graphs, a scan beside the JavaScript loop. */
export const scenarios: readonly { readonly indexType: IndexType; readonly graph: boolean }[] = [
  { indexType: 'Flat', graph: false },
  { indexType: 'SQ8', graph: false },
  { indexType: 'BQ', graph: false },
  { indexType: `HNSW${m}`, graph: true },
  { indexType: `HNSW${m},SQ8`, graph: true },
  { indexType: `HNSW${m},BQ`, graph: true },
];

export interface VectorsPlan {
  curve(indexType: IndexType): CurvePlan;
  /** Times a database is opened again; the median counts. */
  readonly opens: number;
}

export function vectorsPlan(quick: boolean): VectorsPlan {
  const grid = quick ? [16, 64] : [16, 64, 256];
  const rounds = quick ? 2 : 5;
  const roundMs = quick ? 30 : 250;
  return {
    opens: quick ? 1 : 5,
    curve: (indexType) => ({ grid: indexType === 'Flat' ? [] : grid, rounds, roundMs }),
  };
}
