/** A key-value space: keys are UTF-8 text ordered by bytes, values text or bytes. Over wasm/kv. */

import type { EntryColumns, PackedKeys, PackedValues } from '../api/calls.ts';
import type { Value } from '../api/database.ts';
import { invalid, shown, wellFormedText } from '../base/arguments.ts';
import { assert } from '../base/assert.ts';
import type { BufferPool } from '../base/buffer-pool.ts';
import { emptyEntryColumns, unpackEntries } from '../base/entry-columns.ts';
import { emptyColumns, joinColumns } from '../base/pack-values.ts';
import { PackedKind, packedKindShift, unpackValues } from '../base/packed-values.ts';
import { encodeInto, encodeUtf8, readUtf8, writeUtf8 } from '../base/text.ts';
import type { ValuePool } from '../base/value-pool.ts';
import { type CoreInstance, checkStatus } from '../kernel/instance.ts';
import { Status } from '../kernel/status.ts';
import { LargeReferences } from './large-references.ts';
import { LargeValue } from './large-value.ts';
import {
  dataView,
  deadlineBytes,
  encodeDelete,
  encodePut,
  OperationKind,
  type OperationView,
  readU32,
  type StoredForm,
  ValueFlags,
} from './operation.ts';
import { deadlinesSegment, keyValueTreeSegment, type Need, type Space } from './space.ts';

export const keyBytesMax = 4096;
export const valueBytesMax: number = 64 * 1024 * 1024;

/** Room for the keys of one scan step, and for its values. */
const scanKeysBytes = 64 * 1024;
const scanValuesBytes = 256 * 1024;
/** What kv_scan tells before its columns: ScanResult. */
const scanResultBytes = 16;
const scanEnded = 1;
const scanApart = 2;
/** So few bytes are copied by a loop. */
const loopBytesMost = 128;
/** Room for the values of one call for many. */
const columnBufferBytes = 256 * 1024;

/** Where a scan step begins and ends. `after`: the start key itself is not wanted. */
export interface KeyRange {
  start: Uint8Array;
  startExclusive: boolean;
  /** Exclusive; `undefined`: to the last key. */
  end: Uint8Array | undefined;
  reverse: boolean;
}

export function checkKey(key: unknown): string {
  const text = wellFormedText(key, 'key');
  if (text.length === 0) throw invalid('Got an empty key, expected 1 to 4096 bytes');
  if (text.length > keyBytesMax || (text.length * 3 > keyBytesMax && encodeUtf8(text).length > keyBytesMax)) {
    throw invalid(`Got a key of ${encodeUtf8(text).length} bytes, expected at most ${keyBytesMax}`);
  }
  return text;
}

/** Encodes a put as an operation; it expires at `deadlineMs` if that is given. @throws INVALID_ARGUMENT */
export function putOperation(key: string, value: unknown, deadlineMs?: number): Uint8Array {
  checkKey(key);
  return encodePut(key, value instanceof LargeValue ? value : checkValue(value), deadlineMs);
}

/** @throws INVALID_ARGUMENT */
export function checkValue(value: unknown): Value {
  if (value instanceof Uint8Array) {
    checkSize(value.length);
  } else if (typeof value === 'string') {
    wellFormedText(value, 'value');
    if (value.length * 3 > valueBytesMax) checkSize(encodeUtf8(value).length);
  } else {
    throw invalid(`Got ${shown(value)} for value, expected a string or a Uint8Array`);
  }
  return value;
}

/** When what lives `ttlMs` from `now` on expires; `undefined` for what does not. @throws INVALID_ARGUMENT */
export function deadlineOf(ttlMs: unknown, now: number): number | undefined {
  if (ttlMs === undefined || ttlMs === Number.POSITIVE_INFINITY) return undefined;
  if (typeof ttlMs !== 'number' || !(ttlMs > 0)) {
    throw invalid(`Got ${shown(ttlMs)} for ttlMs, expected a number of milliseconds above 0`);
  }
  return Math.min(Math.ceil(now + ttlMs), Number.MAX_SAFE_INTEGER);
}

export function deleteOperation(key: string): Uint8Array {
  return encodeDelete(checkKey(key));
}

export function checkSize(bytes: number): void {
  if (bytes > valueBytesMax)
    throw invalid(`Got a value of ${bytes} bytes, expected at most ${valueBytesMax}`);
}

export class KeyValueSpace implements Space {
  readonly instance: CoreInstance;
  large: LargeReferences = new LargeReferences();

  readonly #clock: () => number;

  /** `clock`: milliseconds since 1970. */
  constructor(instance: CoreInstance, clock: () => number = Date.now) {
    this.instance = instance;
    this.#clock = clock;
  }

  create(): void {
    checkStatus(this.instance.exports.kv_create(), 'create a key-value space');
    this.#keepHeaders();
  }

  open(deep = false): void {
    checkStatus(this.instance.exports.kv_open(deep ? 1 : 0), 'open a key-value space');
    this.#keepHeaders();
  }

  /** The trees' first blocks say how many entries there are, whatever else is in memory. */
  #keepHeaders(): void {
    for (const segment of [keyValueTreeSegment, deadlinesSegment])
      this.instance.exports.block_pin(segment, 0);
  }

  slack(): number {
    const at = this.instance.scratch(8);
    this.instance.exports.kv_pages(at);
    const [pages = 0, free = 0] = this.instance.u32(at, 2);
    return pages === 0 ? 0 : free / pages;
  }

  count(): number {
    return this.instance.exports.kv_count() >>> 0;
  }

  pending(): number {
    return 0;
  }

  maintain(): number {
    return 0;
  }

  plan({ count, bytes, deadlines }: Need): number {
    return count === 0 ? 0 : this.instance.exports.kv_plan_many(count, bytes, deadlines ? 1 : 0) >>> 0;
  }

  ready({ kind, flags, body }: OperationView): void {
    const { exports } = this.instance;
    if (exports.blocks_absent(keyValueTreeSegment) + exports.blocks_absent(deadlinesSegment) === 0) return;
    const view = dataView(body);
    const keyLength = view.getUint32(0, true);
    const address = this.instance.scratch(body.length);
    this.instance.bytes().set(body, address);
    const put = kind === OperationKind.Put;
    const key = address + (put ? 8 : 4);
    const status = put
      ? exports.kv_ready(key, keyLength, key + keyLength, view.getUint32(4, true), flags)
      : exports.kv_ready_delete(key, keyLength);
    checkStatus(status, put ? 'put' : 'delete');
  }

  get now(): number {
    return this.#clock();
  }

  /** Removes up to `most` expired entries; returns how many. */
  sweep(most: number): number {
    const { now } = this;
    if (this.large.any) return this.#sweepEach(now, most);
    return checkStatus(this.instance.exports.kv_sweep(now, most), 'sweep expired entries');
  }

  /** One by one, to see which of them are large. */
  #sweepEach(now: number, most: number): number {
    const { exports } = this.instance;
    let removed = 0;
    while (removed < most) {
      const address = this.instance.scratch(keyBytesMax + 32);
      const length = checkStatus(exports.kv_due(now, address), 'look for expired entries');
      if (length === 0) break;
      const former = this.#largeAt(address, length);
      const swept = checkStatus(exports.kv_sweep(now, 1), 'sweep expired entries');
      if (former !== undefined && this.#largeAt(address, length) === undefined)
        this.large.replaced(former, undefined);
      if (swept === 0) break;
      removed++;
    }
    return removed;
  }

  /** The large value under a key that lies in scratch memory with 24 bytes of room behind it, expired or not. */
  #largeAt(keyAddress: number, keyLength: number): LargeValue | undefined {
    const found = this.#lookUp(keyAddress, keyLength);
    if (found === undefined || (found.flags & ValueFlags.Large) === 0) return undefined;
    assert(found.address !== 0, 'a reference is short and lies in its leaf');
    const isText = (found.flags & ValueFlags.Bytes) === 0;
    return LargeValue.decode(this.instance.bytes(), found.address + frontOf(found.flags), isText);
  }

  /** The earliest deadline; `undefined` when no entry has one. Where it is not in memory it counts as now: who looks will see. */
  nextDeadline(): number | undefined {
    const deadline = this.instance.exports.kv_next_deadline();
    if (deadline < 0) return this.now;
    return deadline === 0 ? undefined : deadline;
  }

  apply(operation: OperationView): boolean {
    // Before anything is noted.
    this.ready(operation);
    const { kind, flags, body } = operation;
    const { exports } = this.instance;
    const keyLength = readU32(body, 0);
    if (this.large.any || (flags & ValueFlags.Large) !== 0) this.#noteLarge(operation);
    const address = this.instance.scratch(body.length + 32);
    this.instance.bytes().set(body, address);
    if (kind === OperationKind.Put) {
      const valueLength = readU32(body, 4);
      const key = address + 8;
      const status = exports.kv_put(key, keyLength, key + keyLength, valueLength, flags);
      checkStatus(status, 'put');
      return status === 0;
    }
    assert(kind === OperationKind.Delete, `operation ${kind} belongs to a key-value space`);
    const wasThere = this.#find(address + 4, keyLength) !== undefined;
    checkStatus(exports.kv_delete(address + 4, keyLength), 'delete');
    return wasThere;
  }

  /** Applies a put that lies in scratch memory, as `writePut` made it. Requires: all it touches is in memory, nothing is large. */
  applyPutAt(address: number): void {
    const bytes = this.instance.bytes();
    const keyLength = readU32(bytes, address + 8);
    const key = address + 16;
    const { kv_put } = this.instance.exports;
    checkStatus(
      kv_put(key, keyLength, key + keyLength, readU32(bytes, address + 12), bytes[address + 1] as number),
      'put',
    );
  }

  /** Before an operation is applied: which large value goes, which comes. */
  #noteLarge({ kind, flags, body }: OperationView): void {
    const put = kind === OperationKind.Put;
    const view = dataView(body);
    const keyLength = view.getUint32(0, true);
    const keyAt = put ? 8 : 4;
    const address = this.instance.scratch(keyLength + 32);
    this.instance.bytes().set(body.subarray(keyAt, keyAt + keyLength), address);
    const former = this.#largeAt(address, keyLength);
    const current = put
      ? readStored(body, keyAt + keyLength, view.getUint32(4, true), flags).value
      : undefined;
    this.large.replaced(former, current instanceof LargeValue ? current : undefined);
  }

  /** A large value comes as the reference to it. */
  get(key: string, pool?: ValuePool): StoredForm | undefined {
    const found = this.#locate(key);
    return found && this.#valueOf(key, found, pool);
  }

  #valueOf(key: string, { address, length, flags }: Located, pool?: ValuePool): StoredForm {
    if (address === 0 && length > 0) return this.#readFar(encodeUtf8(key), length, flags);
    const front = frontOf(flags);
    const bytes = this.instance.bytes();
    return toValue(bytes, address + front, length - front, flags, pool);
  }

  /** The value with its deadline; `undefined` when there is none or it has expired. */
  getStored(key: string): StoredValue | undefined {
    const found = this.#locate(key);
    if (found === undefined) return undefined;
    return { value: this.#valueOf(key, found), deadlineMs: found.deadlineMs };
  }

  /**
   * The values of many keys as columns; `undefined` when they and the keys have more than `bytesMax` bytes; an array when some
   * are large. Requires: checked keys. The core looks them up in groups, whose cache misses overlap.
   */
  getPacked(
    keys: readonly string[],
    bytesMax: number,
    buffers?: BufferPool,
  ): PackedValues | (StoredForm | undefined)[] | undefined {
    const chunks: PackedValues[] = [];
    let bytes = 0;
    for (const key of keys) bytes += key.length;
    for (let from = 0; from < keys.length; ) {
      const chunk = this.#getColumns(keys, from, buffers);
      for (const head of chunk.heads) if (isApart(head)) return this.#getEach(keys, bytesMax);
      chunks.push(chunk);
      from += chunk.heads.length;
      bytes += chunk.bytes.length;
      if (bytes > bytesMax) return undefined;
    }
    const columns = joinColumns(chunks);
    if (chunks.length > 1) for (const { heads } of chunks) buffers?.give(heads.buffer);
    return columns;
  }

  /** The same of keys that are packed; `undefined` where they have to be looked up as texts. */
  getPackedKeys({ text, count }: PackedKeys, buffers?: BufferPool): PackedValues | undefined {
    const { length } = text;
    const keysAt = this.instance.scratch(length + count * 4 + columnBufferBytes + 64);
    // What is not ASCII takes more bytes than it has units.
    const { read, written } = encodeInto(text, this.instance.bytes().subarray(keysAt, keysAt + length));
    if (read !== length || written !== length) return undefined;
    const columns = this.#getPackedAt(keysAt, length, count, buffers);
    const whole = columns.heads.length === count && !columns.heads.some(isApart);
    return whole ? columns : undefined;
  }

  /** As many values as fit a buffer, from the key `from` on; at least one. */
  #getColumns(keys: readonly string[], from: number, buffers?: BufferPool): PackedValues {
    // Keys that fill about as much as their values may: all of a call's, unless they are long.
    let keyRoom = 0;
    let to = from;
    for (; to < keys.length && keyRoom < columnBufferBytes; to++)
      keyRoom += 8 + (keys[to] as string).length * 3;
    const keysAt = this.instance.scratch(keyRoom + (to - from) * 4 + columnBufferBytes + 64);
    const memory = this.instance.bytes();
    let at = keysAt;
    for (let i = from; i < to; i++) {
      const length = writeUtf8(keys[i] as string, memory, at + 4);
      memory[at] = length;
      memory[at + 1] = length >>> 8;
      memory[at + 2] = 0;
      memory[at + 3] = 0;
      at = (at + 4 + length + 3) & ~3;
    }
    return this.#getPackedAt(keysAt, at - keysAt, to - from, buffers);
  }

  /** Looks up keys that lie packed in scratch memory with room behind them for as many heads and the values' buffer. */
  #getPackedAt(keysAt: number, keysBytes: number, count: number, buffers?: BufferPool): PackedValues {
    const usedAt = (keysAt + keysBytes + 15) & ~15;
    const headsAt = usedAt + 16;
    const out = headsAt + count * 4;
    const done = checkStatus(
      this.instance.exports.kv_get_columns(
        keysAt,
        keysBytes,
        count,
        this.now,
        headsAt,
        out,
        columnBufferBytes,
        usedAt,
      ),
      'get',
    );
    const [used = 0] = this.instance.u32(usedAt, 1);
    const columns = emptyColumns(done, used, buffers);
    columns.heads.set(this.instance.u32(headsAt, done));
    columns.bytes.set(this.instance.bytes().subarray(out, out + used));
    return columns;
  }

  /** Where some are not among the columns. */
  #getEach(keys: readonly string[], bytesMax: number): (StoredForm | undefined)[] | undefined {
    let bytes = 0;
    const values: (StoredForm | undefined)[] = [];
    for (const key of keys) {
      const value = this.get(key);
      bytes += key.length + (value?.length ?? 0);
      if (bytes > bytesMax) return undefined;
      values.push(value);
    }
    return values;
  }

  has(key: string): boolean {
    return this.#locate(key) !== undefined;
  }

  #locate(key: string): Located | undefined {
    const keyAddress = this.instance.scratch(32 + key.length * 3);
    return this.#find(keyAddress, writeUtf8(key, this.instance.bytes(), keyAddress));
  }

  /** Looks a key up that lies in scratch memory, with 24 bytes of room behind it. */
  #find(keyAddress: number, keyLength: number): Located | undefined {
    const found = this.#lookUp(keyAddress, keyLength);
    const expired = found?.deadlineMs !== undefined && found.deadlineMs <= this.now;
    return expired ? undefined : found;
  }

  #lookUp(keyAddress: number, keyLength: number): Located | undefined {
    const { exports } = this.instance;
    const meta = (keyAddress + keyLength + 7) & ~7;
    const status = checkStatus(exports.kv_get(keyAddress, keyLength, meta), 'get');
    if (status === Status.NotFound) return undefined;
    assert(status === Status.Ok, `kv_get answered ${status}`);
    const view = this.instance.view();
    const address = view.getUint32(meta, true);
    const length = view.getUint32(meta + 4, true);
    const flags = view.getUint32(meta + 8, true);
    if ((flags & ValueFlags.Deadline) === 0) return { address, length, flags, deadlineMs: undefined };
    if (address === 0) checkStatus(exports.kv_read(keyAddress, keyLength, 0, meta, deadlineBytes), 'get');
    const deadlineMs = readDeadline(this.instance.bytes(), address === 0 ? meta : address);
    return { address, length, flags, deadlineMs };
  }

  /** Requires: the value, its deadline included, has `length` bytes and lies in pages of its own. */
  #readFar(key: Uint8Array, length: number, flags: number): StoredForm {
    const front = frontOf(flags);
    const address = this.instance.scratch(key.length + length);
    this.instance.bytes().set(key, address);
    const out = address + key.length;
    const { exports } = this.instance;
    checkStatus(exports.kv_read(address, key.length, front, out, length - front), 'read a long value');
    return toValue(this.instance.bytes(), out, length - front, flags);
  }

  /**
   * The next entries of a range, at most `limit` and as many as fit a buffer; none: the range is done. Moves the range
   * behind what it has read.
   */
  scan(range: KeyRange, limit: number, buffers?: BufferPool): ScannedEntries {
    for (;;) {
      const { columns, apart, lastKey, ended } = this.#scanOnce(range, limit, buffers);
      const entries = apart ? this.#withApart(columns) : [];
      // Only now: what cannot be read is read again.
      if (lastKey !== undefined) continueBehind(range, lastKey);
      if (entries.length > 0) return { columns: undefined, entries, ended };
      if (!apart && columns.keys.heads.length > 0) return { columns, entries, ended };
      // A step of nothing but expired entries is not the end.
      if (ended) return { columns: undefined, entries, ended };
    }
  }

  /** Only keys: no large value is read for them. Moves the range likewise. */
  scanKeys(range: KeyRange, limit: number): string[] {
    for (;;) {
      const { columns, lastKey, ended } = this.#scanOnce(range, limit);
      if (lastKey !== undefined) continueBehind(range, lastKey);
      const keys = unpackValues(columns.keys) as string[];
      if (keys.length > 0 || ended) return keys;
    }
  }

  #scanOnce(range: KeyRange, limit: number, buffers?: BufferPool): ScanChunk {
    const { start, end } = range;
    const endLength = end?.length ?? 0;
    const columnsBytes = scanResultBytes + 8 * limit + scanKeysBytes + scanValuesBytes;
    const address = this.instance.scratch(start.length + endLength + 16 + columnsBytes);
    const bytes = this.instance.bytes();
    bytes.set(start, address);
    if (end !== undefined) bytes.set(end, address + start.length);
    const out = (address + start.length + endLength + 15) & ~15;
    const count = checkStatus(
      this.instance.exports.kv_scan(
        address,
        start.length,
        range.startExclusive ? 1 : 0,
        address + start.length,
        endLength,
        end === undefined ? 0 : 1,
        range.reverse ? 1 : 0,
        limit,
        this.now,
        out,
        scanKeysBytes,
        scanValuesBytes,
      ),
      'scan',
    );
    const [keyBytes = 0, valueBytes = 0, lastKeyBytes = 0, flags = 0] = this.instance.u32(out, 4);
    const headsAt = out + scanResultBytes;
    const keysAt = headsAt + 8 * limit;
    const memory = this.instance.bytes();
    const columns = emptyEntryColumns(count, keyBytes, valueBytes, buffers);
    columns.keys.heads.set(this.instance.u32(headsAt, count));
    columns.keys.bytes.set(memory.subarray(keysAt, keysAt + keyBytes));
    columns.values.heads.set(this.instance.u32(headsAt + 4 * limit, count));
    const valuesAt = keysAt + scanKeysBytes;
    columns.values.bytes.set(memory.subarray(valuesAt, valuesAt + valueBytes));
    const lastAt = keysAt + keyBytes;
    return {
      columns,
      apart: (flags & scanApart) !== 0,
      lastKey: lastKeyBytes === 0 ? undefined : memory.slice(lastAt, lastAt + lastKeyBytes),
      ended: (flags & scanEnded) !== 0,
    };
  }

  /** The entries where some values are not among the columns; without those that have expired by now. */
  #withApart(columns: EntryColumns): StoredEntry[] {
    return unpackEntries(columns).flatMap(({ key, value }) => {
      const stored: StoredForm | undefined = value ?? this.get(key);
      return stored === undefined ? [] : { key, value: stored };
    });
  }
}

/** What a step has read: columns where all of it is among them, else entries. */
export interface ScannedEntries {
  readonly columns: EntryColumns | undefined;
  readonly entries: StoredEntry[];
  /** There is no more in the range. */
  readonly ended: boolean;
}

/** An entry as the space holds it. */
export interface StoredEntry {
  readonly key: string;
  readonly value: StoredForm;
}

interface ScanChunk {
  readonly columns: EntryColumns;
  /** Some values are not there. */
  readonly apart: boolean;
  /** Met last, expired or not. */
  readonly lastKey: Uint8Array | undefined;
  readonly ended: boolean;
}

/** Where a value is: `address` 0 when in pages of its own. `length` counts its deadline too. */
interface Located {
  readonly address: number;
  readonly length: number;
  readonly flags: number;
  readonly deadlineMs: number | undefined;
}

export interface StoredValue {
  readonly value: StoredForm;
  readonly deadlineMs: number | undefined;
}

/** Narrows a range to what comes behind `key` in its direction. */
export function continueBehind(range: KeyRange, key: Uint8Array): void {
  if (range.reverse) {
    range.end = key;
  } else {
    range.start = key;
    range.startExclusive = true;
  }
}

function isApart(head: number): boolean {
  return head >>> packedKindShift === PackedKind.Apart;
}

/** Bytes of a stored value before the caller's own. */
function frontOf(flags: number): number {
  return (flags & ValueFlags.Deadline) === 0 ? 0 : deadlineBytes;
}

export function readDeadline(bytes: Uint8Array, at: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, deadlineBytes);
  return view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
}

/** A stored value (an operation's or a page's) read with its deadline. */
export function readStored(bytes: Uint8Array, at: number, length: number, flags: number): StoredValue {
  const front = frontOf(flags);
  const deadlineMs = front === 0 ? undefined : readDeadline(bytes, at);
  return { value: toValue(bytes, at + front, length - front, flags), deadlineMs };
}

/** A copy of a value, of the type it was put as. */
function toValue(bytes: Uint8Array, at: number, length: number, flags: number, pool?: ValuePool): StoredForm {
  if ((flags & ValueFlags.Large) !== 0) return LargeValue.decode(bytes, at, (flags & ValueFlags.Bytes) === 0);
  if ((flags & ValueFlags.Bytes) === 0) return readUtf8(bytes, at, length);
  const value = pool === undefined ? new Uint8Array(length) : pool.take(length);
  if (length > loopBytesMost) {
    value.set(bytes.subarray(at, at + length));
    return value;
  }
  for (let i = 0; i < length; i++) value[i] = bytes[at + i] as number;
  return value;
}
