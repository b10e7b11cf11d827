/** What the vectors suite measures, and how much of it: all, a part, or just enough to know that it still works. */

import type { IndexType } from '../../src/api/database.ts';
import { type DataSet, rowCount } from '../data/data-set.ts';
import type { Row } from './row.ts';
import type { CurvePlan } from './search-curve.ts';

/** Neighbours of a node, in every graph. */
export const m = 16;

export interface Scenario {
  readonly indexType: IndexType;
  /** A scan is measured beside the JavaScript loop, a graph beside graphs, lists beside our own Flat. */
  readonly kind: 'scan' | 'graph' | 'lists';
  /** Of `lists`: how many. */
  readonly lists?: number;
}

/** Training takes 39 vectors a centroid. */
const listsOf = (data: DataSet): number => (rowCount(data) >= 256 * 39 ? 256 : 16);

/** Beyond it, training and coding take longer than they are worth here. */
const listsDimensionMost = 512;

/** Every index type that is measured on a data set. */
export function scenariosOf(data: DataSet): Scenario[] {
  const scans = ['Flat', 'SQ8', 'BQ'] as const;
  const graphs = [`HNSW${m}`, `HNSW${m},SQ8`, `HNSW${m},BQ`] as const;
  const lists = listsOf(data);
  const inLists: IndexType[] =
    data.dimension > listsDimensionMost
      ? []
      : [`IVF${lists}`, `IVF${lists},SQ8`, `IVF${lists},PQ${data.dimension / 8}`];
  return [
    ...scans.map((indexType): Scenario => ({ indexType, kind: 'scan' })),
    ...graphs.map((indexType): Scenario => ({ indexType, kind: 'graph' })),
    ...inLists.map((indexType): Scenario => ({ indexType, kind: 'lists', lists })),
  ];
}

/** What else is measured on it: filters.ts, batches.ts, builds.ts. */
export const otherScenarios = [
  ...[50, 10, 1, 0.1].map((percent) => `filter ${percent}%`),
  'batch',
  'threads',
  'training',
] as const;

export interface VectorsPlan {
  readonly quick: boolean;
  /** Whether a scenario is to be measured. */
  wants(data: DataSet, scenario: string, runtime: Row['runtime']): boolean;
  curve(indexType: IndexType): CurvePlan;
  /** Times a database is opened again; the median counts. */
  readonly opens: number;
}

/** `only`: a regular expression that data, scenario and runtime, with blanks between, have to match. Default: all do. */
export function vectorsPlan(quick: boolean, only = ''): VectorsPlan {
  const grid = quick ? [16, 64] : [16, 64, 256];
  const probes = quick ? [4] : [4, 16, 64];
  const rounds = quick ? 2 : 5;
  const roundMs = quick ? 30 : 250;
  const pattern = new RegExp(only);
  return {
    quick,
    wants: (data, scenario, runtime) => pattern.test(`${data.name} ${scenario} ${runtime}`),
    opens: quick ? 1 : 5,
    curve: (indexType) => {
      const own = indexType.startsWith('IVF') ? probes : grid;
      return { grid: indexType === 'Flat' ? [] : own, rounds, roundMs };
    },
  };
}
