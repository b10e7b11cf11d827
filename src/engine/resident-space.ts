/**
 * A space that is in memory: its core instance, its place in the log, and what is stored of it.
 *
 * Opening is copying: the manifest's blocks go into a fresh instance, which can answer at once; then the log's tail is
 * applied. An instance whose apply failed half-way is *broken*: it is thrown away and opened again from storage, which
 * never saw the failure.
 */

import type { Durability, IndexType } from '../api/database.ts';
import { isShibuDbError, shibuDbError } from '../api/errors.ts';
import { assert } from '../base/assert.ts';
import { CoreInstance } from '../kernel/instance.ts';
import { Status } from '../kernel/status.ts';
import { KeyValueSpace } from '../space/key-value-space.ts';
import { type OperationView, operationsIn } from '../space/operation.ts';
import type { Need, Space } from '../space/space.ts';
import { VectorSpace } from '../space/vector-space.ts';
import type { BlockName } from '../storage/backend.ts';
import type { CatalogEntry } from '../storage/catalog.ts';
import type { Checksum } from '../storage/envelope.ts';
import { decodeManifest, type Manifest, type ManifestBlock } from '../storage/manifest.ts';
import { decodeLogRecord } from './log-record.ts';
import type { Environment } from './settings.ts';
import type { SnapshotScan } from './snapshot-scan.ts';

export const blockBytes: number = 256 * 1024;
/** No instance may hold more: 3.5 GiB, so that addresses stay well inside 32 bits. */
const framesMax = 14336;
/** What applying an operation asks of scratch memory besides its bytes: headers, alignment. */
const scratchSlack = 64;
/** Blocks read by one transaction while opening; two such are in flight. */
const blocksPerRead = 16;

export class ResidentSpace {
  readonly entry: CatalogEntry;
  readonly space: Space;
  manifest: Manifest | undefined;
  /** The manifest as it is stored. */
  manifestBytes: Uint8Array | undefined;
  /** Sequence of the next log record. */
  nextSequence: number;
  /** Bytes in the log that the last checkpoint does not contain. */
  logBytes = 0;
  /** Operations applied since the last checkpoint, logged or not. */
  changes = 0;
  /** Items linked since the derived blocks were last stored, and in all. */
  unsavedLinks = 0;
  linkedEver = 0;
  /** Why the last attempt to link stopped, if it failed: told to whoever waits for the index. */
  linkFailure: unknown;
  usedAtMs = 0;
  broken = false;
  readonly scans: Set<SnapshotScan<unknown>> = new Set();

  constructor(entry: CatalogEntry, space: Space, manifest: Manifest | undefined) {
    this.entry = entry;
    this.space = space;
    this.manifest = manifest;
    this.nextSequence = manifest?.logFrom ?? 0;
  }

  get durability(): Durability {
    return this.entry.durability;
  }

  get storedBytes(): number {
    let bytes = this.logBytes;
    for (const block of this.manifest?.blocks.values() ?? []) bytes += block.usedBytes;
    return bytes;
  }

  get keyValue(): KeyValueSpace {
    assert(this.space instanceof KeyValueSpace, `${this.entry.name} is a key-value space`);
    return this.space;
  }

  get vectors(): VectorSpace {
    assert(this.space instanceof VectorSpace, `${this.entry.name} is a vector space`);
    return this.space;
  }

  /**
   * Promises memory to operations that are about to wait for the log; one group at a time. False, and nothing promised,
   * when it cannot be had.
   */
  hold(need: Need): boolean {
    const { instance } = this.space;
    // Scratch memory first: applying passes through it, and what it takes cannot be promised any more.
    if (!instance.hasScratch((need.largest ?? need.bytes) + scratchSlack)) return false;
    return instance.exports.arena_hold(this.space.plan(need)) === Status.Ok;
  }

  /** Gives the promised memory to whoever asks next: the operations themselves, when they are applied. */
  release(): void {
    this.space.instance.exports.arena_hold(0);
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

  apply(operation: OperationView): boolean {
    for (const scan of this.scans) scan.freeze();
    try {
      const outcome = this.space.apply(operation);
      this.changes++;
      return outcome;
    } catch (error) {
      // Memory may be half-changed now; what is stored is not.
      this.broken = true;
      for (const scan of this.scans) scan.lose();
      throw error;
    }
  }
}

function makeSpace(entry: CatalogEntry, instance: CoreInstance, wallClock?: () => number): Space {
  if (entry.engine === 'key-value') return new KeyValueSpace(instance, wallClock);
  return new VectorSpace(instance, {
    dimension: entry.dimension ?? 0,
    metric: entry.metric ?? 'L2',
    ...(entry.p === undefined ? {} : { p: entry.p }),
    indexType: (entry.indexType ?? 'Flat') as IndexType,
    ids: entry.ids ?? 'int',
    efConstruction: entry.efConstruction ?? 128,
    seed: entry.seed ?? 42,
  });
}

/** Brings a space into memory as it was when its last acknowledged record was written. @throws CORRUPTION, OUT_OF_MEMORY */
export async function openResidentSpace(
  environment: Environment,
  entry: CatalogEntry,
  manifestBytes: Uint8Array | undefined,
  checksum: Checksum,
): Promise<ResidentSpace> {
  const instance = new CoreInstance(environment.core, environment.memory);
  try {
    return await openIn(instance, environment, entry, manifestBytes, checksum);
  } catch (error) {
    instance.release();
    throw error;
  }
}

async function openIn(
  instance: CoreInstance,
  environment: Environment,
  entry: CatalogEntry,
  manifestBytes: Uint8Array | undefined,
  checksum: Checksum,
): Promise<ResidentSpace> {
  instance.exports.arena_init(framesMax);
  const space = makeSpace(entry, instance, environment.wallClock);
  const what = `space "${entry.name}"`;
  const manifest =
    manifestBytes === undefined
      ? undefined
      : decodeManifest(manifestBytes, checksum, `The manifest of ${what}`);
  if (manifest === undefined) {
    space.create();
  } else {
    await adoptBlocks(environment, entry, manifest, instance);
    space.open();
  }
  const resident = new ResidentSpace(entry, space, manifest);
  resident.manifestBytes = manifestBytes;
  await replay(environment, resident, checksum);
  return resident;
}

async function adoptBlocks(
  environment: Environment,
  entry: CatalogEntry,
  manifest: Manifest,
  instance: CoreInstance,
): Promise<void> {
  const blocks = [...manifest.blocks.values()];
  const read = (from: number): Promise<(Uint8Array | undefined)[]> =>
    environment.backend.readBlocks(entry.id, blocks.slice(from, from + blocksPerRead));
  let ahead = read(0);
  for (let from = 0; from < blocks.length; from += blocksPerRead) {
    const current = ahead;
    ahead = read(from + blocksPerRead);
    ahead.catch(() => {});
    for (const [i, bytes] of (await current).entries())
      adopt(entry, blocks[from + i] as ManifestBlock, bytes, instance);
  }
  await ahead;
}

function adopt(
  entry: CatalogEntry,
  block: ManifestBlock,
  bytes: Uint8Array | undefined,
  instance: CoreInstance,
): void {
  const segment = block.block >>> 24;
  const index = block.block & 0xffffff;
  const damaged = (found: string): Error =>
    shibuDbError('CORRUPTION', `Space "${entry.name}" is damaged: block ${segment}/${index} ${found}`, {
      details: { space: entry.name, segment, block: index },
    });
  if (bytes === undefined) throw damaged('is missing');
  if (bytes.length !== block.usedBytes || bytes.length > blockBytes) {
    throw damaged(`has ${bytes.length} bytes, expected ${block.usedBytes}`);
  }
  instance.askBudget();
  const address = instance.exports.block_adopt(segment, index) >>> 0;
  if (address === 0) {
    throw shibuDbError(
      'OUT_OF_MEMORY',
      `No memory is left to open space "${entry.name}" (${instance.memoryBytes} bytes used)`,
    );
  }
  instance.bytes().set(bytes, address);
  if (BigInt.asUintN(64, instance.exports.checksum64(address, bytes.length)) !== block.checksum) {
    throw damaged('does not match its checksum');
  }
}

async function replay(environment: Environment, resident: ResidentSpace, checksum: Checksum): Promise<void> {
  const { entry } = resident;
  for (const { sequence, bytes } of await environment.backend.readLog(entry.id, resident.nextSequence)) {
    const what = `Log record ${sequence} of space "${entry.name}"`;
    if (sequence !== resident.nextSequence) {
      throw shibuDbError(
        'CORRUPTION',
        `Log record ${resident.nextSequence} of space "${entry.name}" is missing`,
        {
          details: { space: entry.name, record: resident.nextSequence },
        },
      );
    }
    const operations = decodeLogRecord(bytes, entry.id, sequence, checksum, what);
    try {
      for (const operation of operationsIn(operations)) resident.apply(operation);
    } catch (error) {
      if (isShibuDbError(error)) throw error;
      throw shibuDbError('CORRUPTION', `${what} cannot be applied`, {
        cause: error,
        details: { space: entry.name, record: sequence },
      });
    }
    resident.nextSequence++;
    resident.logBytes += bytes.length;
  }
}

/** Stored blocks that no manifest names: leftovers of a checkpoint that was cut short. */
export async function dropOrphans(environment: Environment, resident: ResidentSpace): Promise<void> {
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
