/**
 * The peer every exact scan has to beat: a plain loop over typed arrays, one multiply-add at a time, and a top-k kept by
 * insertion. Vectors for Cosine are normalised beforehand, so that each costs one product. Runs in Node and in a page.
 */

import { type DataSet, rowAt, rowCount, truthK } from '../data/data-set.ts';
import type { RowFrame } from './row.ts';
import type { SearchSubject } from './search-curve.ts';

export function jsLoop(data: DataSet, frame: Omit<RowFrame, 'subject' | 'params'>): SearchSubject {
  const { dimension, metric } = data;
  const base = metric === 'Cosine' ? normalised(data.base, dimension) : data.base;
  const count = rowCount(data);
  const best = new Float64Array(truthK);
  const ids = new Int32Array(truthK);
  const distanceOf = metric === 'L2' ? squaredDistance : negativeProduct;
  return {
    frame: { ...frame, subject: 'js-loop', params: {} },
    exact: true,
    search(query) {
      best.fill(Number.POSITIVE_INFINITY);
      ids.fill(-1);
      for (let row = 0; row < count; row++) {
        const distance = distanceOf(base, row * dimension, query, dimension);
        if (distance >= (best[truthK - 1] as number)) continue;
        let at = truthK - 1;
        for (; at > 0 && (best[at - 1] as number) > distance; at--) {
          best[at] = best[at - 1] as number;
          ids[at] = ids[at - 1] as number;
        }
        best[at] = distance;
        ids[at] = row;
      }
      return Array.from(ids.subarray(0, Math.min(truthK, count)));
    },
  };
}

function squaredDistance(base: Float32Array, at: number, query: Float32Array, dimension: number): number {
  let sum = 0;
  for (let i = 0; i < dimension; i++) {
    const difference = (base[at + i] as number) - (query[i] as number);
    sum += difference * difference;
  }
  return sum;
}

function negativeProduct(base: Float32Array, at: number, query: Float32Array, dimension: number): number {
  let sum = 0;
  for (let i = 0; i < dimension; i++) sum += (base[at + i] as number) * (query[i] as number);
  return -sum;
}

function normalised(packed: Float32Array, dimension: number): Float32Array {
  const copy = packed.slice();
  for (let row = 0; row * dimension < copy.length; row++) {
    const vector = rowAt(copy, dimension, row);
    let squares = 0;
    for (const component of vector) squares += component * component;
    // A zero vector stays one: its cosine with everything is 0.
    const scale = squares === 0 ? 0 : 1 / Math.sqrt(squares);
    for (let i = 0; i < dimension; i++) vector[i] = (vector[i] as number) * scale;
  }
  return copy;
}
