/**
 * Recall against speed for several subjects on one data set.
 *
 * Recall comes first: every efSearch of a grid, and by bisection the least efSearch that reaches each target (nprobe, where that is
 * what a search is told). Then the
 * points are timed round after round, all subjects in turn within a round, so that what the machine does meanwhile hits
 * all of them; a point's speed is the median of its rounds. Runs in Node and in a page.
 */

import { type DataSet, queryCount, recallAt10, rowAt, truthK } from '../data/data-set.ts';
import { type Metric, makeRow, median, percentile, type Row, type RowFrame } from './row.ts';

export interface SearchSubject {
  readonly frame: RowFrame;
  /** What a search is told. Default: efSearch from 10 to 2048. */
  readonly knob?: { readonly name: 'efSearch' | 'nprobe'; readonly least: number; readonly most: number };
  /** Recalls to reach. Default 0.95, 0.99 and 0.995. */
  readonly targets?: readonly (readonly [Metric, number])[];
  /** What is right for this subject, where it is not what the data set says: it searches among some of the vectors. */
  readonly truth?: Float64Array;
  /** Nothing can be asked of it but the exact answer. Default false. */
  readonly exact?: boolean;
  /** `efSearch` 0 means the subject's own choice, which is measured too. Default false. */
  readonly chooses?: boolean;
  /** The ids of the nearest `truthK`, best first. `efSearch` 0 where the search is exact. */
  search(query: Float32Array, efSearch: number): number[] | Promise<number[]>;
  /** Calls kept open at the same time. Default 1. */
  readonly callers?: number;
}

export interface CurvePlan {
  /** efSearch values to print; empty for exact search. */
  readonly grid: readonly number[];
  readonly rounds: number;
  /** A round of one point ends after so long, whole queries only. */
  readonly roundMs: number;
}

interface Run {
  readonly data: DataSet;
  /** The same objects all the time, so that a subject may keep what it makes of them. */
  readonly queries: readonly Float32Array[];
}

interface Point {
  readonly efSearch: number;
  readonly recall: number;
  readonly perSecond: number[];
  readonly latenciesMs: number[];
}

interface Curve {
  readonly subject: SearchSubject;
  readonly points: Map<number, Point>;
  /** Metric -> the efSearch that reaches it; absent where none does. */
  readonly reached: Map<Metric, number>;
}

const defaultTargets: readonly (readonly [Metric, number])[] = [
  ['qps@0.95', 0.95],
  ['qps@0.99', 0.99],
  ['qps@0.995', 0.995],
];
const efSearch = { name: 'efSearch', least: truthK, most: 2048 } as const;

export async function measureCurves(
  data: DataSet,
  subjects: readonly SearchSubject[],
  plan: CurvePlan,
): Promise<Row[]> {
  const run: Run = {
    data,
    queries: Array.from({ length: queryCount(data) }, (_, q) => rowAt(data.queries, data.dimension, q)),
  };
  const curves: Curve[] = [];
  for (const subject of subjects) curves.push(await findPoints(run, subject, gridOf(subject, plan)));
  for (let round = 0; round < plan.rounds; round++) {
    for (const curve of curves) {
      for (const point of curve.points.values()) await timeRound(run, curve.subject, point, plan.roundMs);
    }
  }
  return curves.flatMap(rowsOf);
}

function gridOf({ exact, chooses, knob = efSearch }: SearchSubject, { grid }: CurvePlan): readonly number[] {
  if (exact === true || grid.length === 0) return [];
  const own = grid.filter((value) => value <= knob.most);
  return chooses === true ? [0, ...own] : own;
}

async function findPoints(run: Run, subject: SearchSubject, grid: readonly number[]): Promise<Curve> {
  const points = new Map<number, Point>();
  const recallAt = async (efSearch: number): Promise<number> => {
    const known = points.get(efSearch) ?? (await measureRecall(run, subject, efSearch));
    points.set(efSearch, known);
    return known.recall;
  };
  const reached = new Map<Metric, number>();
  const { targets = defaultTargets } = subject;
  if (grid.length === 0) {
    const recall = await recallAt(0);
    for (const [metric, target] of targets) if (recall >= target) reached.set(metric, 0);
    return { subject, points, reached };
  }
  for (const [metric, target] of targets) {
    const least = await leastReaching(target, subject.knob ?? efSearch, recallAt);
    if (least !== undefined) reached.set(metric, least);
  }
  const wanted = new Set([...grid, ...reached.values()]);
  for (const efSearch of grid) await recallAt(efSearch);
  for (const efSearch of [...points.keys()]) if (!wanted.has(efSearch)) points.delete(efSearch);
  return { subject, points, reached };
}

/** The least efSearch whose recall is at least `target`. */
export async function leastReaching(
  target: number,
  { least, most }: { least: number; most: number },
  recallAt: (efSearch: number) => Promise<number>,
): Promise<number | undefined> {
  let above = least;
  let below = least - 1;
  while ((await recallAt(above)) < target) {
    if (above === most) return undefined;
    below = above;
    above = Math.min(most, above * 2);
  }
  while (above - below > 1) {
    const middle = (above + below) >> 1;
    if ((await recallAt(middle)) >= target) above = middle;
    else below = middle;
  }
  return above;
}

async function measureRecall(
  { data, queries }: Run,
  subject: SearchSubject,
  efSearch: number,
): Promise<Point> {
  const found: number[][] = [];
  for (const query of queries) found.push(await subject.search(query, efSearch));
  const recall = recallAt10({ ...data, truth: subject.truth ?? data.truth }, found);
  return { efSearch, recall, perSecond: [], latenciesMs: [] };
}

/** Queries come round again until the time is up. Every answer is looked at, so that none can be optimised away. */
async function timeRound(
  { queries }: Run,
  subject: SearchSubject,
  point: Point,
  roundMs: number,
): Promise<void> {
  const callers = subject.callers ?? 1;
  let next = 0;
  const started = performance.now();
  const end = started + roundMs;
  const call = async (): Promise<void> => {
    for (;;) {
      const from = performance.now();
      // One query at least, however long the machine was elsewhere.
      if (from >= end && next > 0) return;
      const query = queries[next++ % queries.length] as Float32Array;
      const answer = subject.search(query, point.efSearch);
      const ids = Array.isArray(answer) ? answer : await answer;
      point.latenciesMs.push(performance.now() - from);
      if (ids.length === 0) throw new Error(`${subject.frame.subject} found nothing`);
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  point.perSecond.push((next * 1000) / (performance.now() - started));
}

function rowsOf({ subject, points, reached }: Curve): Row[] {
  const frame = {
    ...subject.frame,
    params: {
      ...subject.frame.params,
      ...(subject.callers === undefined ? {} : { callers: subject.callers }),
    },
  };
  const knob = (subject.knob ?? efSearch).name;
  const rows: Row[] = [];
  for (const point of [...points.values()].sort((a, b) => a.efSearch - b.efSearch)) {
    const params = point.efSearch === 0 ? {} : { [knob]: point.efSearch };
    rows.push(makeRow(frame, 'recall', point.recall, params));
    rows.push(makeRow(frame, 'qps', median(point.perSecond), { ...params, recall: round4(point.recall) }));
  }
  for (const [metric, setting] of reached) {
    const point = points.get(setting) as Point;
    const params = { ...(setting === 0 ? {} : { [knob]: setting }), recall: round4(point.recall) };
    rows.push(makeRow(frame, metric, median(point.perSecond), params));
    if (metric !== 'qps@0.95') continue;
    rows.push(makeRow(frame, 'p50Ms', percentile(point.latenciesMs, 50), params));
    rows.push(makeRow(frame, 'p99Ms', percentile(point.latenciesMs, 99), params));
  }
  return rows;
}

function round4(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
