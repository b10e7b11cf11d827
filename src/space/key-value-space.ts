/** A key-value space: keys are UTF-8 text ordered by bytes, values text or bytes. Over wasm/kv. */

import type { Entry, Value } from '../api/database.ts';
import { invalid, shown, wellFormedText } from '../base/arguments.ts';
import { assert } from '../base/assert.ts';
import { encodeUtf8, readUtf8, writeUtf8 } from '../base/text.ts';
import { type CoreInstance, checkStatus } from '../kernel/instance.ts';
import { Status } from '../kernel/status.ts';
import {
  dataView,
  encodeDelete,
  encodePut,
  OperationKind,
  type OperationView,
  ValueFlags,
} from './operation.ts';
import type { Need, Space } from './space.ts';

export const keyBytesMax = 4096;
export const valueBytesMax: number = 64 * 1024 * 1024;

/** Room for packed entries of one scan step. */
const scanBufferBytes = 128 * 1024;
/** Set by kv_scan in an entry's flags when the value did not fit the buffer and has to be read by itself. */
const valueLeftOut = 1 << 31;
const entryHeaderBytes = 12;

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

/** Encodes a put as an operation. @throws INVALID_ARGUMENT */
export function putOperation(key: string, value: unknown): Uint8Array {
  checkKey(key);
  if (value instanceof Uint8Array) {
    checkSize(value.length);
    return encodePut(key, value, ValueFlags.Bytes);
  }
  if (typeof value !== 'string')
    throw invalid(`Got ${shown(value)} for value, expected a string or a Uint8Array`);
  wellFormedText(value, 'value');
  if (value.length * 3 > valueBytesMax) checkSize(encodeUtf8(value).length);
  return encodePut(key, value, ValueFlags.Text);
}

export function deleteOperation(key: string): Uint8Array {
  return encodeDelete(checkKey(key));
}

function checkSize(bytes: number): void {
  if (bytes > valueBytesMax)
    throw invalid(`Got a value of ${bytes} bytes, expected at most ${valueBytesMax}`);
}

export class KeyValueSpace implements Space {
  readonly instance: CoreInstance;

  constructor(instance: CoreInstance) {
    this.instance = instance;
  }

  create(): void {
    checkStatus(this.instance.exports.kv_create(), 'create a key-value space');
  }

  open(): void {
    checkStatus(this.instance.exports.kv_open(0), 'open a key-value space');
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

  plan({ count, bytes }: Need): number {
    return count === 0 ? 0 : this.instance.exports.kv_plan_many(count, bytes) >>> 0;
  }

  apply({ kind, flags, body }: OperationView): boolean {
    const { exports } = this.instance;
    const view = dataView(body);
    const keyLength = view.getUint32(0, true);
    const address = this.instance.scratch(body.length);
    this.instance.bytes().set(body, address);
    if (kind === OperationKind.Put) {
      const valueLength = view.getUint32(4, true);
      const key = address + 8;
      const status = exports.kv_put(key, keyLength, key + keyLength, valueLength, flags);
      checkApplied(status, 'put');
      return status === 0;
    }
    assert(kind === OperationKind.Delete, `operation ${kind} belongs to a key-value space`);
    const status = exports.kv_delete(address + 4, keyLength);
    checkApplied(status, 'delete');
    return status === Status.Ok;
  }

  get(key: string): Value | undefined {
    const { exports } = this.instance;
    const meta = this.instance.scratch(16 + key.length * 3);
    const keyAddress = meta + 16;
    const keyLength = writeUtf8(key, this.instance.bytes(), keyAddress);
    const status = checkStatus(exports.kv_get(keyAddress, keyLength, meta), 'get');
    if (status === Status.NotFound) return undefined;
    assert(status === Status.Ok, `kv_get answered ${status}`);
    const [address = 0, length = 0, flags = 0] = this.instance.u32(meta, 3);
    if (address !== 0 || length === 0) return toValue(this.instance.bytes(), address, length, flags);
    return this.#readLarge(encodeUtf8(key), length, flags);
  }

  has(key: string): boolean {
    const meta = this.instance.scratch(16 + key.length * 3);
    const keyLength = writeUtf8(key, this.instance.bytes(), meta + 16);
    return checkStatus(this.instance.exports.kv_get(meta + 16, keyLength, meta), 'exists') === Status.Ok;
  }

  #readLarge(key: Uint8Array, length: number, flags: number): Value {
    const address = this.instance.scratch(key.length + length);
    this.instance.bytes().set(key, address);
    const out = address + key.length;
    checkApplied(this.instance.exports.kv_read(address, key.length, 0, out, length), 'read a large value');
    return toValue(this.instance.bytes(), out, length, flags);
  }

  /** The next entries of a range, at most `limit` and as many as fit a buffer; none: the range is done. */
  scan(range: KeyRange, limit: number): Entry[] {
    const { start, end } = range;
    const endLength = end?.length ?? 0;
    const address = this.instance.scratch(start.length + endLength + 16 + scanBufferBytes);
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
        out,
        scanBufferBytes,
      ),
      'scan',
    );
    return this.#unpack(out, count);
  }

  #unpack(out: number, count: number): Entry[] {
    const entries: Entry[] = [];
    const large: { index: number; length: number; flags: number }[] = [];
    const bytes = this.instance.bytes();
    const view = new DataView(bytes.buffer);
    let at = out;
    for (let i = 0; i < count; i++) {
      const keyLength = view.getUint32(at, true);
      const valueLength = view.getUint32(at + 4, true);
      const flags = view.getUint32(at + 8, true);
      const keyAt = at + entryHeaderBytes;
      const key = readUtf8(bytes, keyAt, keyLength);
      const leftOut = (flags & valueLeftOut) !== 0;
      if (leftOut) large.push({ index: i, length: valueLength, flags: flags & 0xff });
      const valueAt = keyAt + keyLength;
      entries.push({ key, value: leftOut ? '' : toValue(bytes, valueAt, valueLength, flags) });
      at = (valueAt + (leftOut ? 0 : valueLength) + 3) & ~3;
    }
    // Reading a large value moves the scratch buffer, so it waits until everything else is out of it.
    for (const { index, length, flags } of large) {
      const entry = entries[index] as Entry;
      entry.value = this.#readLarge(encodeUtf8(entry.key), length, flags);
    }
    return entries;
  }
}

/** A copy of a stored value, of the type it was put as. */
export function toValue(bytes: Uint8Array, at: number, length: number, flags: number): Value {
  return (flags & ValueFlags.Bytes) === 0 ? readUtf8(bytes, at, length) : bytes.slice(at, at + length);
}

/** Applying was planned and cannot fail, except on replay, where nothing was planned and memory may be short. */
function checkApplied(status: number, call: string): void {
  checkStatus(status, call);
  assert(status !== Status.Absent, `${call} met an absent block`);
}
