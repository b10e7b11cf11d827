/**
 * Bringing a space into memory as it was when its last acknowledged record was written.
 *
 * Opening is copying: the manifest's blocks go into a fresh instance, which can answer at once; then the log's tail is
 * applied. Blocks that need not be in memory (space-blocks.ts) stay where they are when there are too many of them, or
 * reading them is dear. What may go wrong, and what becomes of it:
 *
 *  * A derived block is damaged: derived data is left out and made again in the background.
 *  * The log has a gap, and nobody was promised what is missing: the log ends there, and the rest of it is dropped.
 *  * A sound record cannot be applied: it is set aside and named, and the space is read-only. Memory may be half-changed
 *    then, so the space is opened again without it.
 *  * Anything else is damaged: CORRUPTION, or, where the caller asked for it, what is intact (salvage.ts), read-only.
 */

import type { StorageFault } from '../api/database.ts';
import { isShibuDbError } from '../api/errors.ts';
import { AbsentBlocks, type CoreInstance, checkStatus, OtherCore } from '../kernel/instance.ts';
import type { Core } from '../kernel/module.ts';
import { type OperationView, operationsIn } from '../space/operation.ts';
import { firstDerivedSegment } from '../space/space.ts';
import type { BlockName } from '../storage/backend.ts';
import type { CatalogEntry } from '../storage/catalog.ts';
import type { Checksum } from '../storage/envelope.ts';
import type { Manifest, ManifestBlock } from '../storage/manifest.ts';
import { maintenancePart } from './parts.ts';
import {
  blockBytes,
  loadEngineOf,
  makeSpace,
  ResidentSpace,
  type StoredManifests,
} from './resident-space.ts';
import type { Environment } from './settings.ts';
import { droppableSegments, Pins, SpaceBlocks, untilPresent } from './space-blocks.ts';
import { adopt, coreKindOf, inFreshInstance } from './space-image.ts';
import {
  blockFault,
  corruption,
  indexOf,
  isDamage,
  isOfLargeValue,
  StoredSpace,
  segmentOf,
} from './stored-space.ts';

/** Records set aside at most; with more, the log itself is at fault and the rest of it is left out. */
const asideMax = 16;

/** @throws CORRUPTION, OUT_OF_MEMORY, VERSION_MISMATCH, WASM_UNAVAILABLE, SCRIPT_UNAVAILABLE */
export async function openResidentSpace(
  environment: Environment,
  entry: CatalogEntry,
  manifests: StoredManifests,
  checksum: Checksum,
): Promise<ResidentSpace> {
  const stored = new StoredSpace(environment, entry, manifests, checksum);
  const { cores } = environment;
  // Before anything is read: it is what checks it.
  const [core] = await Promise.all([cores.load(coreKindOf(entry)), loadEngineOf(entry)]);
  try {
    return await openWhole(environment, entry, stored, core).catch(async (error: unknown) => {
      // The image has another index than the catalog says, one from before a change that got no further.
      if (!(error instanceof OtherCore)) throw error;
      return openWhole(environment, entry, stored, await cores.load('whole'));
    });
  } catch (error) {
    if (!isDamage(error) || environment.onCorruption !== 'salvage') throw error;
    const { salvageSpace } = await maintenancePart.load();
    return salvageSpace(environment, entry, stored);
  }
}

async function openWhole(
  environment: Environment,
  entry: CatalogEntry,
  stored: StoredSpace,
  core: Core,
): Promise<ResidentSpace> {
  const aside = new Map<number, StorageFault>();
  for (;;) {
    const resident = await openImage(environment, entry, stored, core);
    try {
      await replay(resident, stored, aside);
      // Nothing may be appended before a gap.
      if (stored.tornAt !== undefined) await environment.backend.cutLog?.(entry.id, stored.tornAt);
    } catch (error) {
      resident.space.instance.release();
      if (!(error instanceof PoisonedRecord)) throw error;
      aside.set(error.record, error.fault(aside.size >= asideMax));
      continue;
    }
    if (aside.size > 0 || environment.backend.readOnly !== undefined) resident.readOnly = [...aside.values()];
    return resident;
  }
}

/** The image of the last checkpoint, without derived data where that is damaged. */
async function openImage(
  environment: Environment,
  entry: CatalogEntry,
  stored: StoredSpace,
  core: Core,
): Promise<ResidentSpace> {
  const found = stored.manifest();
  let manifest = found?.manifest;
  const opened = async (instance: CoreInstance): Promise<ResidentSpace> => {
    const space = makeSpace(entry, instance, environment.wallClock);
    const resident = new ResidentSpace(entry, space, manifest);
    const { blockBudget } = environment;
    if (blockBudget !== undefined)
      resident.blocks = new SpaceBlocks(environment, entry, instance, () => resident.manifest, blockBudget);
    const pins = new Pins();
    const isForeign = environment.backend.readOnly !== undefined;
    const make = (): void => (manifest === undefined ? space.create() : space.open(isForeign));
    await untilPresent(resident.blocks, pins, make);
    // The catalog says which index there is; a change that was stored there may have come no further.
    if (entry.engine === 'vector')
      resident.indexChanged = await untilPresent(resident.blocks, pins, () => resident.vectors.reindex());
    pins.release();
    resident.manifests = { first: found?.bytes, copy: found?.bytes };
    return resident;
  };
  const first = await inFreshInstance(environment, core, async (instance) => {
    if (manifest === undefined || !(await adoptAll(environment, entry, stored, manifest, instance)))
      return opened(instance);
    manifest = withoutDerived(manifest);
    instance.release();
    return undefined;
  });
  return (
    first ??
    inFreshInstance(environment, core, async (instance) => {
      if (manifest !== undefined) await adoptAll(environment, entry, stored, manifest, instance);
      return opened(instance);
    })
  );
}

function withoutDerived(manifest: Manifest): Manifest {
  const primary = [...manifest.blocks].filter(([, block]) => segmentOf(block) < firstDerivedSegment);
  return { ...manifest, blocks: new Map(primary) };
}

/** The segments whose blocks are left where they are. */
function leftInStorage(
  environment: Environment,
  entry: CatalogEntry,
  { blocks }: Manifest,
): readonly number[] {
  if (environment.blockBudget === undefined) return [];
  if (environment.backend.lazy === true || entry.originals === 'storage') return droppableSegments(entry);
  // What takes most of the budget would soon have to make room again.
  const fits = blocks.size * blockBytes <= environment.blockBudget.bytesMax / 2;
  return entry.engine === 'vector' || fits ? [] : droppableSegments(entry);
}

/** True when a derived block is damaged, and the rest was not read. @throws CORRUPTION for a primary one */
async function adoptAll(
  environment: Environment,
  entry: CatalogEntry,
  stored: StoredSpace,
  manifest: Manifest,
  instance: CoreInstance,
): Promise<boolean> {
  const left = leftInStorage(environment, entry, manifest);
  const image = [...manifest.blocks.values()].filter((block) => !isOfLargeValue(block));
  const absent = image.filter((block) => left.includes(segmentOf(block)));
  for (const block of absent)
    checkStatus(instance.exports.block_expect(segmentOf(block), indexOf(block)), 'open a space');
  if (environment.onCorruption === 'salvage') await checkAll(entry, stored, absent, instance);
  const whole = left.length === 0 ? image : image.filter((block) => !left.includes(segmentOf(block)));
  for await (const read of stored.blocks(whole)) {
    const fault = 'fault' in read ? read.fault : adopt(entry, read.block, read.bytes, instance);
    if (fault === undefined) continue;
    if (segmentOf(read.block) >= firstDerivedSegment) return true;
    throw corruption(entry, fault);
  }
  return false;
}

/** Who wants what is intact of a damaged space has to know now that it is damaged. @throws CORRUPTION */
async function checkAll(
  entry: CatalogEntry,
  stored: StoredSpace,
  blocks: readonly ManifestBlock[],
  instance: CoreInstance,
): Promise<void> {
  for await (const read of stored.blocks(blocks)) {
    if ('fault' in read) throw corruption(entry, read.fault);
    if (instance.checksum(read.bytes) !== read.block.checksum)
      throw corruption(entry, blockFault(read.block, 'does not match its checksum'));
  }
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

/** What an operation needs cannot be read: no fault of the record's. */
class Unreadable extends Error {}

async function applyAgain(resident: ResidentSpace, operation: OperationView): Promise<void> {
  const pins = new Pins();
  for (;;) {
    try {
      resident.apply(operation);
      return pins.release();
    } catch (error) {
      if (resident.blocks === undefined || !(error instanceof AbsentBlocks)) throw error;
      await resident.blocks.fetchFor(error, pins).catch((cause: unknown) => {
        throw new Unreadable('A block cannot be read', { cause });
      });
    }
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
        for (const operation of operationsIn(operations)) await applyAgain(resident, operation);
      } catch (cause) {
        if (cause instanceof Unreadable) throw cause.cause;
        if (isShibuDbError(cause) && cause.code === 'OUT_OF_MEMORY') throw cause;
        throw new PoisonedRecord(record, cause);
      }
      resident.blocks?.trim();
    }
    resident.nextSequence = record + 1;
    resident.logBytes += operations.length;
    resident.flushedBefore = Math.max(resident.flushedBefore, read.flushedBefore);
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
