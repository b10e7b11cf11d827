/**
 * Huge and tiny magnitudes: a whole set near either end of what float32 squares hold, and a set whose vectors differ in length
 * by nine powers of ten. Every index type finds by default what arithmetic in float64 finds.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IndexType } from '../../src/api/database.ts';
import { makeSpace, searchAll } from '../data/core-space.ts';
import {
  type DataSet,
  exactDistance,
  queryCount,
  rowAt,
  rowCount,
  type SetMetric,
  truthK,
} from '../data/data-set.ts';
import { generateSet } from '../data/sources.ts';
import { nodeCore } from '../support/node-database.ts';
import { Random } from '../support/random.ts';

const floor = 0.95;
const indexTypes: readonly IndexType[] = [
  'Flat',
  'SQ8',
  'BQ',
  'HNSW16',
  'HNSW16,SQ8',
  'HNSW16,BQ',
  'IVF16',
  'IVF16,SQ8',
];
const unit = generateSet(2000, 48, 40);

/** Every vector times a power of ten of its own. */
function scaled(exponents: () => number): DataSet {
  const stretch = (packed: Float32Array): Float32Array => {
    const rows = packed.slice();
    for (let from = 0; from < rows.length; from += unit.dimension) {
      const factor = 10 ** exponents();
      for (let i = from; i < from + unit.dimension; i++) rows[i] = (rows[i] as number) * factor;
    }
    return rows;
  };
  return { ...unit, base: stretch(unit.base), queries: stretch(unit.queries) };
}

/** The share of answers that are no farther than the true 10th, give or take what float32 rounds. */
function recallOf(data: DataSet, metric: SetMetric, found: readonly (readonly number[])[]): number {
  let right = 0;
  for (const [q, rows] of found.entries()) {
    const query = rowAt(data.queries, data.dimension, q);
    const distances = Array.from({ length: rowCount(data) }, (_, row) =>
      exactDistance(metric, query, rowAt(data.base, data.dimension, row)),
    );
    const tenth = [...distances].sort((a, b) => a - b)[truthK - 1] as number;
    const farthest = tenth + 1e-5 * Math.abs(tenth);
    right += [...new Set(rows)].filter((row) => (distances[row] as number) <= farthest).length;
  }
  return right / (queryCount(data) * truthK);
}

const random = new Random(17);
const sets = [
  { what: 'lengths of 1e-18', data: scaled(() => -18) },
  { what: 'lengths of 1e18', data: scaled(() => 18) },
  { what: 'lengths from 1e-4 to 1e5', data: scaled(() => random.below(10) - 4) },
];

for (const { what, data } of sets) {
  for (const metric of ['L2', 'InnerProduct', 'Cosine'] as const) {
    test(`${metric}, ${what}: every index type finds what is near`, (t) => {
      const found: string[] = [];
      const low: string[] = [];
      for (const indexType of indexTypes) {
        const set: DataSet = { ...data, metric };
        const recall = recallOf(
          set,
          metric,
          searchAll(makeSpace(nodeCore('simd128'), set, indexType), set, truthK, {}),
        );
        found.push(`${indexType} ${recall.toFixed(3)}`);
        if (recall < floor) low.push(`${indexType} ${recall}`);
      }
      t.diagnostic(found.join(', '));
      assert.deepEqual(low, [], `recall@10 of at least ${floor}`);
    });
  }
}
