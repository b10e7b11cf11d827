/** The calls on key-value spaces: what the caller passed is checked, then read or submitted. */

import type {
  ArgumentsOf,
  InSpace,
  PackedKeys,
  PackedValues,
  ResultOf,
  ScanArguments,
} from '../api/calls.ts';
import type { Value } from '../api/database.ts';
import type { BufferPool } from '../base/buffer-pool.ts';
import { packValues } from '../base/pack-values.ts';
import { checkPackedKeys, unpackKeys } from '../base/packed-keys.ts';
import type { ValuePool } from '../base/value-pool.ts';
import { AbsentBlocks } from '../kernel/instance.ts';
import { type Compared, expire, increment, putIf, sameValue } from '../space/conditional.ts';
import {
  checkKeys,
  deleteManyOperations,
  getMany,
  packedPutOperations,
  putManyOperations,
} from '../space/key-value-batch.ts';
import { checkKey, checkValue, deadlineOf, deleteOperation, putOperation } from '../space/key-value-space.ts';
import { cutIfLarge, splitPuts, storedLength } from '../space/large-bytes.ts';
import { LargeValue, largeReferenceBytes } from '../space/large-value.ts';
import type { Need } from '../space/space.ts';
import type { CatalogEntry } from '../storage/catalog.ts';
import { openEntryScan } from './entry-scan.ts';
import type { HandlersOf } from './handlers.ts';
import type { Found } from './large-values.ts';
import type { ScanCalls } from './scan-calls.ts';
import type { SpaceAccess } from './space-access.ts';

/** The longest decimal of 64 bits. */
const int64TextBytes = 20;
/** Expired entries removed at a time. */
const sweepSlice = 10_000;

export class KeyValueCalls implements HandlersOf<'keyValue'> {
  readonly #spaces: SpaceAccess;
  readonly #scans: ScanCalls;
  readonly #pool: ValuePool | undefined;
  readonly #buffers: BufferPool;

  constructor(spaces: SpaceAccess, scans: ScanCalls, pool: ValuePool | undefined, buffers: BufferPool) {
    this.#spaces = spaces;
    this.#scans = scans;
    this.#pool = pool;
    this.#buffers = buffers;
  }

  /** Throws what is refused at once: a promise of its own would cost as much as all else here. */
  put({ space, key, value, ttlMs }: ArgumentsOf<'put'>): Promise<undefined> | undefined {
    const { engine } = this.#spaces;
    const entry = this.#spaces.entry(space, 'key-value', 'put');
    const deadlines = ttlMs !== undefined;
    const deadlineMs = deadlines ? deadlineOf(ttlMs, engine.wallClock()) : undefined;
    const large = cutIfLarge(value);
    if (large === undefined) {
      checkKey(key);
      if (engine.putNow(entry, key, checkValue(value), deadlineMs)) return undefined;
      const operation = putOperation(key, value, deadlineMs);
      return engine.put(entry, operation, { count: 1, bytes: operation.length, deadlines });
    }
    checkKey(key);
    checkValue(value);
    const encode = ([stored]: readonly LargeValue[]): Uint8Array => putOperation(key, stored, deadlineMs);
    return engine.putLarge(entry, { large: [large], encode }, { count: 1, deadlines }).then(() => undefined);
  }

  get(args: InSpace & { key: string }): Value | undefined | Promise<Value | undefined> {
    const key = checkKey(args.key);
    const entry = this.#spaces.entry(args.space, 'key-value', 'get');
    const resident = this.#spaces.engine.residentNow(entry);
    try {
      // Nearly always it is in memory, and small.
      const value = resident?.keyValue.get(key, this.#pool);
      if (resident !== undefined && !(value instanceof LargeValue)) return value;
    } catch (error) {
      if (!(error instanceof AbsentBlocks)) throw error;
    }
    return this.#getAnywhere(args);
  }

  #getAnywhere({ space, key }: InSpace & { key: string }): Value | undefined | Promise<Value | undefined> {
    const find = (): Found | Promise<Found> => {
      const entry = this.#spaces.entry(space, 'key-value', 'get');
      return this.#spaces.read(entry, (resident) => ({ resident, values: [resident.keyValue.get(key)] }));
    };
    const found = find();
    if (found instanceof Promise) return found.then((first) => this.#whole(first, find));
    return this.#whole(found, find);
  }

  /** The one value found. */
  #whole(found: Found, find: () => Found | Promise<Found>): Value | undefined | Promise<Value | undefined> {
    const [value] = found.values;
    if (!(value instanceof LargeValue)) return value;
    return this.#spaces.engine.large.settle(found, find).then(([whole]) => whole);
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
    const { engine } = this.#spaces;
    const deadlineMs = deadlineOf(ttlMs, engine.wallClock());
    // Checked before anything is stored.
    putIf(key, value, expected, deadlineMs);
    const deadlines = ttlMs !== undefined;
    const large = cutIfLarge(value);
    if (large !== undefined) {
      const need = { count: 1, bytes: key.length * 3 + largeReferenceBytes + 8, deadlines };
      return engine.submitLarge(entry, [large], async (storing, submit) => {
        const answer = await this.#decide(entry, key, expected, (compared) => {
          const prepared = storing.then(([stored]) => {
            return { decide: putIf(key, stored, expected, deadlineMs, compared), need };
          });
          return submit(prepared) as Promise<boolean | 'compare'>;
        });
        return { answer, used: answer };
      });
    }
    const need = { count: 1, bytes: (key.length + value.length) * 3, deadlines };
    return this.#decide(entry, key, expected, (compared) =>
      engine.submitConditional(entry, putIf(key, value, expected, deadlineMs, compared), need),
    );
  }

  /** Decides, again once it has been compared if what is there is large: it is not at hand when its turn comes. */
  async #decide(
    entry: CatalogEntry,
    key: string,
    expected: Value | undefined,
    attempt: (compared: Compared | undefined) => Promise<boolean | 'compare'>,
  ): Promise<boolean> {
    for (let compared: Compared | undefined; ; compared = await this.#compare(entry, key, expected)) {
      const met = await attempt(compared);
      if (met !== 'compare') return met;
    }
  }

  async #compare(
    entry: CatalogEntry,
    key: string,
    expected: Value | undefined,
  ): Promise<Compared | undefined> {
    const { resident, value } = await this.#spaces.read(entry, (found) => {
      return { resident: found, value: found.keyValue.get(key) };
    });
    if (!(value instanceof LargeValue)) return undefined;
    const alike =
      expected !== undefined &&
      (typeof expected === 'string') === value.isText &&
      storedLength(expected) === value.length;
    return {
      value,
      same: alike && sameValue(await this.#spaces.engine.large.load(resident, value), expected),
    };
  }

  /** The value is written again with its new deadline: the log holds outcomes. */
  async expire({ space, key, ttlMs }: ArgumentsOf<'expire'>): Promise<boolean> {
    const entry = this.#spaces.entry(space, 'key-value', 'expire');
    const decide = expire(key, ttlMs);
    const value = await this.#spaces.read(entry, ({ keyValue }) => keyValue.get(key));
    const length = value instanceof LargeValue ? largeReferenceBytes : (value?.length ?? 0) * 3;
    const bytes = key.length * 3 + length;
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
    await this.#submitPuts(entry, operations, { count, deadlines });
  }

  async #submitPuts(
    entry: CatalogEntry,
    operations: Uint8Array,
    need: Omit<Need, 'bytes'>,
  ): Promise<undefined> {
    const puts = splitPuts(operations);
    if (puts !== undefined) await this.#spaces.engine.putLarge(entry, puts, need);
    else await this.#spaces.engine.submit(entry, operations, { ...need, bytes: operations.length });
  }

  getMany(args: ArgumentsOf<'getMany'>): ResultOf<'getMany'> | Promise<ResultOf<'getMany'>> {
    return this.#getPacked(args, 'getMany');
  }

  #getPacked(
    { space, keys, packed }: ArgumentsOf<'getMany'>,
    call: string,
  ): PackedValues | Promise<PackedValues> {
    const entry = this.#spaces.entry(space, 'key-value', call);
    if (packed === undefined) checkKeys(keys);
    else checkPackedKeys(packed);
    let names = packed === undefined ? keys : undefined;
    return this.#spaces.read<PackedValues>(entry, (resident) => {
      const found = packed === undefined ? undefined : resident.keyValue.getPackedKeys(packed, this.#buffers);
      if (found !== undefined) return found;
      if (names === undefined) {
        names = unpackKeys(packed as PackedKeys);
        checkKeys(names);
      }
      const values = getMany(resident.keyValue, names, this.#buffers);
      return Array.isArray(values) ? this.#loadPacked(space, names, call, { resident, values }) : values;
    });
  }

  async #loadPacked(
    space: string | undefined,
    keys: readonly string[],
    call: string,
    first: Found,
  ): Promise<PackedValues> {
    const values = await this.#spaces.engine.large.settle(first, () =>
      this.#spaces.read(this.#spaces.entry(space, 'key-value', call), (resident) => ({
        resident,
        values: keys.map((key) => resident.keyValue.get(key)),
      })),
    );
    return packValues(values);
  }

  /** Gets of several callers: one that is at fault fails all, and each is then made by itself (rpc/session-host.ts). */
  getEach(args: ArgumentsOf<'getEach'>): PackedValues | Promise<PackedValues> {
    return this.#getPacked(args, 'get');
  }

  /** Puts of several callers, likewise; none has a deadline. Throws what is refused at once: nothing has its place yet. */
  putEach({ space, ...entries }: ArgumentsOf<'putEach'>): Promise<undefined> {
    const entry = this.#spaces.entry(space, 'key-value', 'put');
    const { operations, count } = packedPutOperations(entries);
    return this.#submitPuts(entry, operations, { count });
  }

  async deleteMany({ space, keys }: ArgumentsOf<'deleteMany'>): Promise<number> {
    const entry = this.#spaces.entry(space, 'key-value', 'deleteMany');
    const operations = deleteManyOperations(keys);
    return this.#spaces.engine.submit(entry, operations, { count: keys.length, bytes: operations.length });
  }

  async scanOpen({ space, ...options }: InSpace & ScanArguments): Promise<number> {
    const entry = this.#spaces.entry(space, 'key-value', 'scan');
    const source = openEntryScan(options, this.#spaces.engine.snapshotBytesMax, this.#buffers);
    const resident = await this.#spaces.engine.resident(entry);
    return this.#scans.keep(source(resident), resident);
  }
}
