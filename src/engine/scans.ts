/** The two scans: what their options mean, and how they read a space chunk by chunk. */

import type { ScanArguments, VectorScanArguments } from '../api/calls.ts';
import type { VectorData, VectorEntry } from '../api/database.ts';
import { integerIn, invalid, shown, wellFormedText } from '../base/arguments.ts';
import { cursorAt } from '../base/cursor.ts';
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

/** @throws INVALID_ARGUMENT */
export function openEntryScan(
  options: ScanArguments,
  budgetBytes: number,
): (resident: ResidentSpace) => SnapshotScan<StoredEntry> {
  const limit = parseLimit(options.limit);
  const range = parseRange(options);
  return (resident) => {
    const source: ScanSource<StoredEntry> = {
      read: (most) => resident.keyValue.scan(range, most),
      bytesOf: ({ key, value }) => key.length + (value instanceof LargeValue ? 0 : value.length),
      farBytesOf: ({ value }) => (value instanceof LargeValue ? value.length : 0),
      cursorAt,
    };
    return new SnapshotScan(source, limit, budgetBytes);
  };
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

/** @throws INVALID_ARGUMENT */
export function openVectorScan(
  options: VectorScanArguments,
  entry: CatalogEntry,
  budgetBytes: number,
): (resident: ResidentSpace) => SnapshotScan<VectorEntry<VectorData>> {
  const limit = parseLimit(options.limit);
  let after = options.cursor === undefined ? undefined : parseIdCursor(options.cursor, entry);
  const filter = compileOptional(options.where, entry.metadataFields);
  return (resident) => {
    const source: ScanSource<VectorEntry<VectorData>> = {
      read(most) {
        const entries = resident.vectors.scan(after, most, filter);
        const last = entries.at(-1);
        if (last !== undefined) after = typeof last.id === 'number' ? BigInt(last.id) : last.id;
        return entries;
      },
      bytesOf: ({ vector, metadata }) => vector.byteLength + (metadata === undefined ? 0 : metadataBytes),
      cursorAt,
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
