/** Reading a space, and again where that comes to blocks that are not in memory (space-blocks.ts). */

import { AbsentBlocks } from '../kernel/instance.ts';
import type { CatalogEntry } from '../storage/catalog.ts';
import type { DatabaseEngine } from './database-engine.ts';
import type { ResidentSpace } from './resident-space.ts';
import { Pins, type SpaceBlocks } from './space-blocks.ts';

/** A read that was made so often is made without others' writes in between. */
const patientRounds = 20;

/** What is read; it may be called several times, and then the space may be another instance. */
export type Read<Result> = (resident: ResidentSpace) => Result | Promise<Result>;

/** Answers without a promise where everything is in memory. @throws CORRUPTION */
export function readSpace<Result>(
  engine: DatabaseEngine,
  entry: CatalogEntry,
  read: Read<Result>,
): Result | Promise<Result> {
  const resident = engine.residentNow(entry);
  if (resident === undefined) return readAgain(engine, entry, read, new Pins());
  try {
    return read(resident);
  } catch (error) {
    if (!(error instanceof AbsentBlocks)) throw error;
    const pins = new Pins();
    return readAgain(engine, entry, read, pins, fetchFor(engine, resident, error, pins));
  }
}

async function readAgain<Result>(
  engine: DatabaseEngine,
  entry: CatalogEntry,
  read: Read<Result>,
  pins: Pins,
  fetched?: Promise<void>,
): Promise<Result> {
  let blocks: SpaceBlocks | undefined;
  let allowWrites = (): void => {};
  try {
    await fetched;
    for (let rounds = 1; ; rounds++) {
      let resident = engine.residentNow(entry);
      if (resident === undefined) {
        // Opening it again waits for the writes there are.
        allowWrites();
        resident = await engine.resident(entry);
      }
      blocks = resident.blocks;
      // Writes in between may make it begin again and again.
      if (rounds === patientRounds) allowWrites = resident.holdWrites();
      try {
        return await read(resident);
      } catch (error) {
        await fetchFor(engine, resident, error, pins);
      }
    }
  } finally {
    allowWrites();
    pins.release();
    blocks?.trim();
  }
}

/** Brings what a call came to that threw `error`, which is thrown again if it is another one. @throws CORRUPTION */
export async function fetchFor(
  engine: DatabaseEngine,
  { blocks, entry }: ResidentSpace,
  error: unknown,
  pins: Pins,
): Promise<void> {
  if (blocks === undefined || !(error instanceof AbsentBlocks)) throw error;
  await blocks.fetchFor(error, pins).catch((failure: unknown) => {
    engine.events.damaged(failure, entry.name);
    throw failure;
  });
}
