/**
 * Group commit: all operations that wait when a commit starts become one log record per space and one transaction; there is
 * no timer. An operation is durable (as its space promises), then applied, then acknowledged, in this order, so that nobody
 * reads what a crash could take back and a failed append changes nothing.
 */

import type { Durability, Value } from '../api/database.ts';
import { shibuDbError } from '../api/errors.ts';
import type { Decide } from '../space/conditional.ts';
import { operationsIn, putRoom, writePut } from '../space/operation.ts';
import type { Need } from '../space/space.ts';
import type { LogEntry, StorageBackend } from '../storage/backend.ts';
import type { Checksum } from '../storage/envelope.ts';
import { Application, applyFailed, settle } from './apply-writes.ts';
import { encodeLogRecord, logHeadBytes, sealLogRecordAt } from './log-record.ts';
import type { ResidentSpace } from './resident-space.ts';
import type { Environment } from './settings.ts';
import { Pins, untilPresent } from './space-blocks.ts';
import {
  bySpace,
  type Compose,
  composed,
  countThere,
  decideInOrder,
  isRemoval,
  type PreparedWrite,
  readyNow,
  removalsAmong,
  type SpaceGroup,
  smallBytes,
  sumOf,
  type Waiting,
} from './waiting-writes.ts';

export interface CommitHooks {
  readonly applied: (resident: ResidentSpace) => void;
  /** What writes to the space have to wait for. */
  readonly pressure: (resident: ResidentSpace) => Promise<void> | undefined;
}

/** What a space with a policy has appended since the last flush. */
interface FlushState {
  operations: number;
  since: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

const noOperations = new Uint8Array(0);
const noWaiting: readonly Waiting[] = [];
const nothingNeeded: Need = { count: 0, bytes: 0 };

export class CommitQueue {
  readonly #environment: Environment;
  readonly #checksum: Checksum;
  readonly #hooks: CommitHooks;
  readonly #appendNow: StorageBackend['appendNow'];
  readonly #unflushed: Map<ResidentSpace, FlushState> = new Map();
  readonly #between: (() => void)[] = [];
  /** Flushes so far, and which was the last that succeeded: with `ResidentSpace.loggedIn` this tells what is on the disk. */
  #period = 1;
  #flushedPeriod = 0;
  #waiting: Waiting[] = [];
  #committing: readonly Waiting[] = noWaiting;
  #wake: () => void = () => {};
  #running: Promise<void> | undefined;
  /** After which put made at once the hook was last called. */
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #told: ResidentSpace | undefined;

  constructor(environment: Environment, checksum: Checksum, hooks: CommitHooks) {
    this.#environment = environment;
    this.#checksum = checksum;
    this.#hooks = hooks;
    this.#appendNow = environment.backend.appendNow?.bind(environment.backend);
  }

  /** Resolves with how many keys or ids there were when the operations are as durable as its space promises, and applied. */
  submit(resident: ResidentSpace, operations: Uint8Array, need: Need): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#enqueue(resident, operations, undefined, need, resolve, reject);
    });
  }

  /** The same for a put, where nobody asks what was there. */
  put(resident: ResidentSpace, operation: Uint8Array, need: Need): Promise<undefined> {
    return new Promise((resolve, reject) => {
      this.#enqueue(resident, operation, undefined, need, resolve, reject).answer = undefined;
    });
  }

  /**
   * Logs and applies one put in this turn, where it can be: nothing is before it, it waits for no storage, and all it touches is in
   * memory. Its place in a group, and the turns until that is through, would cost more than all the rest. False, and nothing done,
   * where it has to take that place. Requires: a checked key and value, none that is large.
   *
   * @throws what the backend throws, nothing changed
   */
  putNow(resident: ResidentSpace, key: string, value: Value, deadlineMs: number | undefined): boolean {
    const appendNow = this.#appendNow;
    if (appendNow === undefined || this.#running !== undefined || resident.durability !== 'relaxed')
      return false;
    if (resident.broken || resident.writesHeld !== undefined || resident.blocks?.someAbsent) return false;
    // These look at an operation before it is applied.
    const space = resident.keyValue;
    if (resident.scans.size > 0 || resident.compaction !== undefined || space.large.any) return false;
    const bytes = logHeadBytes + putRoom(key, value);
    const deadlines = deadlineMs !== undefined;
    if (bytes > smallBytes || this.#hooks.pressure(resident) !== undefined) return false;
    if (!resident.hold({ count: 1, bytes, deadlines })) return false;
    const { instance } = space;
    // There it is summed, logged from and applied.
    const at = instance.scratch(bytes);
    try {
      const length = logHeadBytes + writePut(instance.bytes(), at + logHeadBytes, key, value, deadlineMs);
      const { id } = resident.entry;
      const { nextSequence: sequence } = resident;
      sealLogRecordAt(instance, at, length, id, sequence, this.#unflushedWith(resident));
      appendNow({ space: id, sequence, bytes: instance.bytes().subarray(at, at + length) });
      logged(resident, length, this.#period);
    } finally {
      resident.release();
    }
    try {
      space.applyPutAt(at + logHeadBytes);
    } catch (cause) {
      resident.broken = true;
      throw applyFailed(resident, cause);
    }
    resident.changes++;
    // Whoever does things in the background need not be asked after each of a thousand puts in a millisecond.
    if (deadlines || resident.usedAtMs - this.#toldAtMs >= 1 || this.#told !== resident) {
      this.#toldAtMs = resident.usedAtMs;
      this.#told = resident;
      this.#hooks.applied(resident);
    }
    return true;
  }

  /** The same for a write that depends on what is there; resolves with its answer. Key-value spaces only. */
  submitConditional<Answer>(resident: ResidentSpace, decide: Decide<Answer>, need: Need): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#enqueue(resident, noOperations, decide, need, resolve, reject);
    });
  }

  /** The same for operations that are made of what is there when their turn comes, with everything before them applied. */
  submitComposed(resident: ResidentSpace, compose: Compose): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#enqueue(resident, noOperations, undefined, nothingNeeded, resolve, reject).compose = compose;
    });
  }

  /** Takes its place in the order now and commits it when it is known what it is. */
  submitLater<Answer>(resident: ResidentSpace, prepared: Promise<PreparedWrite>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const waiting = this.#enqueue(resident, noOperations, undefined, nothingNeeded, resolve, reject);
      waiting.preparing = true;
      prepared.then(
        (write) => {
          Object.assign(waiting, write, { preparing: false });
          this.#wake();
        },
        (error: unknown) => {
          this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
          reject(error);
          this.#wake();
        },
      );
    });
  }

  #enqueue(
    resident: ResidentSpace,
    operations: Uint8Array,
    decide: Decide<unknown> | undefined,
    need: Need,
    resolve: (answer: never) => void,
    reject: (error: unknown) => void,
  ): Waiting {
    const waiting: Waiting = {
      resident,
      compose: undefined,
      operations,
      decide,
      need,
      preparing: false,
      answer: countThere,
      resolve,
      reject,
    };
    this.#waiting.push(waiting);
    this.#running ??= this.#run();
    this.#wake();
    return waiting;
  }

  /** Runs `work` between two groups: no memory is promised to anybody, and nothing is on its way to the log. */
  between(work: () => void): void {
    if (this.#running === undefined) work();
    else {
      this.#between.push(work);
      this.#wake();
    }
  }

  /** Whether something of the space is waiting or under way. */
  isUsing(resident: ResidentSpace): boolean {
    const isOf = (each: Waiting): boolean => each.resident === resident;
    return this.#committing.some(isOf) || this.#waiting.some(isOf);
  }

  /** Resolves when everything submitted so far is settled. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    // Whoever submits in this same turn belongs to the first group.
    await undefined;
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup();
      this.#committing = group;
      if (group.length > 0) await this.#commit(group);
      else await this.#nextChange();
      this.#committing = noWaiting;
      if (this.#between.length > 0) for (const between of this.#between.splice(0)) between();
    }
    this.#running = undefined;
  }

  /** Resolves when something is submitted or prepared. */
  #nextChange(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    return promise;
  }

  #takeGroup(): Waiting[] {
    const [only] = this.#waiting;
    if (this.#waiting.length === 1 && only?.preparing === false) {
      this.#waiting = [];
      return [only];
    }
    const ready = this.#waiting.some(({ preparing }) => preparing) ? this.#ready() : this.#waiting;
    let bytes = 0;
    let count = 0;
    const { groupBytesMax, groupOperationsMax } = this.#environment.settings;
    for (const { operations, compose } of ready) {
      if (compose !== undefined && count > 0) break;
      bytes += operations.length;
      if (count > 0 && (bytes > groupBytesMax || count === groupOperationsMax)) break;
      count++;
    }
    if (ready === this.#waiting) return this.#waiting.splice(0, count);
    const taken = new Set(ready.slice(0, count));
    this.#waiting = this.#waiting.filter((each) => !taken.has(each));
    return [...taken];
  }

  /** What nothing that is being prepared stands in front of. */
  #ready(): Waiting[] {
    const held = new Set<ResidentSpace>();
    return this.#waiting.filter(({ resident, preparing }) => {
      if (preparing) held.add(resident);
      return !held.has(resident);
    });
  }

  async #commit(taken: Waiting[]): Promise<void> {
    let groups = bySpace(composed(taken));
    const pins = new Pins();
    for (const group of groups) {
      const { resident } = group;
      while (resident.writesHeld !== undefined) await resident.writesHeld;
      const pressure = this.#hooks.pressure(resident);
      if (pressure !== undefined) await pressure;
      const held = this.#hold(resident, this.#fitting(resident, group.waiting));
      group.waiting = readyNow(resident, held) ?? (await this.#makeReady(resident, held, pins));
    }
    groups = groups.filter(({ waiting }) => waiting.length > 0);
    const entries: LogEntry[] = [];
    let flush = false;
    try {
      const written: { group: SpaceGroup; operations: Uint8Array[] }[] = [];
      for (const group of groups) {
        if (group.resident.durability === 'none') continue;
        const operations = group.waiting.map((each) => each.operations).filter(({ length }) => length > 0);
        if (operations.length === 0) continue;
        written.push({ group, operations });
        flush = this.#wantsFlush(group.resident, operations.length) || flush;
      }
      for (const { group, operations } of written) {
        const entry = this.#record(group.resident, operations, flush);
        entries.push(entry);
        group.bytes = entry.bytes.length;
      }
      const freeing = groups.every(({ waiting }) => waiting.every(isRemoval)) ? 0 : undefined;
      if (entries.length > 0) await this.#environment.backend.append(entries, flush, freeing);
    } catch (error) {
      pins.release();
      const again = removalsAmong(
        groups.flatMap(({ waiting }) => waiting),
        error,
      );
      for (const { resident, waiting } of groups) {
        resident.release();
        for (const each of waiting) if (!again.has(each)) each.reject(error);
      }
      if (again.size > 0) await this.#commit([...again]);
      return;
    }
    // A flush covers every earlier record, of all spaces.
    const period = flush ? this.#nextPeriod() : this.#period;
    if (flush) this.#flushed(period);
    for (const { resident, waiting, bytes } of groups) {
      if (bytes > 0) logged(resident, bytes, period);
      resident.release();
      const applications = waiting.map((each) => new Application(each));
      const stopped = applications.findIndex((application) => !application.run());
      if (stopped >= 0) await settle(resident, applications.slice(stopped), pins);
    }
    pins.release();
    for (const { resident } of groups) {
      resident.blocks?.trim();
      this.#hooks.applied(resident);
    }
  }

  /** The first of the writes, so many that the memory promised to them leaves the budget some room; the others go next. */
  #fitting(resident: ResidentSpace, waiting: Waiting[]): Waiting[] {
    const most = resident.blocks?.heldMost ?? Number.POSITIVE_INFINITY;
    let count = waiting.length;
    while (count > 1 && resident.space.plan(sumOf(waiting.slice(0, count))) > most) count >>= 1;
    if (count === waiting.length) return waiting;
    this.#waiting.unshift(...waiting.slice(count));
    return waiting.slice(0, count);
  }

  /**
   * Brings what the operations will touch into memory and answers with those that can be written now; where it is too much
   * for one commit, the others wait for the next. When a block cannot be read, all fail and nothing is written.
   */
  async #makeReady(resident: ResidentSpace, waiting: Waiting[], pins: Pins): Promise<Waiting[]> {
    const before = pins.count;
    const pinnedMost = resident.blocks?.pinnedMost ?? 0;
    try {
      const decided = await untilPresent(resident.blocks, pins, () => decideInOrder(resident, waiting));
      for (const [i, { operations }] of decided.entries()) {
        for (const operation of operationsIn(operations))
          await untilPresent(resident.blocks, pins, () => resident.space.ready(operation));
        if (pins.count - before < pinnedMost || i + 1 === decided.length) continue;
        this.#waiting.unshift(...decided.slice(i + 1));
        return decided.slice(0, i + 1);
      }
      return decided;
    } catch (error) {
      resident.release();
      for (const { reject } of waiting) reject(error);
      return [];
    }
  }

  /** Promises memory to the operations of one space and returns those that got it; the others fail, nothing changed. */
  #hold(resident: ResidentSpace, waiting: Waiting[]): Waiting[] {
    const { name } = resident.entry;
    if (resident.broken) {
      const message = `The memory of space "${name}" failed; nothing was written, the call may be repeated`;
      for (const { reject } of waiting) reject(shibuDbError('INTERNAL', message));
      return [];
    }
    // All together: they share blocks, so that the sum of what each may need alone would be far too much.
    if (resident.hold(sumOf(waiting))) return waiting;
    const held: Waiting[] = [];
    for (const each of waiting) {
      if (resident.hold(sumOf([...held, each]))) held.push(each);
      else each.reject(outOfMemory(resident));
    }
    return held;
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

  /** A record of the space's log that is written next. */
  #record(resident: ResidentSpace, operations: readonly Uint8Array[], flush: boolean): LogEntry {
    const { nextSequence: sequence } = resident;
    const space = resident.entry.id;
    const unflushed = this.#unflushedWith(resident);
    return {
      space,
      sequence,
      bytes: encodeLogRecord(space, sequence, operations, this.#checksum, flush ? 0 : unflushed),
    };
  }

  /** Records of the space, the next one counted in, that are not known to be on the disk. */
  #unflushedWith(resident: ResidentSpace): number {
    const { nextSequence } = resident;
    if (resident.loggedIn <= this.#flushedPeriod) resident.flushedBefore = nextSequence;
    return nextSequence + 1 - resident.flushedBefore;
  }

  #flush(): void {
    this.between(() => {
      const flushing = new Map(this.#unflushed);
      this.#forgetUnflushed();
      const period = this.#nextPeriod();
      // A failing flush is no news: what was promised for a crash of the browser holds, and the next write tries again.
      this.#environment.backend.flush().then(
        () => {
          this.#flushedPeriod = Math.max(this.#flushedPeriod, period);
        },
        () => {
          for (const [resident, state] of flushing)
            if (!this.#unflushed.has(resident)) this.#unflushed.set(resident, state);
        },
      );
    });
  }

  /** Ends a period: what is logged from now on is not covered by the flush that begins. */
  #nextPeriod(): number {
    return this.#period++;
  }

  #flushed(period: number): void {
    this.#flushedPeriod = Math.max(this.#flushedPeriod, period);
    this.#forgetUnflushed();
  }

  #forgetUnflushed(): void {
    for (const { timer } of this.#unflushed.values()) clearTimeout(timer);
    this.#unflushed.clear();
  }

  /** Stops the timers. */
  close(): void {
    this.#forgetUnflushed();
  }
}

/** Counts a record of so many bytes that is in the log, and not known to be flushed before the end of `period`. */
function logged(resident: ResidentSpace, bytes: number, period: number): void {
  resident.nextSequence++;
  resident.loggedIn = period;
  resident.logBytes += bytes;
}

function outOfMemory(resident: ResidentSpace): Error {
  const { name } = resident.entry;
  const { memoryBytes } = resident.space.instance;
  return shibuDbError(
    'OUT_OF_MEMORY',
    `No memory is left for this write in space "${name}"; nothing was changed`,
    {
      details: { space: name, memoryBytes },
    },
  );
}
