/** Makes the columns of packed-values.ts. */

import type { PackedEntries, PackedValues } from '../api/calls.ts';
import type { PutEntry, Value } from '../api/database.ts';
import type { BufferPool } from './buffer-pool.ts';
import { PackedKind, packedKindShift } from './packed-values.ts';
import { writeUtf8 } from './text.ts';

/** Columns with room for `count` values of `length` bytes together; with `buffers`, in one of those, filled with anything. */
export function emptyColumns(count: number, length: number, buffers?: BufferPool): PackedValues {
  const bytes = count * 4 + length;
  const buffer = buffers?.take(bytes) ?? new ArrayBuffer(bytes);
  return { heads: new Uint32Array(buffer, 0, count), bytes: new Uint8Array(buffer, count * 4, length) };
}

export function headOf(kind: number, length: number): number {
  return ((kind << packedKindShift) | length) >>> 0;
}

/** What a packer keeps between two calls. */
const keptRoomBytes = 512 * 1024;

/** Packs values as they come, so that the caller's buffers are the caller's again at once. */
export class ValuePacker {
  #heads: number[] = [];
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(256);
  #used = 0;

  /** Forgets everything, and keeps its room if that is no larger than what many calls need. */
  clear(): void {
    this.#heads = [];
    this.#used = 0;
    if (this.#bytes.length > keptRoomBytes) this.#bytes = new Uint8Array(256);
  }

  /** Requires: text is well-formed. */
  add(value: Value | undefined): void {
    if (value === undefined) {
      this.#heads.push(headOf(PackedKind.Missing, 0));
    } else if (typeof value === 'string') {
      this.#reserve(value.length * 3);
      const length = writeUtf8(value, this.#bytes, this.#used);
      this.#heads.push(headOf(PackedKind.Text, length));
      this.#used += length;
    } else {
      this.#reserve(value.length);
      this.#bytes.set(value, this.#used);
      this.#heads.push(headOf(PackedKind.Bytes, value.length));
      this.#used += value.length;
    }
  }

  values(): PackedValues {
    const packed = emptyColumns(this.#heads.length, this.#used);
    packed.heads.set(this.#heads);
    packed.bytes.set(this.#bytes.subarray(0, this.#used));
    return packed;
  }

  #reserve(more: number): void {
    if (this.#used + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 4, this.#used + more));
    grown.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = grown;
  }
}

/** Nothing is called while it is in use. Fresh room for each call would cost more than what is put there. */
const packer = new ValuePacker();

/** Requires: text is well-formed. */
export function packValues(values: readonly (Value | undefined)[]): PackedValues {
  packer.clear();
  for (const value of values) packer.add(value);
  const packed = packer.values();
  packer.clear();
  return packed;
}

export function joinColumns(parts: readonly PackedValues[]): PackedValues {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  let count = 0;
  let length = 0;
  for (const { heads, bytes } of parts) {
    count += heads.length;
    length += bytes.length;
  }
  const joined = emptyColumns(count, length);
  let index = 0;
  let at = 0;
  for (const { heads, bytes } of parts) {
    joined.heads.set(heads, index);
    joined.bytes.set(bytes, at);
    index += heads.length;
    at += bytes.length;
  }
  return joined;
}

/** Entries as columns; `undefined` when some are not plain keys and values, which is for the session to judge. */
export function packEntries(entries: readonly PutEntry[]): PackedEntries | undefined {
  if (!Array.isArray(entries)) return undefined;
  const keys: string[] = [];
  const values: Value[] = [];
  for (const entry of entries as readonly (Partial<PutEntry> | undefined)[]) {
    const { key, value, ttlMs } = entry ?? {};
    const plain =
      typeof key === 'string' &&
      ((typeof value === 'string' && value.isWellFormed()) || value instanceof Uint8Array) &&
      ttlMs === undefined;
    if (!plain) return undefined;
    keys.push(key);
    values.push(value);
  }
  return { keys, values: packValues(values) };
}
