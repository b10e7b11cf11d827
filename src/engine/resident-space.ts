/**
 * A space that is in memory: its core instance, its place in the log, and what is stored of it.
 *
 * How it gets there is in open-space.ts. An instance whose apply failed half-way is *broken*: it is thrown away and opened again from storage, which
 * never saw the failure.
 */

import type { Durability, StorageFault } from '../api/database.ts';
import { assert } from '../base/assert.ts';
import { AbsentBlocks, type CoreInstance } from '../kernel/instance.ts';
import { Status } from '../kernel/status.ts';
import type { KeyValueSpace } from '../space/key-value-space.ts';
import type { LargeReferences } from '../space/large-references.ts';
import type { OperationView } from '../space/operation.ts';
import { loadMetadataFor } from '../space/parts.ts';
import type { Need, Space } from '../space/space.ts';
import type { VectorSpace } from '../space/vector-space.ts';
import { type CatalogEntry, indexTypeOf } from '../storage/catalog.ts';
import type { Manifest } from '../storage/manifest.ts';
import type { Compaction } from './compaction.ts';
import { indexingPart, keyValuePart, vectorsPart } from './parts.ts';
import type { SnapshotScan } from './snapshot-scan.ts';
import type { SpaceBlocks } from './space-blocks.ts';
import type { ThreadedLinks } from './threaded-links.ts';

export const blockBytes: number = 256 * 1024;
/** No instance may hold more: 3.5 GiB, so that addresses stay well inside 32 bits. */
export const framesMax = 14336;
/** What applying an operation asks of scratch memory besides its bytes: headers, alignment. */
const scratchSlack = 64;

/** A space's manifest as it is stored, twice; both `undefined` before the first checkpoint. */
export interface StoredManifests {
  readonly first: Uint8Array | undefined;
  readonly copy: Uint8Array | undefined;
}

export class ResidentSpace {
  entry: CatalogEntry;
  /** Replaced by a compaction, between two operations: never kept across an await. */
  space: Space;
  manifest: Manifest | undefined;
  /** What of the image may be absent; `undefined`: nothing. */
  blocks: SpaceBlocks | undefined;
  /**
   * Operations of one commit are being applied and wait for blocks: until then nobody reads. Rare, because a commit sees to
   * its blocks before it is logged.
   */
  settling: Promise<void> | undefined;
  /** While it is there no writes are applied: a read that others' writes kept from ending comes first. */
  writesHeld: Promise<void> | undefined;
  /** The manifest as it is stored. */
  manifests: StoredManifests | undefined;
  /** Sequence of the next log record. */
  nextSequence: number;
  /** All records before this one are known to be on the disk; of others it is not known. */
  flushedBefore: number;
  /** When the last record was written, in the commit queue's count of flushes; nobody knows when a former owner's was. */
  loggedIn: number = Number.POSITIVE_INFINITY;
  /** Bytes in the log that the last checkpoint does not contain. */
  logBytes = 0;
  /** Operations applied since the last checkpoint, logged or not. */
  changes = 0;
  /** Items linked since the derived blocks were last stored, and in all. */
  unsavedLinks = 0;
  linkedEver = 0;
  /** The index is another one than what is stored of it: the next checkpoint replaces all derived blocks. */
  indexChanged = false;
  /** With indexType `Auto`: how many vectors there were when it was last decided. */
  decidedAtCount = 0;
  /** Why the last attempt to link stopped, if it failed: told to whoever waits for the index. */
  linkFailure: unknown;
  usedAtMs = 0;
  /** When it last had something new to store, as `usedAtMs`. */
  idleFromMs = 0;
  broken = false;
  /** Why nothing may be written: the space is damaged and holds only what is intact; empty where it is a static snapshot's. */
  readOnly: StorageFault[] | undefined;
  /** Of a salvaged space: where its large values still are. */
  salvagedFrom: Manifest | undefined;
  readonly scans: Set<SnapshotScan<unknown>> = new Set();
  /** Writes of large values that are under way: until they end it stays in memory. */
  largeWrites = 0;
  /** A smaller image that is being made, and follows what is applied here. */
  compaction: Compaction | undefined;
  compactAgainAtMs = 0;
  /** The graph that helpers make of what is pending here. */
  threadedLinks: ThreadedLinks | undefined;
  /** What it is linked by is not all in memory: it cannot be copied for helpers. */
  linksAlone = false;
  /** How many threads linked the last bulk; 0: none was linked so. */
  linkedByThreads = 0;
  /** The image is another than the stored one: no block of the manifest is part of it. */
  isNewImage = false;

  constructor(entry: CatalogEntry, space: Space, manifest: Manifest | undefined) {
    this.entry = entry;
    this.space = space;
    this.manifest = manifest;
    this.nextSequence = manifest?.logFrom ?? 0;
    this.flushedBefore = this.nextSequence;
    this.large?.adopt(manifest?.blocks.values() ?? []);
  }

  /** Of a key-value space: the large values it refers to. */
  get large(): LargeReferences | undefined {
    return this.entry.engine === 'key-value' ? this.keyValue.large : undefined;
  }

  get durability(): Durability {
    return this.entry.durability;
  }

  get storedBytes(): number {
    let bytes = this.logBytes;
    for (const block of this.manifest?.blocks.values() ?? []) bytes += block.usedBytes;
    return bytes;
  }

  /** What a checkpoint would let storage drop. */
  get droppableBytes(): number {
    return this.logBytes + (this.large?.obsoleteBytes ?? 0);
  }

  /** Whether a checkpoint would find nothing to do. */
  get stored(): boolean {
    const { changes, unsavedLinks, indexChanged, large } = this;
    return changes === 0 && unsavedLinks === 0 && !indexChanged && (large?.obsoleteBytes ?? 0) === 0;
  }

  get keyValue(): KeyValueSpace {
    if (this.entry.engine !== 'key-value') assert(false, `${this.entry.name} is a key-value space`);
    return this.space as KeyValueSpace;
  }

  get vectors(): VectorSpace {
    assert(this.entry.engine === 'vector', `${this.entry.name} is a vector space`);
    return this.space as VectorSpace;
  }

  /**
   * Promises memory to operations that are about to wait for the log; one group at a time. False, and nothing promised,
   * when it cannot be had.
   */
  hold(need: Need): boolean {
    const { instance } = this.space;
    // Scratch memory first: applying passes through it, and what it takes cannot be promised any more.
    if (!instance.hasScratch((need.largest ?? need.bytes) + scratchSlack)) return false;
    const frames = this.space.plan(need);
    this.blocks?.room(frames);
    const held = (): boolean => instance.exports.arena_hold(frames) === Status.Ok;
    while (!held()) if (!instance.makeRoom(frames * blockBytes)) return false;
    return true;
  }

  /** Gives the promised memory to whoever asks next: the operations themselves, when they are applied. */
  release(): void {
    this.space.instance.exports.arena_hold(0);
  }

  /**
   * Puts another image with the same contents in the place of this one. Open scans go on there: they know the key or id they
   * are at. Requires: no promise of memory is open.
   */
  takeOver(space: Space): void {
    const { large } = this;
    this.space.instance.release();
    this.space = space;
    this.blocks = this.blocks?.over(space.instance);
    // Which large values are stored and wanted has nothing to do with the image.
    if (large !== undefined) this.keyValue.large = large;
    this.compaction = undefined;
    this.isNewImage = true;
    this.changes++;
  }

  /**
   * Removes up to `most` expired entries; returns how many. It needs no log record: what has expired is gone for every
   * reader already, and stays so on replay.
   */
  sweep(most: number): number {
    const deadline = this.keyValue.nextDeadline();
    if (deadline === undefined || deadline > this.keyValue.now) return 0;
    for (const scan of this.scans) scan.freeze();
    const removed = this.keyValue.sweep(most);
    this.changes += removed;
    return removed;
  }

  /** Keeps writes back until the function it gives is called. */
  holdWrites(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    const held = Promise.all([this.writesHeld, promise]).then(() => {
      if (this.writesHeld === held) this.writesHeld = undefined;
    });
    this.writesHeld = held;
    return resolve;
  }

  /** @throws AbsentBlocks, with nothing changed: to be called again when they are there */
  apply(operation: OperationView): boolean {
    for (const scan of this.scans) scan.freeze();
    try {
      const outcome = this.space.apply(operation);
      this.compaction?.follow(operation);
      this.changes++;
      return outcome;
    } catch (error) {
      if (error instanceof AbsentBlocks) throw error;
      // Memory may be half-changed now; what is stored is not.
      this.broken = true;
      for (const scan of this.scans) scan.lose();
      throw error;
    }
  }
}

/** The script that a space's engine takes. @throws SCRIPT_UNAVAILABLE */
export async function loadEngineOf({ engine, indexType, metadataFields }: CatalogEntry): Promise<void> {
  const part = engine === 'key-value' ? keyValuePart : indexType === 'Auto' ? indexingPart : vectorsPart;
  await Promise.all([part.load(), loadMetadataFor(metadataFields)]);
}

/** A space object over an instance that is empty or will be given blocks. Requires: its engine is loaded. */
export function makeSpace(entry: CatalogEntry, instance: CoreInstance, wallClock?: () => number): Space {
  if (entry.engine === 'key-value') return new keyValuePart.loaded.KeyValueSpace(instance, wallClock);
  return new vectorsPart.loaded.VectorSpace(instance, {
    dimension: entry.dimension ?? 0,
    metric: entry.metric ?? 'L2',
    ...(entry.p === undefined ? {} : { p: entry.p }),
    indexType: indexTypeOf(entry),
    ids: entry.ids ?? 'int',
    efConstruction: entry.efConstruction ?? 128,
    seed: entry.seed ?? 42,
    metadataFields: entry.metadataFields ?? [],
  });
}
