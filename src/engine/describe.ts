/** What `listSpaces` and `describeSpace` tell. */

import type { Durability, SpaceDescription, SpaceInfo } from '../api/database.ts';
import type { CatalogEntry } from '../storage/catalog.ts';
import { blockBytes, type ResidentSpace } from './resident-space.ts';

/** An entry without what only the engine needs. */
export function publicInfo(entry: CatalogEntry): SpaceInfo {
  const { id: _id, efConstruction: _ef, seed: _seed, auto: _auto, ...info } = entry;
  return { ...info, durability: info.durability as Durability };
}

export function describeResident(resident: ResidentSpace): SpaceDescription {
  const { entry, space } = resident;
  const count = space.count();
  const description: SpaceDescription = {
    ...publicInfo(entry),
    count,
    memoryBytes: space.instance.exports.arena_frames_in_use() * blockBytes,
    storedBytes: resident.storedBytes,
    ...(resident.readOnly === undefined ? {} : { readOnly: resident.readOnly }),
  };
  if (entry.engine === 'vector') {
    const pending = space.pending();
    description.index = { linked: count - Math.min(count, pending), pending };
    if (resident.linkedByThreads > 0) description.index.threads = resident.linkedByThreads;
    if (entry.auto !== undefined) description.index.chosen = entry.auto;
    const training = resident.vectors.training();
    if (training !== undefined) {
      description.index.training = training;
      if (training.trainedOn === 0) description.index.linked = 0;
    }
  }
  return description;
}
