/** Scans of keys: what their options mean, and how they read a space chunk by chunk. */

import type { ScanArguments } from '../api/calls.ts';
import { invalid, shown, wellFormedText } from '../base/arguments.ts';
import type { BufferPool } from '../base/buffer-pool.ts';
import { cursorAt } from '../base/cursor.ts';
import { lastKeyOf } from '../base/entry-columns.ts';
import { encodeUtf8 } from '../base/text.ts';
import { continueBehind, type KeyRange, type StoredEntry } from '../space/key-value-space.ts';
import { LargeValue } from '../space/large-value.ts';
import type { ResidentSpace } from './resident-space.ts';
import { type EntryChunk, isColumns, parseCursor, parseLimit, sum } from './scans.ts';
import { type ScanSource, SnapshotScan } from './snapshot-scan.ts';

/** @throws INVALID_ARGUMENT */
export function openEntryScan(
  options: ScanArguments,
  budgetBytes: number,
  buffers?: BufferPool,
): (resident: ResidentSpace) => SnapshotScan<EntryChunk> {
  const limit = parseLimit(options.limit);
  const range = parseRange(options);
  return (resident) => {
    const source: ScanSource<EntryChunk> = {
      read(most) {
        const { columns, entries, ended } = resident.keyValue.scan(range, most, buffers);
        return { chunks: columns === undefined ? cutByFarBytes(entries) : [columns], ended };
      },
      countOf: (chunk) => (isColumns(chunk) ? chunk.keys.heads.length : chunk.length),
      bytesOf: (chunk) =>
        isColumns(chunk)
          ? chunk.keys.bytes.length + chunk.values.bytes.length
          : sum(chunk, ({ key, value }) => key.length + (value instanceof LargeValue ? 0 : value.length)),
      cursorAt: (chunk) =>
        cursorAt(isColumns(chunk) ? { key: lastKeyOf(chunk) } : (chunk.at(-1) as StoredEntry)),
    };
    return new SnapshotScan(source, limit, budgetBytes);
  };
}

/** A step ends behind the large value with which it has so much to load. */
const chunkFarBytes = 8 * 1024 * 1024;

function cutByFarBytes(entries: readonly StoredEntry[]): (readonly StoredEntry[])[] {
  const chunks: (readonly StoredEntry[])[] = [];
  let bytes = 0;
  let from = 0;
  for (const [i, { value }] of entries.entries()) {
    if (value instanceof LargeValue) bytes += value.length;
    if (bytes < chunkFarBytes && i < entries.length - 1) continue;
    chunks.push(entries.slice(from, i + 1));
    from = i + 1;
    bytes = 0;
  }
  return chunks;
}

function parseRange({ prefix, start, end, reverse, cursor }: ScanArguments): KeyRange {
  if (prefix !== undefined && (start !== undefined || end !== undefined)) {
    throw invalid('Got prefix with start or end, expected one or the other');
  }
  if (reverse !== undefined && typeof reverse !== 'boolean')
    throw invalid(`Got ${shown(reverse)} for reverse, expected a boolean`);
  const range: KeyRange = {
    start: new Uint8Array(0),
    startExclusive: false,
    end: undefined,
    reverse: reverse === true,
  };
  if (prefix !== undefined) {
    range.start = encodeUtf8(wellFormedText(prefix, 'prefix'));
    range.end = successor(range.start);
  }
  if (start !== undefined) range.start = encodeUtf8(wellFormedText(start, 'start'));
  if (end !== undefined) range.end = encodeUtf8(wellFormedText(end, 'end'));
  if (cursor !== undefined) continueBehind(range, encodeUtf8(parseCursor(cursor, 'k')));
  return range;
}

/** The least byte string above all that begin with `prefix`; `undefined` if there is none. */
function successor(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  const next = prefix.slice(0, length);
  next[length - 1] = (next[length - 1] as number) + 1;
  return next;
}
