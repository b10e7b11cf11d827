/**
 * Saving what is intact of a damaged space: the blocks that pass their checksum go into one instance, what can be read there
 * is put into a fresh one, entry by entry, and what is sound of the log is applied on top. The result is read-only and says
 * what is wrong: it may lack entries, and show an older value where the newer one was in a lost record.
 */

import type { StorageFault } from '../api/database.ts';
import type { CoreInstance } from '../kernel/instance.ts';
import { LargeValue, largeBlock } from '../space/large-value.ts';
import { OperationKind, operationsIn } from '../space/operation.ts';
import { firstDerivedSegment, keyValueTreeSegment, type Space } from '../space/space.ts';
import { salvageVectors } from '../space/vector-salvage.ts';
import type { CatalogEntry } from '../storage/catalog.ts';
import type { Manifest } from '../storage/manifest.ts';
import { keyValuePart } from './parts.ts';
import { makeSpace, ResidentSpace } from './resident-space.ts';
import type { Environment } from './settings.ts';
import { adopt, freshInstance, inFreshInstance } from './space-image.ts';
import {
  blockFault,
  indexOf,
  isDamage,
  isOfLargeValue,
  type StoredSpace,
  segmentOf,
} from './stored-space.ts';

/** @throws OUT_OF_MEMORY, VERSION_MISMATCH, WASM_UNAVAILABLE */
export async function salvageSpace(
  environment: Environment,
  entry: CatalogEntry,
  stored: StoredSpace,
): Promise<ResidentSpace> {
  const faults: StorageFault[] = [];
  const manifest = readManifest(stored, faults);
  const core = await environment.cores.load('whole');
  const remains = freshInstance(environment, core);
  try {
    const large =
      manifest === undefined
        ? new Set<number>()
        : await adoptIntact(entry, stored, manifest, remains, faults);
    const aside = new Set<number>();
    for (;;) {
      const result = await inFreshInstance(environment, core, async (instance) => {
        const space = makeSpace(entry, instance, environment.wallClock);
        space.create();
        if (manifest !== undefined) {
          const lost = copyEntries(entry, remains, space, large);
          if (lost > 0)
            faults.push({ kind: 'image', message: `${lost} entries or pages of entries are lost` });
        }
        const resident = new ResidentSpace(entry, space, undefined);
        resident.salvagedFrom = manifest;
        const poisoned = await applyRecords(resident, stored, manifest?.logFrom ?? 0, aside, faults);
        if (poisoned === undefined) return resident;
        // Memory may be half-changed: once more, without it.
        aside.add(poisoned);
        instance.release();
        return undefined;
      });
      if (result !== undefined) {
        result.readOnly = unique(faults);
        result.changes = 0;
        return result;
      }
    }
  } finally {
    remains.release();
  }
}

function readManifest(stored: StoredSpace, faults: StorageFault[]): Manifest | undefined {
  try {
    return stored.manifest()?.manifest;
  } catch (error) {
    if (!isDamage(error)) throw error;
    faults.push(...stored.manifestFaults());
    return undefined;
  }
}

/** Answers with the intact blocks of large values, which stay where they are. */
async function adoptIntact(
  entry: CatalogEntry,
  stored: StoredSpace,
  manifest: Manifest,
  remains: CoreInstance,
  faults: StorageFault[],
): Promise<ReadonlySet<number>> {
  const primary = [...manifest.blocks.values()].filter((block) => segmentOf(block) < firstDerivedSegment);
  const large = new Set<number>();
  // Those that are lost count as absent ones: what refers to them is not out of bounds.
  for (const block of primary)
    if (!isOfLargeValue(block)) remains.exports.block_expect(segmentOf(block), indexOf(block));
  for await (const read of stored.blocks(primary)) {
    if ('fault' in read) {
      faults.push(read.fault);
    } else if (remains.checksum(read.bytes) !== read.block.checksum) {
      // Checked before it is adopted: a block cannot be taken out again.
      faults.push(blockFault(read.block, 'does not match its checksum'));
    } else if (isOfLargeValue(read.block)) {
      large.add(read.block.block);
    } else {
      adopt(entry, read.block, read.bytes, remains);
    }
  }
  return large;
}

/** How many entries, or pages of them, could not be read. */
function copyEntries(
  entry: CatalogEntry,
  remains: CoreInstance,
  space: Space,
  large: ReadonlySet<number>,
): number {
  if (entry.engine === 'vector') return salvageVectors(remains, entry, space);
  remains.exports.salvage_begin(keyValueTreeSegment);
  const lost = salvageKeyValues(remains, space, large);
  return lost + (remains.exports.salvage_lost() >>> 0);
}

function salvageKeyValues(remains: CoreInstance, space: Space, large: ReadonlySet<number>): number {
  const { exports } = remains;
  let lost = 0;
  for (;;) {
    const facts = remains.scratch(16);
    if (exports.salvage_next(facts) === 0) return lost;
    const [keyAt = 0, keyLength = 0, valueLength = 0, flags = 0] = remains.u32(facts, 4);
    const body = new Uint8Array(8 + keyLength + valueLength);
    const view = new DataView(body.buffer);
    view.setUint32(0, keyLength, true);
    view.setUint32(4, valueLength, true);
    body.set(remains.bytes().subarray(keyAt, keyAt + keyLength), 8);
    const valueAt = remains.scratch(Math.max(1, valueLength));
    if (exports.salvage_value(valueAt) !== 0) {
      lost++;
      continue;
    }
    body.set(remains.bytes().subarray(valueAt, valueAt + valueLength), 8 + keyLength);
    if (isWhole(body, flags, large)) space.apply({ kind: OperationKind.Put, flags, body });
    else lost++;
  }
}

/** Whether all of a put's value is there, if it is a large one. */
function isWhole(body: Uint8Array, flags: number, large: ReadonlySet<number>): boolean {
  const view = new DataView(body.buffer);
  const { value } = keyValuePart.loaded.readStored(
    body,
    8 + view.getUint32(0, true),
    view.getUint32(4, true),
    flags,
  );
  if (!(value instanceof LargeValue)) return true;
  return Array.from({ length: value.pieces }, (_, i) => largeBlock(value.first + i)).every((block) =>
    large.has(block),
  );
}

/** The number of a record that cannot be applied, if there is one. */
async function applyRecords(
  resident: ResidentSpace,
  stored: StoredSpace,
  from: number,
  aside: ReadonlySet<number>,
  faults: StorageFault[],
): Promise<number | undefined> {
  for await (const read of stored.records(from)) {
    if ('fault' in read) {
      faults.push(read.fault);
      continue;
    }
    const { record, operations } = read;
    if (aside.has(record)) continue;
    try {
      for (const operation of operationsIn(operations)) resident.apply(operation);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      faults.push({ kind: 'record', record, message: `log record ${record} cannot be applied (${reason})` });
      return record;
    }
  }
  return undefined;
}

/** Reading again says the same things again. */
function unique(faults: readonly StorageFault[]): StorageFault[] {
  return [...new Map(faults.map((fault) => [JSON.stringify(fault), fault])).values()];
}
