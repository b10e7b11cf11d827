/** A backend in plain memory: for tests, for measuring the engine without a disk, and where there is no IndexedDB. */

import { shibuDbError } from '../api/errors.ts';
import type {
  BlockName,
  LogEntry,
  StorageBackend,
  StorageEstimate,
  StoredBlock,
  StoredState,
} from './backend.ts';

/** Of one of the log's buffers. */
const chunkBytes = 64 * 1024;
interface LogChunk {
  readonly bytes: Uint8Array;
  readonly sequences: number[];
  /** Where each record ends. */
  readonly ends: number[];
}

interface MemoryBlock {
  readonly name: BlockName;
  bytes: Uint8Array;
  /** Somebody was given the bytes themselves. */
  read: boolean;
}

/**
 * Buffers by size. Those that are not used any more are used again: else storage that is written over and over is new memory each time,
 * and what the collector does about buffers outside its heap took a third of all the time of puts. As much is kept as is in use, which
 * a checkpoint of everything takes.
 */
class Buffers {
  readonly #free: Map<number, Uint8Array[]> = new Map();
  #freeBytes = 0;
  #usedBytes = 0;

  /** Its contents are whatever was there. */
  take(bytes: number): Uint8Array {
    this.#usedBytes += bytes;
    const free = this.#free.get(bytes)?.pop();
    if (free === undefined) return new Uint8Array(bytes);
    this.#freeBytes -= bytes;
    return free;
  }

  /** `reusable`: nobody else holds it. */
  give(buffer: Uint8Array, reusable: boolean): void {
    const { length } = buffer;
    this.#usedBytes -= length;
    if (!reusable || length < chunkBytes || this.#freeBytes + length > this.#usedBytes) return;
    const free = this.#free.get(length);
    if (free === undefined) this.#free.set(length, [buffer]);
    else free.push(buffer);
    this.#freeBytes += length;
  }
}

/**
 * What is stored of a space. Log records lie one behind another in a few buffers: objects for each, which outlive the
 * collector's young generation, would cost a small write more than all else about it.
 */
class StoredSpace {
  manifest: Uint8Array | undefined;
  manifestCopy: Uint8Array | undefined;
  readonly blocks: Map<string, MemoryBlock> = new Map();
  readonly #id: number;
  readonly #buffers: Buffers;
  #chunks: LogChunk[] = [];
  /** Log records before this one are dropped. */
  #from = 0;

  constructor(id: number, buffers: Buffers) {
    this.#id = id;
    this.#buffers = buffers;
  }

  append(sequence: number, bytes: Uint8Array): void {
    let chunk = this.#chunks.at(-1);
    let at = chunk?.ends.at(-1) ?? 0;
    if (chunk === undefined || at + bytes.length > chunk.bytes.length) {
      chunk = { bytes: this.#buffers.take(Math.max(chunkBytes, bytes.length)), sequences: [], ends: [] };
      this.#chunks.push(chunk);
      at = 0;
    }
    chunk.bytes.set(bytes, at);
    chunk.sequences.push(sequence);
    chunk.ends.push(at + bytes.length);
  }

  /** Buffers go as a whole. */
  dropLog(before: number): void {
    this.#from = Math.max(this.#from, before);
    this.#chunks = this.#chunks.filter(({ bytes, sequences }) => {
      const isWanted = (sequences.at(-1) as number) >= this.#from;
      if (!isWanted) this.#buffers.give(bytes, true);
      return isWanted;
    });
  }

  /** Copies of the records. */
  get log(): LogEntry[] {
    return this.#chunks.flatMap(({ bytes, sequences, ends }) =>
      sequences
        .map((sequence, i) => ({ space: this.#id, sequence, bytes: bytes.slice(ends[i - 1], ends[i]) }))
        .filter(({ sequence }) => sequence >= this.#from),
    );
  }

  /** Replaced as a whole: what was read is not the log itself. */
  set log(entries: readonly LogEntry[]) {
    for (const { bytes } of this.#chunks) this.#buffers.give(bytes, true);
    this.#chunks = [];
    for (const { sequence, bytes } of entries) this.append(sequence, bytes);
  }

  write({ block, generation, bytes }: StoredBlock): void {
    const name = { block, generation };
    this.drop(name);
    const kept = this.#buffers.take(bytes.length);
    kept.set(bytes);
    this.blocks.set(keyOf(name), { name, bytes: kept, read: false });
  }

  read(name: BlockName): Uint8Array | undefined {
    const block = this.blocks.get(keyOf(name));
    if (block !== undefined) block.read = true;
    return block?.bytes;
  }

  drop(name: BlockName): void {
    const block = this.blocks.get(keyOf(name));
    if (block === undefined) return;
    this.blocks.delete(keyOf(name));
    this.#buffers.give(block.bytes, !block.read);
  }

  /** The space is gone. */
  dropAll(): void {
    for (const { name } of this.blocks.values()) this.drop(name);
    this.dropLog(Number.POSITIVE_INFINITY);
  }
}

/** What several backends opened one after another share: a "disk". */
export class MemoryDisk {
  catalog: Uint8Array | undefined;
  catalogCopy: Uint8Array | undefined;
  readonly spaces: Map<number, StoredSpace> = new Map();
  readonly #buffers: Buffers = new Buffers();

  space(id: number): StoredSpace {
    let space = this.spaces.get(id);
    if (space === undefined) {
      space = new StoredSpace(id, this.#buffers);
      this.spaces.set(id, space);
    }
    return space;
  }
}

const keyOf = (name: BlockName): string => `${name.block}/${name.generation}`;

export class MemoryBackend implements StorageBackend {
  readonly kind = 'memory';
  readonly #disk: MemoryDisk;
  #closed = false;

  constructor(disk: MemoryDisk = new MemoryDisk()) {
    this.#disk = disk;
  }

  async readState(): Promise<StoredState> {
    const disk = this.#open();
    const manifests = new Map<number, Uint8Array>();
    const manifestCopies = new Map<number, Uint8Array>();
    for (const [id, { manifest, manifestCopy }] of disk.spaces) {
      if (manifest !== undefined) manifests.set(id, manifest);
      if (manifestCopy !== undefined) manifestCopies.set(id, manifestCopy);
    }
    return { catalog: disk.catalog, manifests, catalogCopy: disk.catalogCopy, manifestCopies };
  }

  async readBlocks(space: number, names: readonly BlockName[]): Promise<(Uint8Array | undefined)[]> {
    const stored = this.#open().space(space);
    return names.map((name) => stored.read(name));
  }

  async readLog(space: number, sequence: number): Promise<LogEntry[]> {
    return this.#open()
      .space(space)
      .log.filter((entry) => entry.sequence >= sequence);
  }

  async listBlocks(space: number): Promise<BlockName[]> {
    return [...this.#open().space(space).blocks.values()].map(({ name }) => name);
  }

  async append(entries: readonly LogEntry[]): Promise<void> {
    const disk = this.#open();
    for (const { space, sequence, bytes } of entries) disk.space(space).append(sequence, bytes);
  }

  readonly appendNow: StorageBackend['appendNow'] = ({ space, sequence, bytes }) =>
    this.#open().space(space).append(sequence, bytes);

  async flush(): Promise<void> {
    this.#open();
  }

  async writeBlocks(space: number, blocks: readonly StoredBlock[]): Promise<void> {
    const stored = this.#open().space(space);
    for (const block of blocks) stored.write(block);
  }

  async publish(space: number, manifest: Uint8Array): Promise<void> {
    const stored = this.#open().space(space);
    stored.manifest = manifest.slice();
    stored.manifestCopy = manifest.slice();
  }

  async drop(space: number, blocks: readonly BlockName[], sequence: number): Promise<void> {
    const stored = this.#open().space(space);
    for (const name of blocks) stored.drop(name);
    stored.dropLog(sequence);
  }

  async writeCatalog(catalog: Uint8Array, removed: readonly number[]): Promise<void> {
    const disk = this.#open();
    disk.catalog = catalog.slice();
    disk.catalogCopy = catalog.slice();
    for (const id of removed) {
      disk.spaces.get(id)?.dropAll();
      disk.spaces.delete(id);
    }
  }

  async estimate(): Promise<StorageEstimate> {
    return {};
  }

  close(): void {
    this.#closed = true;
  }

  #open(): MemoryDisk {
    if (this.#closed) throw shibuDbError('CLOSED', 'The storage is closed');
    return this.#disk;
  }
}
