/**
 * A backend of transactions, as IndexedDB has them, over a disk that knows what a crash leaves.
 *
 * Every writing call is one step and one transaction: done or not when the process stops there, but never in part. Those that were
 * not flushed outlive the process, and of them a power loss leaves some prefix. Who opens the disk raises its epoch; a
 * transaction of a former owner is refused whole.
 *
 * As Chromium's LevelDB does it, a disk has several logs: now and then a new one is begun, a flush is of the newest alone, and other
 * databases flush that as well. So of every log a power loss leaves some prefix.
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
import { UnflushedRecords } from '../../src/storage/unflushed-records.ts';
import type { OwnedStorage } from '../../src/tabs/owner.ts';
import { cloneDisk } from '../support/clone-disk.ts';
import type { Random } from '../support/random.ts';
import { type Faults, Stopped } from './faults.ts';

type Transaction = (backend: MemoryBackend, disk: MemoryDisk) => void;

interface Written {
  readonly transaction: Transaction;
  readonly log: number;
  flushed: boolean;
}

/** How often, per transaction. */
const newLogs = 0.15;
const flushesOfOthers = 0.15;

/** What is written, what is known to have reached the platter, and the transactions between the two, in order. */
export class CrashDisk {
  readonly written: MemoryDisk;
  readonly hasLogs: boolean;
  #flushed: MemoryDisk;
  /** Since then. */
  #since: Written[] = [];
  #log = 0;
  /** Number of the owner; raised in a flushed transaction, so that no crash takes it back. */
  epoch = 0;
  /** The last session has not ended in peace. */
  running = false;

  constructor(hasLogs: boolean, survived: MemoryDisk = new MemoryDisk()) {
    this.hasLogs = hasLogs;
    this.written = survived;
    this.#flushed = cloneDisk(survived);
  }

  commit(transaction: Transaction, flush: boolean, random: Random): void {
    transaction(new MemoryBackend(this.written), this.written);
    this.#since.push({ transaction, log: this.#log, flushed: false });
    if (flush) this.#flush();
    if (!this.hasLogs) return;
    if (random.unit() < newLogs) this.#log++;
    if (random.unit() < flushesOfOthers) this.#flush();
  }

  #flush(): void {
    for (const each of this.#since) if (each.log === this.#log) each.flushed = true;
    if (!this.#since.every(({ flushed }) => flushed)) return;
    this.#flushed = cloneDisk(this.written);
    this.#since = [];
  }

  /** The machine lost power: of what was not flushed in a log some prefix is there. */
  afterPowerLoss(random: Random): CrashDisk {
    for (const one of Map.groupBy(this.#since, ({ log }) => log).values()) {
      const unflushed = one.filter(({ flushed }) => !flushed);
      const lost = unflushed.slice(random.below(unflushed.length + 1));
      this.#since = this.#since.filter((each) => !lost.includes(each));
    }
    for (const { transaction } of this.#since) transaction(new MemoryBackend(this.#flushed), this.#flushed);
    const survivor = new CrashDisk(this.hasLogs, this.#flushed);
    survivor.epoch = this.epoch;
    survivor.running = this.running;
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
  readonly #unflushed: UnflushedRecords;
  readonly #torn: boolean;
  /** Only where there are logs. */
  cutLog: StorageBackend['cutLog'];
  /** Called when a later owner is found. */
  onFenced: () => void = () => {};

  private constructor(disk: CrashDisk, faults: Faults) {
    this.#disk = disk;
    this.#faults = faults;
    this.#reader = new MemoryBackend(disk.written);
    this.#unflushed = new UnflushedRecords(disk.hasLogs);
    this.#torn = disk.running;
    disk.running = true;
    if (disk.hasLogs) this.cutLog = (space, sequence) => this.#cutLog(space, sequence);
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

  async readLog(space: number, sequence: number): Promise<LogEntry[]> {
    const entries = await this.#read(() => this.#reader.readLog(space, sequence));
    if (this.#torn) this.#unflushed.addTail(entries);
    return entries;
  }

  listBlocks(space: number): Promise<BlockName[]> {
    return this.#read(() => this.#reader.listBlocks(space));
  }

  async append(entries: readonly LogEntry[], flush: boolean): Promise<void> {
    const copies = entries.map((entry) => ({ ...entry, bytes: entry.bytes.slice() }));
    const what = entries.map(({ space, sequence }) => `${space}:${sequence}`).join(' ');
    await this.#write(`append ${what}${flush ? ', flushed' : ''}`, flush, (backend) =>
      backend.append(copies),
    );
    if (!flush) this.#unflushed.add(copies);
  }

  #cutLog(space: number, from: number): Promise<void> {
    this.#unflushed.cut(space, from);
    return this.#write(`cut the log of ${space} at ${from}`, true, (_backend, disk) => {
      const stored = disk.space(space);
      stored.log = stored.log.filter(({ sequence }) => sequence < from);
    });
  }

  flush(): Promise<void> {
    return this.#write('flush', true, (backend) => backend.flush());
  }

  writeBlocks(space: number, blocks: readonly StoredBlock[]): Promise<void> {
    // The engine uses its block buffers again.
    const copies = blocks.map((block) => ({ ...block, bytes: block.bytes.slice() }));
    return this.#write(`${blocks.length} blocks of ${space}`, this.#disk.hasLogs, (backend) =>
      backend.writeBlocks(space, copies),
    );
  }

  publish(space: number, manifest: Uint8Array): Promise<void> {
    const copy = manifest.slice();
    return this.#write(`publish ${space}`, true, (backend) => backend.publish(space, copy));
  }

  drop(space: number, blocks: readonly BlockName[], sequence: number): Promise<void> {
    const names = [...blocks];
    this.#unflushed.drop(space, sequence);
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
    if (!this.#faults.stopped && this.#epoch === this.#disk.epoch) this.#disk.running = this.#torn;
  }

  async #read<Result>(read: () => Promise<Result>): Promise<Result> {
    this.#assertOpen();
    await typed(() => this.#faults.read());
    return read();
  }

  async #write(
    what: string,
    flush: boolean,
    transaction: (backend: MemoryBackend, disk: MemoryDisk) => unknown,
  ): Promise<void> {
    this.#assertOpen();
    const atMs = this.#faults.time.now();
    // One after the other, as they were begun: what IndexedDB promises of transactions that share a store.
    await this.#lane.run(async () => {
      const { done, stops, failure } = await typed(() => this.#faults.step(what));
      this.#checkEpoch();
      if (failure === 'full') throw shibuDbError('QUOTA_EXCEEDED', `The disk is full (${what})`);
      if (failure === 'broken') throw shibuDbError('STORAGE_FAILED', `The disk is broken (${what})`);
      const again = flush ? this.#unflushed.records : [];
      const all: Transaction = (written, disk) => {
        for (const record of again) putRecord(disk, record);
        transaction(written, disk);
      };
      if (done) this.#disk.commit(all, flush, this.#faults.random);
      this.#unflushed.remove(again);
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

/** Whether or not it is there. */
function putRecord(disk: MemoryDisk, record: LogEntry): void {
  const stored = disk.space(record.space);
  const others = stored.log.filter(({ sequence }) => sequence !== record.sequence);
  stored.log = [...others, record].sort((a, b) => a.sequence - b.sequence);
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
