/**
 * A backend of transactions, as IndexedDB has them, over a disk that knows what a crash leaves.
 *
 * Every writing call is one step and one transaction: done or not when the process stops there, but never in part. Those that were
 * not flushed outlive the process, and of them a power loss leaves some prefix. Who opens the disk raises its epoch; a
 * transaction of a former owner is refused whole.
 */

import { shibuDbError } from '../../src/api/errors.ts';
import { Lane } from '../../src/node/lane.ts';
import type {
  BlockName,
  LogEntry,
  StorageBackend,
  StorageEstimate,
  StoredBlock,
  StoredState,
} from '../../src/storage/backend.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import type { OwnedStorage } from '../../src/tabs/owner.ts';
import { cloneDisk } from '../support/clone-disk.ts';
import type { Random } from '../support/random.ts';
import { type Faults, Stopped } from './faults.ts';

type Transaction = (backend: MemoryBackend) => void;

/** What is written, what is known to have reached the platter, and the transactions between the two, in order. */
export class CrashDisk {
  readonly written: MemoryDisk;
  #flushed: MemoryDisk;
  /** Since then. */
  #unflushed: Transaction[] = [];
  /** Number of the owner; raised in a flushed transaction, so that no crash takes it back. */
  epoch = 0;

  constructor(survived: MemoryDisk = new MemoryDisk()) {
    this.written = survived;
    this.#flushed = cloneDisk(survived);
  }

  commit(transaction: Transaction, flush: boolean): void {
    transaction(new MemoryBackend(this.written));
    if (flush) {
      this.#flushed = cloneDisk(this.written);
      this.#unflushed = [];
    } else {
      this.#unflushed.push(transaction);
    }
  }

  /** The machine lost power: of what was not flushed some prefix is there. */
  afterPowerLoss(random: Random): CrashDisk {
    for (const transaction of this.#unflushed.slice(0, random.below(this.#unflushed.length + 1)))
      transaction(new MemoryBackend(this.#flushed));
    const survivor = new CrashDisk(this.#flushed);
    survivor.epoch = this.epoch;
    return survivor;
  }
}

export class FaultyBackend implements StorageBackend, OwnedStorage {
  readonly kind = 'memory';
  readonly identity = '0123456789abcdef';
  readonly #disk: CrashDisk;
  readonly #faults: Faults;
  readonly #reader: MemoryBackend;
  readonly #lane: Lane = new Lane();
  #epoch = 0;
  #confirmedAtMs = Number.NEGATIVE_INFINITY;
  #closed = false;
  /** Called when a later owner is found. */
  onFenced: () => void = () => {};

  private constructor(disk: CrashDisk, faults: Faults) {
    this.#disk = disk;
    this.#faults = faults;
    this.#reader = new MemoryBackend(disk.written);
  }

  /** Takes the disk over from whoever had it. */
  static async open(disk: CrashDisk, faults: Faults): Promise<FaultyBackend> {
    const backend = new FaultyBackend(disk, faults);
    await faults.read();
    backend.#epoch = ++disk.epoch;
    backend.#confirmedAtMs = faults.time.now();
    return backend;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get confirmedAtMs(): number {
    return this.#confirmedAtMs;
  }

  readState(): Promise<StoredState> {
    return this.#read(() => this.#reader.readState());
  }

  readBlocks(space: number, names: readonly BlockName[]): Promise<(Uint8Array | undefined)[]> {
    return this.#read(() => this.#reader.readBlocks(space, names));
  }

  readLog(space: number, sequence: number): Promise<LogEntry[]> {
    return this.#read(() => this.#reader.readLog(space, sequence));
  }

  listBlocks(space: number): Promise<BlockName[]> {
    return this.#read(() => this.#reader.listBlocks(space));
  }

  append(entries: readonly LogEntry[], flush: boolean): Promise<void> {
    const copies = entries.map((entry) => ({ ...entry, bytes: entry.bytes.slice() }));
    const what = entries.map(({ space, sequence }) => `${space}:${sequence}`).join(' ');
    return this.#write(`append ${what}${flush ? ', flushed' : ''}`, flush, (backend) =>
      backend.append(copies),
    );
  }

  flush(): Promise<void> {
    return this.#write('flush', true, (backend) => backend.flush());
  }

  writeBlocks(space: number, blocks: readonly StoredBlock[]): Promise<void> {
    // The engine uses its block buffers again.
    const copies = blocks.map((block) => ({ ...block, bytes: block.bytes.slice() }));
    return this.#write(`${blocks.length} blocks of ${space}`, false, (backend) =>
      backend.writeBlocks(space, copies),
    );
  }

  publish(space: number, manifest: Uint8Array): Promise<void> {
    const copy = manifest.slice();
    return this.#write(`publish ${space}`, true, (backend) => backend.publish(space, copy));
  }

  drop(space: number, blocks: readonly BlockName[], sequence: number): Promise<void> {
    const names = [...blocks];
    return this.#write(`drop ${names.length} blocks of ${space}, log before ${sequence}`, false, (backend) =>
      backend.drop(space, names, sequence),
    );
  }

  writeCatalog(catalog: Uint8Array, removed: readonly number[]): Promise<void> {
    const copy = catalog.slice();
    const spaces = [...removed];
    return this.#write('catalog', true, (backend) => backend.writeCatalog(copy, spaces));
  }

  async estimate(): Promise<StorageEstimate> {
    return {};
  }

  /** @throws NOT_OWNER */
  async confirm(): Promise<void> {
    const atMs = this.#faults.time.now();
    await this.#read(async () => this.#checkEpoch());
    this.#confirmedAtMs = Math.max(this.#confirmedAtMs, atMs);
  }

  close(): void {
    this.#closed = true;
  }

  async #read<Result>(read: () => Promise<Result>): Promise<Result> {
    this.#assertOpen();
    await typed(() => this.#faults.read());
    return read();
  }

  async #write(
    what: string,
    flush: boolean,
    transaction: (backend: MemoryBackend) => unknown,
  ): Promise<void> {
    this.#assertOpen();
    const atMs = this.#faults.time.now();
    // One after the other, as they were begun: what IndexedDB promises of transactions that share a store.
    await this.#lane.run(async () => {
      const { done, stops, failure } = await typed(() => this.#faults.step(what));
      this.#checkEpoch();
      if (failure === 'full') throw shibuDbError('QUOTA_EXCEEDED', `The disk is full (${what})`);
      if (failure === 'broken') throw shibuDbError('STORAGE_FAILED', `The disk is broken (${what})`);
      if (done) this.#disk.commit(transaction, flush);
      if (stops) throw storageFailed();
    });
    this.#confirmedAtMs = Math.max(this.#confirmedAtMs, atMs);
  }

  #checkEpoch(): void {
    if (this.#epoch === this.#disk.epoch) return;
    this.onFenced();
    const { epoch } = this.#disk;
    throw shibuDbError(
      'NOT_OWNER',
      `The epoch is ${epoch}, this owner's was ${this.#epoch}; nothing was written`,
    );
  }

  #assertOpen(): void {
    if (this.#closed) throw shibuDbError('CLOSED', 'The storage is closed');
  }
}

async function typed<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Stopped) throw storageFailed();
    throw error;
  }
}

function storageFailed(): Error {
  return shibuDbError('STORAGE_FAILED', 'The process was stopped');
}
