/** Segments of a vector space, as wasm/vector/format.h numbers them: those that are copied from one instance to another. */

import { parseIndexType } from './index-types.ts';
import type { VectorShape } from './vector-space.ts';

export const VectorSegment = {
  Meta: 0,
  Vectors: 1,
  Slots: 2,
  GraphMeta: 8,
  GraphNodes: 9,
  GraphBase: 10,
  GraphUpper: 11,
  Codes: 13,
} as const;

/** What a graph is linked by: the codes, but for those of PQ, which are too coarse for it. */
export function segmentOfMeasure({ indexType, metric, dimension }: VectorShape): number {
  const { codes } = parseIndexType(indexType, metric, dimension);
  return codes === 'none' || codes === 'PQ' ? VectorSegment.Vectors : VectorSegment.Codes;
}
