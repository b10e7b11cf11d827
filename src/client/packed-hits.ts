/** Hits of a batch as they travel, packed, turned into what callers get. */

import type { PackedHits } from '../api/calls.ts';
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
