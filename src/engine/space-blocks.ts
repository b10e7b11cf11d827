/**
 * The blocks of one image that need not be in memory: originals kept in storage, and the trees of a key-value space.
 *
 * The core answers a call that comes to an absent block with AbsentBlocks, having changed nothing, and names what it needs.
 * The blocks are then read, checked against their checksums, adopted, and the call is made again. `Pins` keep them there until
 * it is through. Clean blocks nobody has used for long make room for others: a frame that is given up is used again, since
 * memory never shrinks.
 *
 * Concurrency: a block that is being read is read once; everything between two awaits happens in one turn.
 */

import type { StorageFault } from '../api/database.ts';
import { AbsentBlocks, type CoreInstance } from '../kernel/instance.ts';
import { deadlinesSegment, GroupMask, keyValueTreeSegment, originalsSegment } from '../space/space.ts';
import type { CatalogEntry } from '../storage/catalog.ts';
import type { Manifest, ManifestBlock } from '../storage/manifest.ts';
import type { BlockBudget } from './block-budget.ts';
import type { Environment } from './settings.ts';
import { adopt } from './space-image.ts';
import { blockFault, corruption, indexOf, readBlocks, segmentOf } from './stored-space.ts';

/** wasm/core/arena.h: kMissedMost, kSegmentsMax */
const missedMax = 64;
const segmentsMax = 32;
/** With so many changed blocks a space that keeps originals in storage is checkpointed, so that they can go: 8 MiB. */
const originalsDirtyMost = 32;
/** With fewer none is, however small the budget. */
const dirtyLeast = 8;

const treeSegments: readonly number[] = [keyValueTreeSegment, deadlinesSegment];
const noSegments: readonly number[] = [];
const originalSegments: readonly number[] = [originalsSegment];

/** Segments whose blocks may be absent. */
export function droppableSegments({ engine }: CatalogEntry): readonly number[] {
  return engine === 'key-value' ? treeSegments : originalSegments;
}

/** Blocks that a call under way needs to stay. */
export class Pins {
  #pinned: { instance: CoreInstance; segment: number; index: number }[] = [];

  get count(): number {
    return this.#pinned.length;
  }

  add(instance: CoreInstance, segment: number, index: number): void {
    // One that was dropped meanwhile will be asked for again.
    if (instance.exports.block_pin(segment, index) === 0) this.#pinned.push({ instance, segment, index });
  }

  release(): void {
    for (const { instance, segment, index } of this.#pinned.splice(0))
      instance.exports.block_unpin(segment, index);
  }
}

/** Makes a call again and again until all it needs is in memory. What it needed stays there until `pins` are released. */
export async function untilPresent<Result>(
  blocks: SpaceBlocks | undefined,
  pins: Pins,
  call: () => Result,
): Promise<Result> {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (blocks === undefined) throw error;
      await blocks.fetchFor(error, pins);
    }
  }
}

export class SpaceBlocks {
  readonly #environment: Environment;
  readonly #entry: CatalogEntry;
  readonly #instance: CoreInstance;
  readonly #manifest: () => Manifest | undefined;
  readonly #budget: BlockBudget;
  readonly #fetching: Map<number, Promise<void>> = new Map();

  /** `manifest`: what is stored of the image by now. */
  constructor(
    environment: Environment,
    entry: CatalogEntry,
    instance: CoreInstance,
    manifest: () => Manifest | undefined,
    budget: BlockBudget,
  ) {
    this.#environment = environment;
    this.#entry = entry;
    this.#instance = instance;
    this.#manifest = manifest;
    this.#budget = budget;
  }

  /** The same for another image of the space. */
  over(instance: CoreInstance): SpaceBlocks {
    return new SpaceBlocks(this.#environment, this.#entry, instance, this.#manifest, this.#budget);
  }

  /** Whether any block is not in memory. */
  get someAbsent(): boolean {
    for (const segment of droppableSegments(this.#entry))
      if (this.#instance.exports.blocks_absent(segment) > 0) return true;
    return false;
  }

  /** One commit takes no more writes when it needs so many blocks to stay in memory. */
  get pinnedMost(): number {
    return Math.max(missedMax, this.#budget.framesMax / 4);
  }

  /** No more frames are promised to the writes of one commit, unless it is a single one. */
  get heldMost(): number {
    return this.#droppable().length === 0 ? Number.POSITIVE_INFINITY : this.pinnedMost;
  }

  /** What the core asked for in the call that was just made, as numbers of blocks. */
  #missed(): number[] {
    const { exports } = this.#instance;
    const at = this.#instance.scratch(missedMax * 8);
    const count = exports.blocks_missed(at);
    const pairs = this.#instance.u32(at, 2 * count);
    return Array.from({ length: count }, (_, i) => {
      return (((pairs[2 * i] as number) << 24) | (pairs[2 * i + 1] as number)) >>> 0;
    });
  }

  /**
   * Fetches what the call that threw `error` needs, and pins it. To be called in the turn of that call.
   *
   * @throws CORRUPTION, naming the block; OUT_OF_MEMORY; what the backend throws; `error` where it is another one
   */
  async fetchFor(error: unknown, pins: Pins): Promise<void> {
    if (!(error instanceof AbsentBlocks)) throw error;
    const blocks = this.#missed();
    if (error.goesOn) pins.release();
    const unread = blocks.filter((block) => !this.#fetching.has(block));
    if (unread.length > 0) {
      const reading = this.#read(unread).finally(() => {
        for (const block of unread) this.#fetching.delete(block);
      });
      for (const block of unread) this.#fetching.set(block, reading);
    }
    await Promise.all(blocks.map((block) => this.#fetching.get(block)));
    for (const block of blocks) pins.add(this.#instance, block >>> 24, block & 0xffffff);
  }

  async #read(numbers: readonly number[]): Promise<void> {
    const { blocks } = this.#manifest() ?? { blocks: new Map<number, ManifestBlock>() };
    const wanted = numbers.map((number) => {
      const block = blocks.get(number);
      if (block !== undefined) return block;
      const nowhere = { block: number, generation: 0, usedBytes: 0, checksum: 0n };
      throw corruption(this.#entry, blockFault(nowhere, 'is not in storage'));
    });
    const read = await readBlocks(this.#environment, this.#entry, wanted);
    this.room(read.length);
    for (const one of read) {
      const { block } = one;
      // Another image has been stored in the meantime, and this one is used no more.
      if (this.#manifest()?.blocks.get(block.block)?.generation !== block.generation) continue;
      const fault = 'fault' in one ? one.fault : this.#adopt(block, one.bytes);
      if (fault === undefined) continue;
      this.#instance.exports.block_drop(segmentOf(block), indexOf(block));
      throw corruption(this.#entry, fault);
    }
  }

  #adopt(block: ManifestBlock, bytes: Uint8Array): StorageFault | undefined {
    try {
      return adopt(this.#entry, block, bytes, this.#instance);
    } catch (error) {
      // Others may have taken what all share; what this space can do without makes room.
      if (this.evict(1) === 0) throw error;
      return adopt(this.#entry, block, bytes, this.#instance);
    }
  }

  /** Sees that so many more frames need no more memory than the budget allows, as far as dropping clean blocks goes. */
  room(frames: number): void {
    const grown = frames - this.#instance.exports.arena_frames_free();
    if (grown <= 0) return;
    const over =
      this.#entry.originals === 'storage' ? grown : this.#budget.framesOver(this.#instance, frames);
    if (over > 0) this.evict(over);
  }

  /** Drops up to so many clean blocks; returns how many. */
  evict(count: number): number {
    let dropped = 0;
    for (const segment of this.#droppable())
      dropped += this.#instance.exports.blocks_evict(segment, count - dropped);
    return dropped;
  }

  /**
   * Whether so much of what may be dropped has changed since it was stored that a checkpoint is due: before that nothing of
   * it can be dropped. Keys have to be dropped only where memory is scarce: a space that fits, written all over, would
   * otherwise be stored whole again and again.
   */
  get tooDirty(): boolean {
    const isVector = this.#entry.engine === 'vector';
    if (this.#droppable().length === 0 || !(isVector || this.#budget.scarce)) return false;
    const share = Math.max(dirtyLeast, this.#budget.framesMax / 8);
    const most = isVector ? Math.min(share, originalsDirtyMost) : share;
    return this.#instance.exports.arena_dirty_blocks(GroupMask.Primary) > most;
  }

  /** Whether a copy of such a share of the image may be in memory beside it. */
  copyFits(share: number): boolean {
    if (this.#droppable().length === 0) return true;
    const { exports } = this.#instance;
    let blocks = 0;
    for (let segment = 0; segment < segmentsMax; segment++) blocks += exports.arena_segment_blocks(segment);
    return blocks * share <= this.#budget.framesMax / 2;
  }

  /** Drops what is not to stay in memory, now that a call or a checkpoint is through. */
  trim(): void {
    if (this.#entry.originals !== 'storage') return;
    const { exports } = this.#instance;
    const present = exports.arena_segment_blocks(originalsSegment) - exports.blocks_absent(originalsSegment);
    const most = this.#environment.settings.originalBlocksKept;
    if (present > most) exports.blocks_evict(originalsSegment, present - most);
  }

  #droppable(): readonly number[] {
    return this.#entry.engine === 'vector' && this.#entry.originals !== 'storage'
      ? noSegments
      : droppableSegments(this.#entry);
  }
}
