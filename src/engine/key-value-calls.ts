/** The calls on key-value spaces: what the caller passed is checked, then read or submitted. */

import type { ArgumentsOf, InSpace, PackedValues, ResultOf, ScanArguments } from '../api/calls.ts';
import type { Value } from '../api/database.ts';
import { expire, increment, putIf } from '../space/conditional.ts';
import {
  checkKeys,
  deleteManyOperations,
  getMany,
  packedPutOperations,
  putManyOperations,
} from '../space/key-value-batch.ts';
import { checkKey, deadlineOf, deleteOperation, putOperation } from '../space/key-value-space.ts';
import type { HandlersOf } from './handlers.ts';
import type { ScanCalls } from './scan-calls.ts';
import { openEntryScan } from './scans.ts';
import type { SpaceAccess } from './space-access.ts';

/** The longest decimal of 64 bits. */
const int64TextBytes = 20;
/** Expired entries removed at a time. */
const sweepSlice = 10_000;

export class KeyValueCalls implements HandlersOf<'keyValue'> {
  readonly #spaces: SpaceAccess;
  readonly #scans: ScanCalls;

  constructor(spaces: SpaceAccess, scans: ScanCalls) {
    this.#spaces = spaces;
    this.#scans = scans;
  }

  async put({ space, key, value, ttlMs }: ArgumentsOf<'put'>): Promise<undefined> {
    const entry = this.#spaces.entry(space, 'key-value', 'put');
    const operation = putOperation(key, value, deadlineOf(ttlMs, this.#spaces.engine.wallClock()));
    const deadlines = ttlMs !== undefined;
    await this.#spaces.engine.submit(entry, operation, { count: 1, bytes: operation.length, deadlines });
  }

  get({ space, key }: InSpace & { key: string }): Value | undefined | Promise<Value | undefined> {
    const entry = this.#spaces.entry(space, 'key-value', 'get');
    checkKey(key);
    return this.#spaces.read(entry, (resident) => resident.keyValue.get(key));
  }

  async delete({ space, key }: InSpace & { key: string }): Promise<boolean> {
    const entry = this.#spaces.entry(space, 'key-value', 'delete');
    const operation = deleteOperation(key);
    return (await this.#spaces.engine.submit(entry, operation, { count: 1, bytes: operation.length })) > 0;
  }

  exists({ space, key }: InSpace & { key: string }): boolean | Promise<boolean> {
    const entry = this.#spaces.entry(space, 'key-value', 'exists');
    checkKey(key);
    return this.#spaces.read(entry, (resident) => resident.keyValue.has(key));
  }

  size({ space }: InSpace): number | Promise<number> {
    // What has expired does not count.
    return this.#spaces.read(this.#spaces.entry(space, 'key-value', 'size'), (resident) => {
      while (this.#spaces.engine.sweep(resident, sweepSlice) > 0);
      return resident.keyValue.count();
    });
  }

  async clear({ space }: InSpace): Promise<undefined> {
    await this.#spaces.engine.clearSpace(this.#spaces.entry(space, 'key-value', 'clear').name);
  }

  async increment({ space, key, by }: ArgumentsOf<'increment'>): Promise<number | bigint> {
    const entry = this.#spaces.entry(space, 'key-value', 'increment');
    const decide = increment(key, by);
    const need = { count: 1, bytes: key.length * 3 + int64TextBytes, deadlines: true };
    return this.#spaces.engine.submitConditional(entry, decide, need);
  }

  async putIf({ space, key, value, expected, ttlMs }: ArgumentsOf<'putIf'>): Promise<boolean> {
    const entry = this.#spaces.entry(space, 'key-value', 'putIf');
    const deadlineMs = deadlineOf(ttlMs, this.#spaces.engine.wallClock());
    const decide = putIf(key, value, expected, deadlineMs);
    const need = { count: 1, bytes: (key.length + value.length) * 3, deadlines: ttlMs !== undefined };
    return this.#spaces.engine.submitConditional(entry, decide, need);
  }

  /** The value is written again with its new deadline: the log holds outcomes. */
  async expire({ space, key, ttlMs }: ArgumentsOf<'expire'>): Promise<boolean> {
    const entry = this.#spaces.entry(space, 'key-value', 'expire');
    const decide = expire(key, ttlMs);
    const resident = await this.#spaces.engine.resident(entry);
    const bytes = key.length * 3 + (resident.keyValue.get(key)?.length ?? 0) * 3;
    return this.#spaces.engine.submitConditional(entry, decide, { count: 1, bytes, deadlines: true });
  }

  ttl({ space, key }: ArgumentsOf<'ttl'>): number | undefined | Promise<number | undefined> {
    const entry = this.#spaces.entry(space, 'key-value', 'ttl');
    checkKey(key);
    return this.#spaces.read(entry, ({ keyValue }) => {
      const stored = keyValue.getStored(key);
      if (stored === undefined) return undefined;
      return stored.deadlineMs === undefined ? Number.POSITIVE_INFINITY : stored.deadlineMs - keyValue.now;
    });
  }

  async putMany({ space, entries }: ArgumentsOf<'putMany'>): Promise<undefined> {
    const entry = this.#spaces.entry(space, 'key-value', 'putMany');
    const { operations, count, deadlines } = putManyOperations(entries, this.#spaces.engine.wallClock());
    await this.#spaces.engine.submit(entry, operations, { count, bytes: operations.length, deadlines });
  }

  getMany({ space, keys }: ArgumentsOf<'getMany'>): ResultOf<'getMany'> | Promise<ResultOf<'getMany'>> {
    const entry = this.#spaces.entry(space, 'key-value', 'getMany');
    checkKeys(keys);
    return this.#spaces.read(entry, (resident) => getMany(resident.keyValue, keys));
  }

  /** Gets of several callers: one that is at fault fails all, and each is then made by itself (rpc/session-host.ts). */
  getEach({ space, keys }: ArgumentsOf<'getEach'>): PackedValues | Promise<PackedValues> {
    const entry = this.#spaces.entry(space, 'key-value', 'get');
    checkKeys(keys);
    return this.#spaces.read(entry, (resident) => getMany(resident.keyValue, keys));
  }

  /** Puts of several callers, likewise; none has a deadline. */
  async putEach({ space, ...entries }: ArgumentsOf<'putEach'>): Promise<undefined> {
    const entry = this.#spaces.entry(space, 'key-value', 'put');
    const { operations, count } = packedPutOperations(entries);
    await this.#spaces.engine.submit(entry, operations, { count, bytes: operations.length });
  }

  async deleteMany({ space, keys }: ArgumentsOf<'deleteMany'>): Promise<number> {
    const entry = this.#spaces.entry(space, 'key-value', 'deleteMany');
    const operations = deleteManyOperations(keys);
    return this.#spaces.engine.submit(entry, operations, { count: keys.length, bytes: operations.length });
  }

  async scanOpen({ space, ...options }: InSpace & ScanArguments): Promise<number> {
    const entry = this.#spaces.entry(space, 'key-value', 'scan');
    const source = openEntryScan(options, this.#spaces.engine.snapshotBytesMax);
    const resident = await this.#spaces.engine.resident(entry);
    return this.#scans.keep(source(resident.keyValue), resident);
  }
}
