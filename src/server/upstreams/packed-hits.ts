/** Hits of a batch as they travel: one query's behind another's. */

import type { HitArguments, PackedHits } from '../../api/calls.ts';
import type { SearchHit, VectorData } from '../../api/database.ts';

/** @param wanted what each hit has besides its id and distance */
export function packHits(
  hits: readonly (readonly SearchHit<VectorData>[])[],
  { includeVectors, includeMetadata }: HitArguments,
): PackedHits {
  const all = hits.flat();
  return {
    counts: Uint32Array.from(hits, (some) => some.length),
    ids: all.map(({ id }) => id),
    distances: Float32Array.from(all, ({ distance }) => distance),
    ...(includeVectors ? { vectors: all.map(({ vector }) => vector as VectorData) } : {}),
    ...(includeMetadata ? { metadata: all.map(({ metadata }) => metadata ?? {}) } : {}),
  };
}
