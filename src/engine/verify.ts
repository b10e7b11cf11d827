/**
 * Checking everything that is stored: manifests, every block, every log record, and, going deep, every reference inside the
 * images. Nothing is changed.
 */

import type { SpaceReport, StorageFault } from '../api/database.ts';
import { operationsIn } from '../space/operation.ts';
import { originalsSegment, type Space } from '../space/space.ts';
import type { CatalogEntry } from '../storage/catalog.ts';
import type { Checksum } from '../storage/envelope.ts';
import type { Manifest } from '../storage/manifest.ts';
import { makeSpace, type StoredManifests } from './resident-space.ts';
import type { Environment } from './settings.ts';
import { Pins, SpaceBlocks, untilPresent } from './space-blocks.ts';
import { adopt, freshInstance } from './space-image.ts';
import { blockFault, indexOf, isDamage, isOfLargeValue, StoredSpace, segmentOf } from './stored-space.ts';

export interface Verification {
  readonly checksum: Checksum;
  /** Also every reference inside the image, and what the log does to it. */
  readonly deep: boolean;
  onBlock(): void;
}

/** Requires: no checkpoint of the space begins meanwhile. */
export async function verifySpace(
  environment: Environment,
  entry: CatalogEntry,
  manifests: StoredManifests,
  verification: Verification,
): Promise<SpaceReport> {
  const stored = new StoredSpace(environment, entry, manifests, verification.checksum);
  const faults = stored.manifestFaults();
  const manifest = readManifest(stored);
  // Whatever the image has: its index may be another one than the catalog says.
  const instance = freshInstance(environment, await environment.cores.load('whole'));
  try {
    const space = makeSpace(entry, instance, environment.wallClock);
    const { blocks, bytes } = await checkBlocks(entry, stored, manifest, space, verification, faults);
    const { blockBudget } = environment;
    const left =
      entry.originals === 'storage' && blockBudget !== undefined
        ? new SpaceBlocks(environment, entry, instance, () => manifest, blockBudget)
        : undefined;
    if (verification.deep && faults.length === 0) {
      const fault = await imageFault(left, () => {
        if (manifest === undefined) space.create();
        else space.open(true);
      });
      if (fault !== undefined) faults.push(fault);
    }
    const records = await checkRecords(stored, manifest?.logFrom ?? 0, space, left, verification, faults);
    return { name: entry.name, blocks, bytes, records, faults };
  } finally {
    instance.release();
  }
}

function readManifest(stored: StoredSpace): Manifest | undefined {
  try {
    return stored.manifest()?.manifest;
  } catch (error) {
    // Told by manifestFaults already.
    if (!isDamage(error)) throw error;
    return undefined;
  }
}

async function checkBlocks(
  entry: CatalogEntry,
  stored: StoredSpace,
  manifest: Manifest | undefined,
  { instance }: Space,
  { deep, checksum, onBlock }: Verification,
  faults: StorageFault[],
): Promise<{ blocks: number; bytes: number }> {
  const blocks = [...(manifest?.blocks.values() ?? [])];
  let bytes = 0;
  for await (const read of stored.blocks(blocks)) {
    onBlock();
    let fault = 'fault' in read ? read.fault : undefined;
    if ('bytes' in read) {
      bytes += read.bytes.length;
      const inImage = deep && !isOfLargeValue(read.block);
      const isLeft = entry.originals === 'storage' && segmentOf(read.block) === originalsSegment;
      if (inImage && isLeft) instance.exports.block_expect(originalsSegment, indexOf(read.block));
      if (inImage && !isLeft) fault = adopt(entry, read.block, read.bytes, instance);
      else if (checksum(read.bytes) !== read.block.checksum)
        fault = blockFault(read.block, 'does not match its checksum');
    }
    if (fault !== undefined) faults.push(fault);
  }
  return { blocks: blocks.length, bytes };
}

/** How many records there are. What one does is tried only where it would be done: on a sound image. */
async function checkRecords(
  stored: StoredSpace,
  from: number,
  space: Space,
  left: SpaceBlocks | undefined,
  { deep }: Verification,
  faults: StorageFault[],
): Promise<number> {
  let records = 0;
  for await (const read of stored.records(from)) {
    if ('fault' in read) {
      faults.push(read.fault);
      continue;
    }
    records++;
    if (!deep || faults.length > 0) continue;
    let fault: StorageFault | undefined;
    for (const operation of operationsIn(read.operations))
      fault ??= await imageFault(left, () => space.apply(operation));
    if (fault === undefined) continue;
    const message = `log record ${read.record} cannot be applied (${fault.message})`;
    faults.push({ kind: 'record', record: read.record, message });
  }
  return records;
}

/** `left`: what of the image is not in memory. */
async function imageFault(
  left: SpaceBlocks | undefined,
  check: () => unknown,
): Promise<StorageFault | undefined> {
  const pins = new Pins();
  try {
    await untilPresent(left, pins, check);
    return undefined;
  } catch (error) {
    return { kind: 'image', message: error instanceof Error ? error.message : String(error) };
  } finally {
    pins.release();
    left?.trim();
  }
}
