/** Changing the index of a space that is in use. */

import { type CatalogEntry, indexTypeOf } from '../storage/catalog.ts';
import type { ResidentSpace } from './resident-space.ts';

/** What of a catalog entry a new index changes. */
export type IndexChange = Pick<CatalogEntry, 'indexType' | 'efConstruction' | 'auto'>;

/** The entry with another index. */
export function withIndex({ auto: _, ...entry }: CatalogEntry, change: IndexChange): CatalogEntry {
  return { ...entry, ...change };
}

/**
 * Makes the index of a space in memory what `next` says; `anew`: also where it is that already. Requires: no checkpoint of it
 * is under way.
 *
 * @throws OUT_OF_MEMORY: the former index is made again, or where even that fails the space is broken
 */
export function changeIndex(resident: ResidentSpace, next: CatalogEntry, anew: boolean): void {
  const { vectors, entry } = resident;
  const shapeOf = (one: CatalogEntry) => ({
    indexType: indexTypeOf(one),
    efConstruction: one.efConstruction ?? 128,
  });
  try {
    if (!vectors.reindex(shapeOf(next), anew)) return;
    // A copy that is being made has the former index.
    resident.compaction?.giveUp();
    resident.threadedLinks?.giveUp();
    resident.linksAlone = false;
    resident.indexChanged = true;
  } catch (error) {
    resident.indexChanged = true;
    try {
      vectors.reindex(shapeOf(entry));
    } catch {
      resident.broken = true;
    }
    throw error;
  }
}
