/** What the two scans have in common: the chunks they give, and the options both have. */

import type { EntryColumns } from '../api/calls.ts';
import type { VectorData, VectorEntry } from '../api/database.ts';
import { integerIn, invalid, shown, wellFormedText } from '../base/arguments.ts';
import type { StoredEntry } from '../space/key-value-space.ts';

const noLimit = Number.POSITIVE_INFINITY;

/** Entries as the space reads them: columns, or one by one where some are large. */
export type EntryChunk = EntryColumns | readonly StoredEntry[];

export type VectorChunk = readonly VectorEntry<VectorData>[];

export function isColumns(chunk: EntryColumns | readonly unknown[]): chunk is EntryColumns {
  return !Array.isArray(chunk);
}

export function sum<Item>(items: readonly Item[], bytesOf: (item: Item) => number): number {
  return items.reduce((bytes, item) => bytes + bytesOf(item), 0);
}

export function parseCursor(cursor: unknown, kind: string): string {
  const text = wellFormedText(cursor, 'cursor');
  if (text[0] !== kind)
    throw invalid(`Got ${shown(cursor)} for cursor, expected one that a scan of this space gave`);
  return text.slice(1);
}

export function parseLimit(limit: number | undefined): number {
  return limit === undefined ? noLimit : integerIn(limit, 0, Number.MAX_SAFE_INTEGER, 'limit');
}
