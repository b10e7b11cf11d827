/**
 * Many values in two columns over one buffer: one thing to transfer or to copy out of linear memory, where an array of
 * small `Uint8Array`s costs more to clone than to look up.
 *
 *   heads  u32 a value: kind << 30 | length in bytes
 *   bytes  the values one after another, text as UTF-8
 *
 * pack-values.ts makes them.
 */

import type { PackedValues } from '../api/calls.ts';
import type { Value } from '../api/database.ts';
import { readUtf8 } from './text.ts';

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
