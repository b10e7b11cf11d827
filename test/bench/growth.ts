/**
 * The suite `growth`: how speed and build rate change from 10,000 to a million vectors of 128 dimensions, HNSW16,SQ8. The
 * vectors are made here, clustered, the same on every machine.
 *
 * At each size the least efSearch that reaches recall@10 0.95 is what is timed, so that a graph that needs more of it as
 * it grows shows it. `exponent` is the slope of a line through the logarithms: with 0 the size does not matter, with -1
 * ten times as many vectors take ten times as long. Runs in Node and in a page, on the core, in the caller's thread.
 */

import type { Core } from '../../src/kernel/module.ts';
import { makeSpace } from '../data/core-space.ts';
import { type DataSet, exactDistance, rowAt, truthK } from '../data/data-set.ts';
import { type Metric, makeRow, type Row, type RowFrame } from './row.ts';
import { measureCurves } from './search-curve.ts';
import { coreSubject, efConstruction } from './shibumi-subject.ts';
import { m } from './vectors-plan.ts';

const dimension = 128;
const queries = 100;
const indexType = `HNSW${m},SQ8` as const;

export interface GrowthPlan {
  readonly counts: readonly number[];
  readonly rounds: number;
  readonly roundMs: number;
}

export function growthPlan(quick: boolean): GrowthPlan {
  return quick
    ? { counts: [500, 1000, 2000], rounds: 2, roundMs: 30 }
    : { counts: [10_000, 100_000, 1_000_000], rounds: 5, roundMs: 250 };
}

export async function measureGrowth(
  core: Core,
  runtime: Row['runtime'],
  plan: GrowthPlan,
  log: (line: string) => void,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const count of plan.counts) {
    log(`growth, ${runtime}: ${count} x ${dimension}`);
    rows.push(...(await measureSize(core, runtime, count, plan)));
  }
  return [...rows, ...exponents(rows)];
}

async function measureSize(
  core: Core,
  runtime: Row['runtime'],
  count: number,
  { rounds, roundMs }: GrowthPlan,
): Promise<Row[]> {
  const data = clusteredSet(count);
  const frame: RowFrame = {
    suite: 'growth',
    scenario: indexType,
    subject: 'shibumi',
    runtime,
    data: data.name,
    params: { build: core.build, count },
  };
  const started = performance.now();
  const space = makeSpace(core, data, indexType, efConstruction);
  const seconds = (performance.now() - started) / 1000;
  const curve = await measureCurves(data, [coreSubject(space, frame)], { grid: [64], rounds, roundMs });
  return [
    makeRow(frame, 'buildPerSecond', count / seconds, { efConstruction }),
    makeRow(frame, 'bytesPerVector', space.instance.memoryBytes / count, { where: 'memory' }),
    ...curve,
  ];
}

/** Points around centres; queries are made like them. As many clusters as the square root of the count. */
function clusteredSet(count: number): DataSet {
  const next = uniform(7);
  const clusters = Math.round(Math.sqrt(count));
  const centres = Float32Array.from({ length: clusters * dimension }, () => next());
  const make = (rows: number): Float32Array => {
    const made = new Float32Array(rows * dimension);
    for (let row = 0; row < rows; row++) {
      const centre = Math.floor(((next() + 1) / 2) * clusters) * dimension;
      for (let i = 0; i < dimension; i++)
        // The sum of two uniform numbers falls off from its middle as a cluster does.
        made[row * dimension + i] = (centres[centre + i] as number) + 0.35 * (next() + next());
    }
    return made;
  };
  const set = { name: `clustered-${count}x${dimension}`, metric: 'L2' as const, dimension };
  const all = { ...set, base: make(count), queries: make(queries) };
  return { ...all, truth: truthOf(all) };
}

/** -1 to 1, the same numbers everywhere: xorshift32. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 31 - 1;
  };
}

/** How far each query's 10th neighbour is, by a loop in f32 that keeps the ten nearest and settles them in f64. */
function truthOf(set: Omit<DataSet, 'truth'>): Float64Array {
  const { base, metric } = set;
  const count = base.length / dimension;
  return Float64Array.from({ length: queries }, (_, q) => {
    const query = rowAt(set.queries, dimension, q);
    const nearest: { row: number; distance: number }[] = [];
    let worst = Number.POSITIVE_INFINITY;
    for (let row = 0; row < count; row++) {
      let distance = 0;
      const at = row * dimension;
      for (let i = 0; i < dimension && distance < worst; i++) {
        const difference = (base[at + i] as number) - (query[i] as number);
        distance += difference * difference;
      }
      if (distance >= worst) continue;
      nearest.push({ row, distance });
      nearest.sort((a, b) => a.distance - b.distance);
      nearest.length = Math.min(nearest.length, truthK);
      if (nearest.length === truthK) worst = (nearest[truthK - 1] as { distance: number }).distance;
    }
    return Math.max(...nearest.map(({ row }) => exactDistance(metric, query, rowAt(base, dimension, row))));
  });
}

/** The slope of log(value) over log(count), by least squares. */
export function slope(points: readonly (readonly [count: number, value: number])[]): number {
  const logs = points.map(([count, value]) => [Math.log(count), Math.log(value)] as const);
  const meanX = logs.reduce((sum, [x]) => sum + x, 0) / logs.length;
  const meanY = logs.reduce((sum, [, y]) => sum + y, 0) / logs.length;
  const up = logs.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return up / logs.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}

function exponents(rows: readonly Row[]): Row[] {
  return (['qps@0.95', 'buildPerSecond'] satisfies Metric[]).flatMap((metric) => {
    const points = rows.filter((row) => row.metric === metric);
    const [first] = points;
    if (first === undefined || points.length < 2) return [];
    const { build } = first.params;
    const frame = {
      ...first,
      data: 'all sizes',
      params: { ...(build === undefined ? {} : { build }), of: metric },
    };
    return [makeRow(frame, 'exponent', slope(points.map((row) => [row.params.count as number, row.value])))];
  });
}
