/** Inserting vectors: checking a whole call first, then writing it in chunks, each of them atomic. */

import { withAcknowledged } from '../api/acknowledged.ts';
import type { CallContext } from '../api/calls.ts';
import type { VectorData, VectorIds } from '../api/database.ts';
import { invalid, shown } from '../base/arguments.ts';
import { nextTask } from '../base/next-task.ts';
import { encodeUtf8 } from '../base/text.ts';
import { vectorBytes, vectorItems } from '../space/metrics.ts';
import { encodeInsertInts, encodeInsertStrings } from '../space/operation.ts';
import { checkInts, checkStrings } from '../space/vector-ids.ts';
import { checkPacked } from '../space/vector-input.ts';
import { type CatalogEntry, vectorKind } from '../storage/catalog.ts';
import type { DatabaseEngine } from './database-engine.ts';

/** Bytes of vectors in one chunk: the grain of atomicity, progress and abort. */
const chunkBytes = 1024 * 1024;
/** Chunks that wait for the log at the same time, so that one commit takes several. */
const chunksInFlight = 8;

/** An insert that passed every check. */
export interface PreparedInsert {
  readonly count: number;
  readonly chunkRows: number;
  /** The rows `from` to `to` as an operation. */
  operation(from: number, to: number): Uint8Array;
  /** Bytes of their ids, 0 for integers. */
  idBytes(from: number, to: number): number;
}

/** @throws INVALID_ARGUMENT: everything is checked before anything is written */
export function prepareInsert(entry: CatalogEntry, ids: VectorIds, vectors: VectorData): PreparedInsert {
  const kind = vectorKind(entry);
  if (!Array.isArray(ids) && !(ids instanceof BigInt64Array)) {
    throw invalid(`Got ${shown(ids)} for ids, expected an array or a BigInt64Array`);
  }
  const packed = checkPacked(vectors, ids.length, kind);
  const items = vectorItems(kind.dimension, kind.metric);
  const rows = (from: number, to: number): VectorData => packed.subarray(from * items, to * items);
  const chunkRows = Math.max(1, Math.floor(chunkBytes / vectorBytes(kind.dimension, kind.metric)));
  if (entry.ids === 'string') {
    const texts = checkStrings(ids);
    return {
      count: texts.length,
      chunkRows,
      operation: (from, to) => encodeInsertStrings(texts.slice(from, to), rows(from, to)),
      idBytes: (from, to) => texts.slice(from, to).reduce((bytes, id) => bytes + encodeUtf8(id).length, 0),
    };
  }
  const integers = checkInts(ids);
  return {
    count: integers.length,
    chunkRows,
    operation: (from, to) => encodeInsertInts(integers.subarray(from, to), rows(from, to)),
    idBytes: () => 0,
  };
}

/** Writes chunk after chunk, some at a time. @throws with `details.acknowledged`: how many, from the first, are stored */
export async function insertVectors(
  engine: DatabaseEngine,
  entry: CatalogEntry,
  insert: PreparedInsert,
  { signal, onProgress, allow }: CallContext,
): Promise<void> {
  const { count, chunkRows } = insert;
  const inFlight: { to: number; written: Promise<number> }[] = [];
  let acknowledged = 0;
  const settleOldest = async (): Promise<void> => {
    const oldest = inFlight.shift();
    if (oldest === undefined) return;
    await oldest.written;
    acknowledged = oldest.to;
    onProgress?.({ done: acknowledged, total: count });
  };
  try {
    for (let from = 0; from < count; from += chunkRows) {
      if (inFlight.length >= chunksInFlight) {
        await settleOldest();
        // Without a disk to wait for, nobody else (an abort, another call) would get a turn until the end.
        await nextTask();
      }
      if (signal?.aborted) throw signal.reason;
      allow?.();
      const to = Math.min(count, from + chunkRows);
      const need = { count: to - from, bytes: insert.idBytes(from, to) };
      const written = engine.submit(entry, insert.operation(from, to), need);
      // Observed below; until then a failure must not count as unhandled.
      written.catch(() => {});
      inFlight.push({ to, written });
    }
    while (inFlight.length > 0) await settleOldest();
  } catch (error) {
    // Chunks behind a failed one fail or succeed by themselves; only the prefix is reported, and none is left unobserved.
    const others = await Promise.allSettled(inFlight.map(({ written }) => written));
    const failed = others.findIndex(({ status }) => status === 'rejected');
    if (signal?.aborted && error === signal.reason) {
      acknowledged = inFlight.slice(0, failed < 0 ? inFlight.length : failed).at(-1)?.to ?? acknowledged;
    }
    throw withAcknowledged(error, acknowledged, count);
  }
}
