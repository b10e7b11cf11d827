/** Inserting vectors: checking a whole call first, then writing it in chunks, each of them atomic. */

import { withAcknowledged } from '../api/acknowledged.ts';
import type { CallContext } from '../api/calls.ts';
import type { VectorData, VectorIds } from '../api/database.ts';
import { invalid, shown } from '../base/arguments.ts';
import { nextTask } from '../base/next-task.ts';
import { encodeUtf8 } from '../base/text.ts';
import type { PackedMetadata } from '../space/metadata/packed.ts';
import { vectorBytes, vectorItems } from '../space/metrics.ts';
import { encodeInsertInts, encodeInsertStrings } from '../space/operation.ts';
import { metadataPart } from '../space/parts.ts';
import type { Need } from '../space/space.ts';
import { checkInts, checkStrings } from '../space/vector-ids.ts';
import { checkPacked } from '../space/vector-input.ts';
import { type CatalogEntry, vectorKind } from '../storage/catalog.ts';
import type { DatabaseEngine } from './database-engine.ts';

/** Bytes of vectors in one chunk: the grain of atomicity, progress and abort. */
const chunkBytes = 1024 * 1024;
/** Chunks that wait for the log at the same time, so that one commit takes several. */
const chunksInFlight = 8;
/** Inserts of so many rows go before indexing. */
const bulkRows = 128;

/** An insert that passed every check. */
export interface PreparedInsert {
  readonly count: number;
  /** Where the chunk ends that begins with row `from`. */
  chunkEnd(from: number): number;
  /** The rows `from` to `to` as an operation. */
  operation(from: number, to: number): Uint8Array;
  need(from: number, to: number): Need;
}

/** @throws INVALID_ARGUMENT: everything is checked before anything is written */
export function prepareInsert(
  entry: CatalogEntry,
  ids: VectorIds,
  vectors: VectorData,
  metadata?: unknown,
): PreparedInsert {
  const kind = vectorKind(entry);
  if (!Array.isArray(ids) && !(ids instanceof BigInt64Array)) {
    throw invalid(`Got ${shown(ids)} for ids, expected an array or a BigInt64Array`);
  }
  const packed = checkPacked(vectors, ids.length, kind);
  const items = vectorItems(kind.dimension, kind.metric);
  const rows = (from: number, to: number): VectorData => packed.subarray(from * items, to * items);
  const records =
    metadata === undefined
      ? undefined
      : metadataPart.loaded.PackedMetadata.of(metadata, ids.length, entry.metadataFields ?? []);
  const rowBytes = vectorBytes(kind.dimension, kind.metric);
  const chunkEnd = (from: number): number => {
    let to = Math.min(ids.length, from + Math.max(1, Math.floor(chunkBytes / rowBytes)));
    // Metadata may be longer than the vectors: halved until it fits, so that a chunk stays one of a few MiB at most.
    while (to - from > 1 && (records?.bytesOf(from, to) ?? 0) > chunkBytes) to = from + ((to - from) >> 1);
    return to;
  };
  if (entry.ids === 'string') {
    const texts = checkStrings(ids);
    const bytes = (from: number, to: number): number =>
      texts.slice(from, to).reduce((sum, id) => sum + encodeUtf8(id).length, 0);
    return {
      count: texts.length,
      chunkEnd,
      operation: (from, to) =>
        encodeInsertStrings(texts.slice(from, to), rows(from, to), records?.rows(from, to)),
      need: (from, to) => needOf(bytes(from, to), from, to, records),
    };
  }
  const integers = checkInts(ids);
  return {
    count: integers.length,
    chunkEnd,
    operation: (from, to) =>
      encodeInsertInts(integers.subarray(from, to), rows(from, to), records?.rows(from, to)),
    need: (from, to) => needOf(0, from, to, records),
  };
}

function needOf(idBytes: number, from: number, to: number, records: PackedMetadata | undefined): Need {
  const written = records?.rows(from, to);
  const need = { count: to - from, bytes: idBytes };
  if (written === undefined) return need;
  return { ...need, metadata: { updates: 0, values: written.values, bytes: written.bytes.length } };
}

/** Writes chunk after chunk, some at a time. @throws with `details.acknowledged`: how many, from the first, are stored */
export async function insertVectors(
  engine: DatabaseEngine,
  entry: CatalogEntry,
  insert: PreparedInsert,
  { signal, onProgress, allow }: CallContext,
): Promise<void> {
  const { count } = insert;
  const way = count < bulkRows ? undefined : engine.indexer.giveWay();
  const inFlight: { to: number; written: Promise<number> }[] = [];
  let acknowledged = 0;
  const settleOldest = async (): Promise<void> => {
    const oldest = inFlight.shift();
    if (oldest === undefined) return;
    await oldest.written;
    acknowledged = oldest.to;
    way?.passed();
    onProgress?.({ done: acknowledged, total: count });
  };
  try {
    for (let from = 0, to = 0; from < count; from = to) {
      if (inFlight.length >= chunksInFlight) {
        await settleOldest();
        // Without a disk to wait for, nobody else (an abort, another call) would get a turn until the end.
        await nextTask();
      }
      if (signal?.aborted) throw signal.reason;
      allow?.();
      to = insert.chunkEnd(from);
      const written = engine.submit(entry, insert.operation(from, to), insert.need(from, to));
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
  } finally {
    way?.end();
  }
}
