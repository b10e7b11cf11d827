/**
 * `indexType: 'Auto'`: which index a space has is decided by what searching it costs, and decided again whenever the number
 * of vectors has doubled or halved.
 *
 * A scan is exact, needs no building and forgets at once, so it is kept for as long as it is quick; beyond that a graph, over
 * codes where the metric has them. IVF and PQ build quicker or are smaller, but never search faster at the same recall (see
 * docs/indexes.md), so they are for whoever asks for them.
 */

import type { IndexChoice, IndexType, Metric } from '../api/database.ts';
import { vectorBytes } from './metrics.ts';
import type { VectorSpace } from './vector-space.ts';

/** Below it nothing is worth an index, however slow the machine. */
const countLeast = 1000;
/** An exact search that takes longer is worth an index; one that takes less than half of it is not worth keeping one. */
const scanMsMost = 2;
/** Bytes a millisecond that no scan exceeds: what counts where the clock stands still during a call. */
const bytesPerMsMost = 16e6;
const measured = 3;

/**
 * Whether the number of vectors is so far from that of the last decision that there is something to decide; 0: nothing was
 * decided since the space was opened.
 */
export function isWorthDeciding(count: number, lastCount: number, current: IndexType): boolean {
  if (lastCount === 0 && current !== 'Flat') return true;
  return count >= Math.max(countLeast, 2 * lastCount) || 2 * count <= lastCount;
}

export function decideIndex(space: VectorSpace, now: () => number, current: IndexType): IndexChoice {
  const { dimension, metric } = space.shape;
  const count = space.count();
  if (count < countLeast) return { indexType: 'Flat', reason: `${count} vectors are scanned in no time` };
  const atLeastMs = (count * vectorBytes(dimension, metric)) / bytesPerMsMost;
  const scanMs = Math.max(atLeastMs, measureScan(space, now));
  const most = current === 'Flat' ? scanMsMost : scanMsMost / 2;
  const cost = `an exact search of ${count} vectors takes ${scanMs.toPrecision(2)} ms`;
  if (scanMs <= most) return { indexType: 'Flat', reason: `${cost}, no more than ${most}` };
  return { indexType: graphFor(metric), reason: `${cost}, more than ${most}` };
}

function graphFor(metric: Metric): IndexType {
  return metric === 'L2' || metric === 'InnerProduct' || metric === 'Cosine' ? 'HNSW16,SQ8' : 'HNSW16';
}

/** The quickest of a few exact searches, in milliseconds. */
function measureScan(space: VectorSpace, now: () => number): number {
  const [first] = space.scan(undefined, 1);
  if (first === undefined) return 0;
  const radius = space.shape.metric === 'InnerProduct' ? -Infinity : Infinity;
  let least = Infinity;
  for (let i = 0; i < measured; i++) {
    const startedMs = now();
    space.rangeSearch(first.vector, radius, 10, {});
    least = Math.min(least, now() - startedMs);
  }
  return least;
}
