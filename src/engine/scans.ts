/** The two scans: what their options mean, and how they read a space chunk by chunk. */

import type { EntryColumns, ScanArguments, VectorScanArguments } from '../api/calls.ts';
import type { VectorData, VectorEntry } from '../api/database.ts';
import { integerIn, invalid, shown, wellFormedText } from '../base/arguments.ts';
import type { BufferPool } from '../base/buffer-pool.ts';
import { cursorAt } from '../base/cursor.ts';
import { lastKeyOf } from '../base/entry-columns.ts';
import { encodeUtf8 } from '../base/text.ts';
import { continueBehind, type KeyRange, type StoredEntry } from '../space/key-value-space.ts';
import { LargeValue } from '../space/large-value.ts';
import { checkInt, checkString } from '../space/vector-ids.ts';
import { compileOptional } from '../space/where/compile.ts';
import type { CatalogEntry } from '../storage/catalog.ts';
import type { ResidentSpace } from './resident-space.ts';
import { type ScanSource, SnapshotScan } from './snapshot-scan.ts';

/** What a vector's metadata is taken to need while it is read ahead. */
const metadataBytes = 256;
const noLimit = Number.POSITIVE_INFINITY;

/** Entries as the space reads them: columns, or one by one where some are large. */
export type EntryChunk = EntryColumns | readonly StoredEntry[];

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

export function isColumns(chunk: EntryColumns | readonly unknown[]): chunk is EntryColumns {
  return !Array.isArray(chunk);
}

function sum<Item>(items: readonly Item[], bytesOf: (item: Item) => number): number {
  return items.reduce((bytes, item) => bytes + bytesOf(item), 0);
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

export type VectorChunk = readonly VectorEntry<VectorData>[];

/** @throws INVALID_ARGUMENT */
export function openVectorScan(
  options: VectorScanArguments,
  entry: CatalogEntry,
  budgetBytes: number,
): (resident: ResidentSpace) => SnapshotScan<VectorChunk> {
  const limit = parseLimit(options.limit);
  let after = options.cursor === undefined ? undefined : parseIdCursor(options.cursor, entry);
  const filter = compileOptional(options.where, entry.metadataFields);
  return (resident) => {
    const source: ScanSource<VectorChunk> = {
      read(most) {
        const entries = resident.vectors.scan(after, most, filter);
        const last = entries.at(-1);
        if (last !== undefined) after = typeof last.id === 'number' ? BigInt(last.id) : last.id;
        return { chunks: last === undefined ? [] : [entries], ended: last === undefined };
      },
      countOf: (chunk) => chunk.length,
      bytesOf: (chunk) =>
        sum(
          chunk,
          ({ vector, metadata }) => vector.byteLength + (metadata === undefined ? 0 : metadataBytes),
        ),
      cursorAt: (chunk) => cursorAt(chunk.at(-1) as VectorEntry<VectorData>),
    };
    return new SnapshotScan(source, limit, budgetBytes);
  };
}

function parseIdCursor(cursor: string, entry: CatalogEntry): bigint | string {
  if (entry.ids === 'string') return checkString(parseCursor(cursor, 's'));
  const text = parseCursor(cursor, 'i');
  if (!/^-?\d{1,19}$/.test(text))
    throw invalid(`Got ${shown(cursor)} for cursor, expected one that a scan of this space gave`);
  return checkInt(BigInt(text));
}

function parseCursor(cursor: unknown, kind: string): string {
  const text = wellFormedText(cursor, 'cursor');
  if (text[0] !== kind)
    throw invalid(`Got ${shown(cursor)} for cursor, expected one that a scan of this space gave`);
  return text.slice(1);
}

function parseLimit(limit: number | undefined): number {
  return limit === undefined ? noLimit : integerIn(limit, 0, Number.MAX_SAFE_INTEGER, 'limit');
}
