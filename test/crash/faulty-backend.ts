/**
 * A storage backend that stops or fails at a numbered step, over a disk that knows what a crash leaves.
 *
 * Every writing call is one step and one transaction. At the step it is told to, the backend stops as a killed process would:
 * with the transaction done or not, but never in part, and nothing works any more. Or the step fails once as a full disk
 * would, with nothing written, and all goes on.
 */

import { shibuDbError } from '../../src/api/errors.ts';
import { nextTask } from '../../src/base/next-task.ts';
import type {
  BlockName,
  LogEntry,
  StorageBackend,
  StorageEstimate,
  StoredBlock,
  StoredState,
} from '../../src/storage/backend.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import type { Random } from '../support/random.ts';

type Transaction = (backend: MemoryBackend) => Promise<void>;

/** What is written, what is known to have reached the platter, and the transactions between the two, in order. */
export class CrashDisk {
  readonly written: MemoryDisk;
  readonly #flushed: MemoryDisk = new MemoryDisk();
  #unflushed: Transaction[] = [];

  constructor(survived: MemoryDisk = new MemoryDisk()) {
    this.written = survived;
    copyDisk(survived, this.#flushed);
  }

  async commit(transaction: Transaction, flush: boolean): Promise<void> {
    await transaction(new MemoryBackend(this.written));
    this.#unflushed.push(transaction);
    if (flush) await this.#reachPlatter(this.#unflushed.length);
  }

  async #reachPlatter(count: number): Promise<void> {
    for (const transaction of this.#unflushed.splice(0, count))
      await transaction(new MemoryBackend(this.#flushed));
  }

  /** The process is gone, the machine runs on: everything written is there. */
  afterProcessCrash(): CrashDisk {
    return new CrashDisk(this.written);
  }

  /** The machine lost power: of what was not flushed some prefix is there. */
  async afterPowerLoss(random: Random): Promise<CrashDisk> {
    await this.#reachPlatter(random.below(this.#unflushed.length + 1));
    return new CrashDisk(this.#flushed);
  }
}

function copyDisk(source: MemoryDisk, target: MemoryDisk): void {
  target.catalog = source.catalog?.slice();
  for (const [id, { manifest, blocks, log }] of source.spaces) {
    const space = target.space(id);
    space.manifest = manifest?.slice();
    for (const [key, { name, bytes }] of blocks) space.blocks.set(key, { name, bytes: bytes.slice() });
    space.log = log.map((entry) => ({ ...entry, bytes: entry.bytes.slice() }));
  }
}

export interface FaultPlan {
  /** The step at which everything stops, from 1; whether its transaction is still done. */
  readonly stop?: { readonly step: number; readonly done: boolean };
  /** Steps that fail once with QUOTA_EXCEEDED. */
  readonly fail?: ReadonlySet<number>;
}

export class FaultyBackend implements StorageBackend {
  readonly kind = 'memory';
  readonly disk: CrashDisk;
  /** Writing calls so far. */
  steps = 0;
  stopped = false;
  failures = 0;
  readonly #plan: FaultPlan;
  readonly #random: Random;
  readonly #reader: MemoryBackend;

  constructor(disk: CrashDisk, plan: FaultPlan, random: Random) {
    this.disk = disk;
    this.#plan = plan;
    this.#random = random;
    this.#reader = new MemoryBackend(disk.written);
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
    return this.#write(flush, (backend) => backend.append(copies));
  }

  flush(): Promise<void> {
    return this.#write(true, (backend) => backend.flush());
  }

  writeBlocks(space: number, blocks: readonly StoredBlock[]): Promise<void> {
    // The engine uses its block buffers again.
    const copies = blocks.map((block) => ({ ...block, bytes: block.bytes.slice() }));
    return this.#write(false, (backend) => backend.writeBlocks(space, copies));
  }

  publish(space: number, manifest: Uint8Array): Promise<void> {
    const copy = manifest.slice();
    return this.#write(true, (backend) => backend.publish(space, copy));
  }

  drop(space: number, blocks: readonly BlockName[], sequence: number): Promise<void> {
    const names = [...blocks];
    return this.#write(false, (backend) => backend.drop(space, names, sequence));
  }

  writeCatalog(catalog: Uint8Array, removed: readonly number[]): Promise<void> {
    const copy = catalog.slice();
    const spaces = [...removed];
    return this.#write(true, (backend) => backend.writeCatalog(copy, spaces));
  }

  async estimate(): Promise<StorageEstimate> {
    return {};
  }

  close(): void {}

  async #read<Result>(read: () => Promise<Result>): Promise<Result> {
    this.#assertRunning();
    await this.#latency();
    this.#assertRunning();
    return read();
  }

  async #write(flush: boolean, transaction: Transaction): Promise<void> {
    this.#assertRunning();
    const step = ++this.steps;
    await this.#latency();
    this.#assertRunning();
    const { stop, fail } = this.#plan;
    if (fail?.has(step)) {
      this.failures++;
      throw shibuDbError('QUOTA_EXCEEDED', `Step ${step} found the disk full`);
    }
    const stops = stop?.step === step;
    if (stops) this.stopped = true;
    if (!stops || stop.done) await this.disk.commit(transaction, flush);
    if (stops) this.#assertRunning();
  }

  /** Some answers take their time, so that calls overlap in many ways. */
  async #latency(): Promise<void> {
    for (let turns = this.#random.below(3); turns > 0; turns--) await nextTask();
  }

  #assertRunning(): void {
    if (this.stopped) throw shibuDbError('STORAGE_FAILED', 'The process was stopped');
  }
}
