/**
 * The scenario `batch` of the vectors suite: many queries in one call beside the same queries one by one. Runs in Node and in a
 * page, on the core, in the caller's thread.
 */

import type { IndexType } from '../../src/api/database.ts';
import type { Core } from '../../src/kernel/module.ts';
import { batchQueriesMax } from '../../src/space/space.ts';
import type { VectorSpace } from '../../src/space/vector-space.ts';
import { makeSpace } from '../data/core-space.ts';
import { type DataSet, queryCount, recallAt10, rowAt, truthK } from '../data/data-set.ts';
import { makeRow, median, type Row, type RowFrame } from './row.ts';
import { efConstruction } from './shibumi-subject.ts';
import { m, type VectorsPlan } from './vectors-plan.ts';

const indexTypes: readonly IndexType[] = ['Flat', 'SQ8', `HNSW${m},SQ8`];
const sizes = [1, 8, batchQueriesMax] as const;

export const batchScenario = 'batch';

interface Point {
  readonly frame: RowFrame;
  readonly space: VectorSpace;
  readonly size: number;
  readonly perSecond: number[];
}

export function measureBatches(core: Core, data: DataSet, runtime: Row['runtime'], plan: VectorsPlan): Row[] {
  if (!plan.wants(data, batchScenario, runtime)) return [];
  const points = indexTypes.flatMap((indexType) => {
    const space = makeSpace(core, data, indexType, efConstruction);
    return sizes.map((size): Point => {
      const params = { build: core.build, path: 'core', indexType, queries: size };
      const frame: RowFrame = {
        suite: 'vectors',
        scenario: batchScenario,
        subject: 'shibumi',
        runtime,
        data: data.name,
        params,
      };
      return { frame, space, size, perSecond: [] };
    });
  });
  const { rounds, roundMs } = plan.curve('Flat');
  for (let round = 0; round < rounds; round++) for (const point of points) timeRound(data, point, roundMs);
  return points.flatMap(({ frame, space, size, perSecond }) => [
    makeRow(frame, 'recall', recallAt10(data, answers(data, space, size))),
    makeRow(frame, 'qps', median(perSecond)),
  ]);
}

function timeRound(data: DataSet, { space, size, perSecond }: Point, roundMs: number): void {
  const most = queryCount(data) - size;
  const started = performance.now();
  let done = 0;
  do {
    const from = most <= 0 ? 0 : done % (most + 1);
    done += search(data, space, from, size).length;
  } while (performance.now() - started < roundMs);
  perSecond.push((done * 1000) / (performance.now() - started));
}

/** The ids for queries from .. from + size - 1. One alone is asked for as callers ask for one. */
function search(data: DataSet, space: VectorSpace, from: number, size: number): number[][] {
  const { dimension, queries } = data;
  if (size === 1) {
    const hits = space.searchTopK(rowAt(queries, dimension, from), truthK, {});
    return [hits.map(({ id }) => Number(id))];
  }
  const packed = queries.subarray(from * dimension, (from + size) * dimension);
  const { counts, ids } = space.searchBatch(packed, truthK, {}, {});
  let at = 0;
  return Array.from(counts, (count) => {
    const own = ids.slice(at, at + count).map(Number);
    at += count;
    return own;
  });
}

function answers(data: DataSet, space: VectorSpace, size: number): number[][] {
  const found: number[][] = [];
  const count = queryCount(data);
  for (let from = 0; from < count; from += size)
    found.push(...search(data, space, from, Math.min(size, count - from)));
  return found;
}
