/** Scans of vectors: what their options mean, and how they read a space chunk by chunk. */

import type { VectorScanArguments } from '../api/calls.ts';
import type { VectorData, VectorEntry } from '../api/database.ts';
import { invalid, shown } from '../base/arguments.ts';
import { cursorAt } from '../base/cursor.ts';
import { checkInt, checkString } from '../space/vector-ids.ts';
import type { FilterProgram } from '../space/where/compile.ts';
import type { CatalogEntry } from '../storage/catalog.ts';
import type { ResidentSpace } from './resident-space.ts';
import { parseCursor, parseLimit, sum, type VectorChunk } from './scans.ts';
import { type ScanSource, SnapshotScan } from './snapshot-scan.ts';

/** What a vector's metadata is taken to need while it is read ahead. */
const metadataBytes = 256;

/** @throws INVALID_ARGUMENT */
export function openVectorScan(
  options: VectorScanArguments,
  entry: CatalogEntry,
  filter: FilterProgram | undefined,
  budgetBytes: number,
): (resident: ResidentSpace) => SnapshotScan<VectorChunk> {
  const limit = parseLimit(options.limit);
  let after = options.cursor === undefined ? undefined : parseIdCursor(options.cursor, entry);
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
