/**
 * Entries of a scan as columns in one buffer: one thing to hand over, where thousands of small objects would be made and
 * cloned one by one, which costs several times what it takes to read them.
 */

import type { EntryColumns } from '../api/calls.ts';
import type { Entry, Value } from '../api/database.ts';
import type { BufferPool } from './buffer-pool.ts';
import { ColumnReader, packedLengthMask } from './packed-values.ts';
import { readUtf8 } from './text.ts';

/** With `buffers`, in one of those, filled with anything. */
export function emptyEntryColumns(
  count: number,
  keyBytes: number,
  valueBytes: number,
  buffers?: BufferPool,
): EntryColumns {
  const bytes = 8 * count + keyBytes + valueBytes;
  const buffer = buffers?.take(bytes) ?? new ArrayBuffer(bytes);
  return {
    keys: {
      heads: new Uint32Array(buffer, 0, count),
      bytes: new Uint8Array(buffer, 8 * count, keyBytes),
    },
    values: {
      heads: new Uint32Array(buffer, 4 * count, count),
      bytes: new Uint8Array(buffer, 8 * count + keyBytes, valueBytes),
    },
  };
}

/** Unpacks entries, some after others: what is not unpacked yet costs its bytes and no objects. */
export class EntryReader {
  readonly #keys: ColumnReader;
  readonly #values: ColumnReader;

  constructor({ keys, values }: EntryColumns) {
    this.#keys = new ColumnReader(keys);
    this.#values = new ColumnReader(values);
  }

  /** Whether entries that were taken have values that are views of the columns' buffer. */
  get isViewed(): boolean {
    return this.#values.isViewed;
  }

  /** Entries not read yet. */
  get left(): number {
    return this.#keys.left;
  }

  /** The next `count`, or as many as there are. `undefined` is the value of those that are not among the columns. */
  take(count: number): Entry[] {
    const keys = this.#keys.take(count) as string[];
    const values = this.#values.take(count) as Value[];
    const entries = new Array<Entry>(keys.length);
    for (let i = 0; i < keys.length; i++) entries[i] = { key: keys[i] as string, value: values[i] as Value };
    return entries;
  }
}

export function unpackEntries(columns: EntryColumns): Entry[] {
  return new EntryReader(columns).take(columns.keys.heads.length);
}

/** Requires: there is one. */
export function lastKeyOf({ keys: { heads, bytes } }: EntryColumns): string {
  const length = (heads.at(-1) ?? 0) & packedLengthMask;
  return readUtf8(bytes, bytes.length - length, length);
}
