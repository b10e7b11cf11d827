/** Metrics: their names, the core's numbers for them, and what a vector of each is outside. */

import type { Metric, MetricName } from '../api/database.ts';
import { invalid, oneOf, shown } from '../base/arguments.ts';

/** As in wasm/vector/format.h. */
export const metricCodes: Record<Metric, number> = {
  L2: 0,
  InnerProduct: 1,
  Cosine: 2,
  L1: 3,
  Linf: 4,
  Lp: 5,
  Canberra: 6,
  BrayCurtis: 7,
  JensenShannon: 8,
  Hamming: 9,
  Jaccard: 10,
};

const aliases: Record<Exclude<MetricName, Metric>, Metric> = { IP: 'InnerProduct', COS: 'Cosine' };
const names = [...Object.keys(metricCodes), ...Object.keys(aliases)] as MetricName[];

export const dimensionMax = 4096;
/** Bits of a bit vector; as many bytes as 2048 components. */
export const bitsMax = 65_536;
const powerMax = 64;

export function parseMetric(name: unknown): Metric {
  const known = oneOf(name, names, 'metric');
  return known === 'IP' || known === 'COS' ? aliases[known] : known;
}

/** `p` of a space: a number for Lp, `undefined` for the other metrics. @throws INVALID_ARGUMENT */
export function parsePower(p: unknown, metric: Metric): number | undefined {
  if (metric !== 'Lp') {
    if (p === undefined) return undefined;
    throw invalid(`Got ${shown(p)} for p with metric ${metric}, expected none: p belongs to metric Lp`);
  }
  if (p === undefined) return 2;
  if (typeof p !== 'number' || !(Math.fround(p) > 0) || p > powerMax)
    throw invalid(`Got ${shown(p)} for p, expected a number above 0 and at most ${powerMax}`);
  return p;
}

/** Whether vectors are packed bits (`Uint8Array`); else they are floats. */
export function isOfBits(metric: Metric): boolean {
  return metric === 'Hamming' || metric === 'Jaccard';
}

/** Bytes of one vector. */
export function vectorBytes(dimension: number, metric: Metric): number {
  return isOfBits(metric) ? Math.ceil(dimension / 8) : dimension * 4;
}

/** Items of its typed array that one vector takes: components, or bytes of bits. */
export function vectorItems(dimension: number, metric: Metric): number {
  return isOfBits(metric) ? Math.ceil(dimension / 8) : dimension;
}
