/** Hits of a batch as they travel, packed: one query's behind another's. */

import type { HitArguments, PackedHits } from '../api/calls.ts';
import type { SearchHit, VectorData, VectorId } from '../api/database.ts';

export function unpackHits<Vector extends VectorData>(packed: PackedHits): SearchHit<Vector>[][] {
  const { counts, ids, distances, vectors, metadata } = packed;
  let at = 0;
  return Array.from(counts, (count) => {
    const hits: SearchHit<Vector>[] = [];
    for (const end = at + count; at < end; at++) {
      const hit: SearchHit<Vector> = { id: ids[at] as VectorId, distance: distances[at] as number };
      if (metadata !== undefined) hit.metadata = metadata[at] ?? {};
      if (vectors !== undefined) hit.vector = vectors[at] as Vector;
      hits.push(hit);
    }
    return hits;
  });
}

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
