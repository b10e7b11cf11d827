/**
 * Many values in two columns over one buffer: one thing to transfer or to copy out of linear memory, where an array of
 * small `Uint8Array`s costs more to clone than to look up.
 *
 *   heads  u32 a value: kind << 30 | length in bytes
 *   bytes  the values one after another, text as UTF-8
 */

import type { PackedEntries, PackedValues } from '../api/calls.ts';
import type { PutEntry, Value } from '../api/database.ts';
import type { BufferPool } from './buffer-pool.ts';
import { readUtf8, writeUtf8 } from './text.ts';

/** `Apart`: the value is there but was too large to be packed with the others. */
export const PackedKind = { Missing: 0, Text: 1, Bytes: 2, Apart: 3 } as const;
export const packedKindShift = 30;
export const packedLengthMask: number = 2 ** packedKindShift - 1;

/** Values up to this size share a buffer when they are unpacked: to allocate one for each costs five times the rest. */
const ownBufferBytes = 4096;
/**
 * They are views of the buffer that they came in, where that is no larger: what one of them that is kept may keep alive. Any
 * copy has to be made in fresh memory, which costs more than all else here.
 */
const sharedBufferBytes = 384 * 1024;
/** How many bytes of small values are decoded, or else copied, at a time. */
const runBytes = 16 * 1024;

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

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

/** The values in their order, `undefined` where there is none. `giveBack` gets their buffer, if none of them is a view of it. */
export function unpackValues(
  packed: PackedValues,
  giveBack?: (buffer: ArrayBuffer) => void,
): (Value | undefined)[] {
  const reader = new ColumnReader(packed);
  const values = reader.take(packed.heads.length);
  if (!reader.isViewed) giveBack?.(packed.heads.buffer);
  return values;
}

/** Unpacks a column, some values after others. */
export class ColumnReader {
  readonly #heads: Uint32Array;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #shares: boolean;
  /** Whether values that were taken are views of the column's buffer. */
  isViewed = false;
  #index = 0;
  #at = 0;

  constructor({ heads, bytes }: PackedValues) {
    this.#heads = heads;
    this.#bytes = bytes;
    this.#shares = bytes.buffer.byteLength <= sharedBufferBytes;
  }

  /** Values not read yet. */
  get left(): number {
    return this.#heads.length - this.#index;
  }

  /** The next `count`, or as many as there are. */
  take(count: number): (Value | undefined)[] {
    const heads = this.#heads;
    const bytes = this.#bytes;
    const from = this.#index;
    const to = Math.min(heads.length, from + count);
    const values = new Array<Value | undefined>(to - from);
    for (let i = from; i < to; ) {
      const head = heads[i] as number;
      const kind = head >>> packedKindShift;
      const length = head & packedLengthMask;
      if (kind === PackedKind.Missing || kind === PackedKind.Apart) {
        values[i++ - from] = undefined;
      } else if (length > ownBufferBytes) {
        const at = this.#at;
        values[i++ - from] =
          kind === PackedKind.Text ? readUtf8(bytes, at, length) : bytes.slice(at, at + length);
        this.#at += length;
      } else {
        const end = runEnd(heads, i, to);
        if (kind === PackedKind.Text) this.#unpackTexts(values, i - from, i, end);
        else this.#unpackBytes(values, i - from, i, end);
        i = end;
      }
    }
    this.#index = to;
    return values;
  }

  #unpackTexts(values: (Value | undefined)[], out: number, from: number, to: number): void {
    const heads = this.#heads;
    const start = this.#at;
    let end = start;
    for (let i = from; i < to; i++) end += (heads[i] as number) & packedLengthMask;
    const all = decoder.decode(this.#bytes.subarray(start, end));
    // As many UTF-16 units as bytes: it is ASCII, and a value is a slice of the whole.
    const ascii = all.length === end - start;
    let at = start;
    for (let i = from; i < to; i++) {
      const length = (heads[i] as number) & packedLengthMask;
      values[out++] = ascii ? all.slice(at - start, at - start + length) : readUtf8(this.#bytes, at, length);
      at += length;
    }
    this.#at = end;
  }

  #unpackBytes(values: (Value | undefined)[], out: number, from: number, to: number): void {
    const heads = this.#heads;
    let length = 0;
    for (let i = from; i < to; i++) length += (heads[i] as number) & packedLengthMask;
    if (this.#shares) this.isViewed = true;
    const bytes = this.#shares ? this.#bytes : this.#bytes.slice(this.#at, this.#at + length);
    const { buffer } = bytes;
    let at = bytes.byteOffset + (this.#shares ? this.#at : 0);
    for (let i = from; i < to; i++) {
      const length = (heads[i] as number) & packedLengthMask;
      values[out++] = new Uint8Array(buffer, at, length);
      at += length;
    }
    this.#at += length;
  }
}

/** Behind the last of the small values of one kind from `from` on that are unpacked together. */
function runEnd(heads: Uint32Array, from: number, to: number): number {
  const kind = (heads[from] as number) >>> packedKindShift;
  let total = 0;
  let i = from;
  for (; i < to && total < runBytes; i++) {
    const head = heads[i] as number;
    const length = head & packedLengthMask;
    if (head >>> packedKindShift !== kind || length > ownBufferBytes) break;
    total += length;
  }
  return i;
}
