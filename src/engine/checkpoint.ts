/**
 * Taking a checkpoint of one space: the blocks that changed are frozen at an operation boundary, copied out while writers
 * go on (copy-on-write in the core), stored under new names, and made to count by a new manifest; only then are the old
 * blocks and the log before it dropped. Stopped anywhere, the former manifest and its log still give the same data.
 */

import { isShibuDbError } from '../api/errors.ts';
import { checkStatus } from '../kernel/instance.ts';
import type { LargeReferences } from '../space/large-references.ts';
import { largeBlock, largeSegment } from '../space/large-value.ts';
import { firstDerivedSegment, GroupMask } from '../space/space.ts';
import type { BlockName, StoredBlock } from '../storage/backend.ts';
import type { Checksum } from '../storage/envelope.ts';
import { encodeManifest, type ManifestBlock } from '../storage/manifest.ts';
import { blockBytes, type ResidentSpace } from './resident-space.ts';
import type { Environment } from './settings.ts';
import { isOfLargeValue } from './stored-space.ts';

/** Blocks stored by one transaction: few, because in a browser the log waits for it (storage/indexeddb-backend.ts). */
const blocksPerWrite = 4;

/** Buffers for whole blocks, used again and again: allocating 256 KiB a block costs more than copying it. */
export class BlockBuffers {
  readonly #free: Uint8Array[] = [];

  take(bytes: number): Uint8Array {
    return (bytes === blockBytes ? this.#free.pop() : undefined) ?? new Uint8Array(bytes);
  }

  give(buffer: Uint8Array): void {
    if (buffer.length === blockBytes && this.#free.length < blocksPerWrite * 2) this.#free.push(buffer);
  }
}

/** @throws what the backend throws; the space then is as before, its blocks dirty again */
export async function checkpointSpace(
  environment: Environment,
  resident: ResidentSpace,
  withDerived: boolean,
  buffers: BlockBuffers,
  checksum: Checksum,
): Promise<void> {
  const { backend } = environment;
  const { exports } = resident.space.instance;
  const generation = (resident.manifest?.generation ?? 0) + 1;
  const logFrom = resident.nextSequence;
  const before = {
    logBytes: resident.logBytes,
    changes: resident.changes,
    unsavedLinks: resident.unsavedLinks,
  };
  const mask = GroupMask.Primary | (withDerived ? GroupMask.Derived : 0);
  const count = checkStatus(exports.checkpoint_begin(mask), 'begin a checkpoint');
  const large = resident.large?.forManifest(resident.scans.size > 0);
  let published = false;
  const written: BlockName[] = [];
  try {
    const former = resident.manifest?.blocks ?? new Map<number, ManifestBlock>();
    const blocks = new Map(
      resident.isNewImage ? [...former].filter(([, block]) => isOfLargeValue(block)) : former,
    );
    const replaced: BlockName[] = large === undefined ? [] : settleLarge(blocks, large);
    if (resident.isNewImage) {
      for (const block of former.values()) if (!isOfLargeValue(block)) replaced.push(block);
    } else if (resident.indexChanged) {
      dropFormerIndex(resident, blocks, replaced);
    }
    for (let from = 0; from < count; from += blocksPerWrite) {
      const batch: StoredBlock[] = [];
      for (let i = from; i < Math.min(count, from + blocksPerWrite); i++) {
        const { block, bytes, hash } = copyOut(resident, i, buffers);
        batch.push({ block, generation, bytes });
        const before = blocks.get(block);
        if (before !== undefined) replaced.push({ block, generation: before.generation });
        blocks.set(block, { block, generation, usedBytes: bytes.length, checksum: hash });
      }
      // Before it is tried, so that what was written of it is found again if it fails.
      for (const { block } of batch) written.push({ block, generation });
      await backend.writeBlocks(resident.entry.id, batch, (count - from) * blockBytes);
      for (const { bytes } of batch) buffers.give(bytes);
    }
    const manifest = { epoch: backend.epoch ?? 1, generation, logFrom, blocks };
    const manifestBytes = encodeManifest(manifest, checksum);
    await backend.publish(resident.entry.id, manifestBytes, 0);
    published = true;
    resident.manifest = manifest;
    resident.isNewImage = false;
    resident.manifests = { first: manifestBytes, copy: manifestBytes };
    resident.logBytes -= before.logBytes;
    resident.changes -= before.changes;
    resident.indexChanged = false;
    if (withDerived) resident.unsavedLinks -= before.unsavedLinks;
    await backend.drop(resident.entry.id, replaced, logFrom);
  } catch (error) {
    if (!published && isShibuDbError(error) && error.code === 'QUOTA_EXCEEDED')
      await backend.drop(resident.entry.id, written, resident.manifest?.logFrom ?? 0).catch(() => {});
    throw error;
  } finally {
    if (!published && large !== undefined) resident.large?.giveBack(large.dropped);
    exports.checkpoint_end(published ? 1 : 0);
    resident.blocks?.trim();
  }
}

/** Takes the large values that are not needed any more off `blocks` and answers with their names. */
function settleLarge(
  blocks: Map<number, ManifestBlock>,
  { dropped, pending }: ReturnType<LargeReferences['forManifest']>,
): BlockName[] {
  const names: BlockName[] = [];
  for (const { first, pieces } of dropped) {
    for (let index = first; index < first + pieces; index++) {
      const block = blocks.get(largeBlock(index));
      if (block !== undefined) names.push(block);
      blocks.delete(largeBlock(index));
    }
  }
  for (const [number, { pendingPieces: _, ...block }] of blocks) {
    if (block.block >>> 24 !== largeSegment) continue;
    const range = pending.get(block.block & 0xffffff);
    blocks.set(number, range === undefined ? block : { ...block, pendingPieces: range.pieces });
  }
  return names;
}

/** Of an index that is gone, no block may be left behind the last one of the index that took its place. */
function dropFormerIndex(
  { space }: ResidentSpace,
  blocks: Map<number, ManifestBlock>,
  replaced: BlockName[],
): void {
  for (const [block, { generation }] of blocks) {
    const segment = block >>> 24;
    if (segment < firstDerivedSegment) continue;
    if ((block & 0xffffff) < space.instance.exports.arena_segment_blocks(segment)) continue;
    blocks.delete(block);
    replaced.push({ block, generation });
  }
}

function copyOut(
  resident: ResidentSpace,
  i: number,
  buffers: BlockBuffers,
): { block: number; bytes: Uint8Array; hash: bigint } {
  const { instance } = resident.space;
  const out = instance.scratch(16);
  instance.exports.checkpoint_entry(i, out);
  const [segment = 0, index = 0, address = 0, usedBytes = 0] = instance.u32(out, 4);
  const hash = BigInt.asUintN(64, instance.exports.checksum64(address, usedBytes));
  const bytes = buffers.take(usedBytes);
  bytes.set(instance.bytes().subarray(address, address + usedBytes));
  instance.exports.checkpoint_copied(i);
  return { block: ((segment << 24) | index) >>> 0, bytes, hash };
}
