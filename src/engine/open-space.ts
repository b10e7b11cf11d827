/**
 * Bringing a space into memory as it was when its last acknowledged record was written.
 *
 * Opening is copying: the manifest's blocks go into a fresh instance, which can answer at once; then the log's tail is
 * applied. What may go wrong, and what becomes of it:
 *
 *  * A derived block is damaged: derived data is left out and made again in the background.
 *  * A sound record cannot be applied: it is set aside and named, and the space is read-only. Memory may be half-changed
 *    then, so the space is opened again without it.
 *  * Anything else is damaged: CORRUPTION, or, where the caller asked for it, what is intact (salvage.ts), read-only.
 */

import type { StorageFault } from '../api/database.ts';
import { isShibuDbError } from '../api/errors.ts';
import type { CoreInstance } from '../kernel/instance.ts';
import { operationsIn } from '../space/operation.ts';
import { firstDerivedSegment } from '../space/space.ts';
import { VectorSpace } from '../space/vector-space.ts';
import type { BlockName } from '../storage/backend.ts';
import type { CatalogEntry } from '../storage/catalog.ts';
import type { Checksum } from '../storage/envelope.ts';
import type { Manifest } from '../storage/manifest.ts';
import { makeSpace, ResidentSpace, type StoredManifests } from './resident-space.ts';
import { salvageSpace } from './salvage.ts';
import type { Environment } from './settings.ts';
import { adopt, inFreshInstance } from './space-image.ts';
import { corruption, isDamage, isOfLargeValue, StoredSpace, segmentOf } from './stored-space.ts';

/** Records set aside at most; with more, the log itself is at fault and the rest of it is left out. */
const asideMax = 16;

/** @throws CORRUPTION, OUT_OF_MEMORY, VERSION_MISMATCH */
export async function openResidentSpace(
  environment: Environment,
  entry: CatalogEntry,
  manifests: StoredManifests,
  checksum: Checksum,
): Promise<ResidentSpace> {
  const stored = new StoredSpace(environment, entry, manifests, checksum);
  try {
    return await openWhole(environment, entry, stored);
  } catch (error) {
    if (!isDamage(error) || environment.onCorruption !== 'salvage') throw error;
    return salvageSpace(environment, entry, stored);
  }
}

async function openWhole(
  environment: Environment,
  entry: CatalogEntry,
  stored: StoredSpace,
): Promise<ResidentSpace> {
  const aside = new Map<number, StorageFault>();
  for (;;) {
    const resident = await openImage(environment, entry, stored);
    try {
      await replay(resident, stored, aside);
    } catch (error) {
      resident.space.instance.release();
      if (!(error instanceof PoisonedRecord)) throw error;
      aside.set(error.record, error.fault(aside.size >= asideMax));
      continue;
    }
    if (aside.size > 0) resident.readOnly = [...aside.values()];
    return resident;
  }
}

/** The image of the last checkpoint, without derived data where that is damaged. */
async function openImage(
  environment: Environment,
  entry: CatalogEntry,
  stored: StoredSpace,
): Promise<ResidentSpace> {
  const found = stored.manifest();
  let manifest = found?.manifest;
  const opened = (instance: CoreInstance): ResidentSpace => {
    const space = makeSpace(entry, instance, environment.wallClock);
    if (manifest === undefined) space.create();
    else space.open();
    const resident = new ResidentSpace(entry, space, manifest);
    // The catalog says which index there is; a change that was stored there may have come no further.
    if (space instanceof VectorSpace) resident.indexChanged = space.reindex();
    resident.manifests = { first: found?.bytes, copy: found?.bytes };
    return resident;
  };
  const first = await inFreshInstance(environment, async (instance) => {
    if (manifest === undefined || !(await adoptAll(entry, stored, manifest, instance)))
      return opened(instance);
    manifest = withoutDerived(manifest);
    instance.release();
    return undefined;
  });
  return (
    first ??
    inFreshInstance(environment, async (instance) => {
      if (manifest !== undefined) await adoptAll(entry, stored, manifest, instance);
      return opened(instance);
    })
  );
}

function withoutDerived(manifest: Manifest): Manifest {
  const primary = [...manifest.blocks].filter(([, block]) => segmentOf(block) < firstDerivedSegment);
  return { ...manifest, blocks: new Map(primary) };
}

/** True when a derived block is damaged, and the rest was not read. @throws CORRUPTION for a primary one */
async function adoptAll(
  entry: CatalogEntry,
  stored: StoredSpace,
  manifest: Manifest,
  instance: CoreInstance,
): Promise<boolean> {
  const image = [...manifest.blocks.values()].filter((block) => !isOfLargeValue(block));
  for await (const read of stored.blocks(image)) {
    const fault = 'fault' in read ? read.fault : adopt(entry, read.block, read.bytes, instance);
    if (fault === undefined) continue;
    if (segmentOf(read.block) >= firstDerivedSegment) return true;
    throw corruption(entry, fault);
  }
  return false;
}

/** A record that is sound and cannot be applied. */
class PoisonedRecord extends Error {
  readonly record: number;

  constructor(record: number, cause: unknown) {
    super(`Log record ${record} cannot be applied`, { cause });
    this.record = record;
  }

  fault(last: boolean): StorageFault {
    const reason = this.cause instanceof Error ? this.cause.message : String(this.cause);
    const rest = last ? '; all records behind it are left out' : '';
    const message = `log record ${this.record} is set aside: it cannot be applied (${reason})${rest}`;
    return { kind: 'record', record: this.record, message };
  }
}

async function replay(
  resident: ResidentSpace,
  stored: StoredSpace,
  aside: ReadonlyMap<number, StorageFault>,
): Promise<void> {
  const { entry } = resident;
  const lastOne = aside.size > asideMax ? [...aside.keys()].at(-1) : undefined;
  for await (const read of stored.records(resident.nextSequence)) {
    if ('fault' in read) throw corruption(entry, read.fault);
    const { record, operations } = read;
    if (lastOne !== undefined && record >= lastOne) return;
    if (!aside.has(record)) {
      try {
        for (const operation of operationsIn(operations)) resident.apply(operation);
      } catch (cause) {
        if (isShibuDbError(cause) && cause.code === 'OUT_OF_MEMORY') throw cause;
        throw new PoisonedRecord(record, cause);
      }
    }
    resident.nextSequence = record + 1;
    resident.logBytes += operations.length;
  }
}

/** Stored blocks that no manifest names: leftovers of a checkpoint that was cut short. */
export async function dropOrphans(environment: Environment, resident: ResidentSpace): Promise<void> {
  // Of a damaged space nothing more is to be lost.
  if (resident.readOnly !== undefined) return;
  const named = resident.manifest?.blocks;
  const generation = resident.manifest?.generation ?? 0;
  const orphans: BlockName[] = [];
  for (const name of await environment.backend.listBlocks(resident.entry.id)) {
    // What a checkpoint writes at this moment has a newer generation: it is not ours to judge.
    if (name.generation <= generation && named?.get(name.block)?.generation !== name.generation)
      orphans.push(name);
  }
  if (orphans.length > 0)
    await environment.backend.drop(resident.entry.id, orphans, resident.manifest?.logFrom ?? 0);
}
