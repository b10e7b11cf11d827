/**
 * Group commit: all operations that wait when a commit starts become one log record per space and one transaction; there is
 * no timer. An operation is durable (as its space promises), then applied, then acknowledged, in this order, so that nobody
 * reads what a crash could take back and a failed append changes nothing.
 */

import type { Durability } from '../api/database.ts';
import { shibuDbError } from '../api/errors.ts';
import { type OperationView, operationsIn } from '../space/operation.ts';
import type { Need } from '../space/space.ts';
import type { LogEntry } from '../storage/backend.ts';
import type { Checksum } from '../storage/envelope.ts';
import { encodeLogRecord } from './log-record.ts';
import type { ResidentSpace } from './resident-space.ts';
import type { Environment } from './settings.ts';

interface Waiting {
  readonly resident: ResidentSpace;
  readonly operation: Uint8Array;
  readonly need: Need;
  readonly resolve: (outcome: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** What a space with a policy has appended since the last flush. */
interface FlushState {
  operations: number;
  since: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

export class CommitQueue {
  readonly #environment: Environment;
  readonly #checksum: Checksum;
  readonly #onApplied: (resident: ResidentSpace) => void;
  readonly #unflushed: Map<ResidentSpace, FlushState> = new Map();
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(environment: Environment, checksum: Checksum, onApplied: (resident: ResidentSpace) => void) {
    this.#environment = environment;
    this.#checksum = checksum;
    this.#onApplied = onApplied;
  }

  /** Resolves with the operation's outcome when it is as durable as its space promises, and applied. */
  submit(resident: ResidentSpace, operation: Uint8Array, need: Need): Promise<boolean> {
    resident.hold(need);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resident, operation, need, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when everything submitted so far is settled. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    // Whoever submits in this same turn belongs to the first group.
    await undefined;
    while (this.#waiting.length > 0) await this.#commit(this.#takeGroup());
    this.#running = undefined;
  }

  #takeGroup(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { operation } of this.#waiting) {
      bytes += operation.length;
      if (count > 0 && bytes > this.#environment.settings.groupBytesMax) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #commit(taken: Waiting[]): Promise<void> {
    const group = taken.filter((waiting) => this.#stillGood(waiting));
    const bySpace = Map.groupBy(group, ({ resident }) => resident);
    const entries: LogEntry[] = [];
    let flush = false;
    for (const [resident, waiting] of bySpace) {
      if (resident.durability === 'none') continue;
      const operations = waiting.map(({ operation }) => operation);
      const sequence = resident.nextSequence;
      const bytes = encodeLogRecord(resident.entry.id, sequence, operations, this.#checksum);
      entries.push({ space: resident.entry.id, sequence, bytes });
      flush = this.#wantsFlush(resident, operations.length) || flush;
    }
    try {
      if (entries.length > 0) await this.#environment.backend.append(entries, flush);
    } catch (error) {
      for (const { resident, need, reject } of group) {
        resident.release(need);
        reject(error);
      }
      return;
    }
    // A flush covers every earlier record, of all spaces.
    if (flush) this.#flushed();
    for (const { space, bytes } of entries) {
      const resident = group.find((waiting) => waiting.resident.entry.id === space)
        ?.resident as ResidentSpace;
      resident.nextSequence++;
      resident.logBytes += bytes.length;
    }
    for (const waiting of group) this.#apply(waiting);
    for (const resident of bySpace.keys()) this.#onApplied(resident);
  }

  /** An operation whose space's memory failed before it was logged: nothing of it is stored. */
  #stillGood({ resident, reject }: Waiting): boolean {
    if (!resident.broken) return true;
    const name = resident.entry.name;
    reject(
      shibuDbError(
        'INTERNAL',
        `The memory of space "${name}" failed; nothing was written, the call may be repeated`,
      ),
    );
    return false;
  }

  #apply({ resident, operation, need, resolve, reject }: Waiting): void {
    resident.release(need);
    try {
      if (resident.broken) throw new Error('an earlier operation failed while it was applied');
      const [view] = operationsIn(operation);
      resolve(resident.apply(view as OperationView));
    } catch (cause) {
      // It is in the log: the space is opened again from there, where this operation counts.
      const name = resident.entry.name;
      reject(
        shibuDbError(
          'INTERNAL',
          `The write to space "${name}" is stored but its memory failed; the space is reopened`,
          { cause },
        ),
      );
    }
  }

  #wantsFlush(resident: ResidentSpace, operations: number): boolean {
    const policy: Durability = resident.durability;
    if (typeof policy === 'string') return policy === 'strict';
    const now = this.#environment.now();
    let state = this.#unflushed.get(resident);
    if (state === undefined) {
      state = { operations: 0, since: now, timer: undefined };
      this.#unflushed.set(resident, state);
    }
    state.operations += operations;
    if ('everyOps' in policy) return state.operations >= policy.everyOps;
    // The deadline holds also when no later write comes.
    state.timer ??= setTimeout(() => this.#flush(), policy.everyMs);
    return now - state.since >= policy.everyMs;
  }

  #flush(): void {
    // A failing flush is no news: what was promised for a crash of the browser holds, and the next one is tried again.
    this.#environment.backend.flush().then(
      () => this.#flushed(),
      () => {},
    );
  }

  #flushed(): void {
    for (const { timer } of this.#unflushed.values()) clearTimeout(timer);
    this.#unflushed.clear();
  }

  /** Stops the timers. */
  close(): void {
    this.#flushed();
  }
}
