/**
 * Reading the vectors of a damaged space: ids from the tree that orders them, originals and metadata by slot, wherever they
 * are there. A vector whose metadata is lost comes back without any.
 */

import type { IdKind, Metric, VectorData } from '../api/database.ts';
import { joined } from '../base/bytes.ts';
import { readUtf8 } from '../base/text.ts';
import type { CoreInstance } from '../kernel/instance.ts';
import type { MetadataRows } from './metadata/packed.ts';
import { isOfBits, metricCodes, vectorBytes } from './metrics.ts';
import { encodeInsertInts, encodeInsertStrings, operationsIn } from './operation.ts';
import type { Space } from './space.ts';

/** Segments of the trees from id to slot and from slot to metadata (wasm/vector/format.h). */
const idTreeSegment = 4;
const metadataSegment = 5;
/** What a part of a record has, but for the last one (wasm/metadata/metadata_store.h). */
const partBytes = 4096;

export interface VectorFacts {
  readonly dimension?: number;
  readonly metric?: Metric;
  readonly ids?: IdKind;
}

/** Puts every vector that can be read into `space`. Returns how many vectors, or pages of entries, are lost. */
export function salvageVectors(remains: CoreInstance, facts: VectorFacts, space: Space): number {
  const { exports } = remains;
  const { dimension = 0, metric = 'L2', ids = 'int' } = facts;
  const metadata = salvageMetadata(remains);
  let lost = metadata.lostPages;
  exports.salvage_begin(idTreeSegment);
  exports.salvage_rows(dimension, metricCodes[metric]);
  const bytes = vectorBytes(dimension, metric);
  for (let entry = nextEntry(remains); entry !== undefined; entry = nextEntry(remains)) {
    const slot = new DataView(entry.value.buffer).getUint32(0, true);
    const address = exports.salvage_row(slot) >>> 0;
    if (address === 0) {
      lost++;
      continue;
    }
    const raw = remains.bytes().slice(address, address + bytes);
    const vector: VectorData = isOfBits(metric) ? raw : new Float32Array(raw.buffer);
    const row = rowOf(metadata.records.get(slot));
    const operation =
      ids === 'int'
        ? encodeInsertInts(BigInt64Array.of(idOfKey(entry.key)), vector, row)
        : encodeInsertStrings([readUtf8(entry.key, 0, entry.key.length)], vector, row);
    for (const view of operationsIn(operation)) space.apply(view);
  }
  return lost + (exports.salvage_lost() >>> 0);
}

interface SalvagedMetadata {
  /** Those that are whole, by slot. */
  readonly records: ReadonlyMap<number, Uint8Array>;
  readonly lostPages: number;
}

/** Slots lie in another order than ids, so all that can be read is read first. */
function salvageMetadata(remains: CoreInstance): SalvagedMetadata {
  const { exports } = remains;
  const records = new Map<number, Uint8Array>();
  exports.salvage_begin(metadataSegment);
  let slot = -1;
  let parts: Uint8Array[] = [];
  let lostBefore = 0;
  for (;;) {
    const entry = nextEntry(remains);
    const lostPages = exports.salvage_lost() >>> 0;
    const key = entry === undefined ? undefined : partOfKey(entry.key);
    if (key?.slot !== slot || key.part !== parts.length) {
      // A last part that is full ends its record only when no page that may hold more of it was lost behind it.
      const ended = (parts.at(-1)?.length ?? partBytes) < partBytes || lostPages === lostBefore;
      if (parts.length > 0 && ended && key?.slot !== slot) records.set(slot, joined(parts));
      parts = [];
    }
    if (entry === undefined || key === undefined) return { records, lostPages };
    slot = key.slot;
    // What begins in the middle is skipped: part 0 was lost, or one between.
    if (key.part === parts.length) parts.push(entry.value);
    lostBefore = lostPages;
  }
}

function nextEntry(remains: CoreInstance): { key: Uint8Array; value: Uint8Array<ArrayBuffer> } | undefined {
  const { exports } = remains;
  const facts = remains.scratch(16);
  if (exports.salvage_next(facts) === 0) return undefined;
  const [keyAt = 0, keyBytes = 0, valueBytes = 0] = remains.u32(facts, 3);
  const key = remains.bytes().slice(keyAt, keyAt + keyBytes);
  // In both trees a value lies beside its key: it cannot be lost alone.
  const at = remains.scratch(Math.max(1, valueBytes));
  exports.salvage_value(at);
  return { key, value: remains.bytes().slice(at, at + valueBytes) };
}

function partOfKey(key: Uint8Array): { slot: number; part: number } {
  const view = new DataView(key.buffer, key.byteOffset);
  return { slot: view.getUint32(0, false), part: view.getUint16(4, false) };
}

function rowOf(bytes: Uint8Array | undefined): MetadataRows | undefined {
  // How many indexed values it has is asked by what plans memory; here it is reserved as it is needed.
  return bytes === undefined ? undefined : { bytes, ends: Uint32Array.of(bytes.length), values: 0 };
}

/** An integer id's key: most significant byte first, the sign flipped, so that the order of bytes is that of numbers. */
function idOfKey(key: Uint8Array): bigint {
  const bits = new DataView(key.buffer, key.byteOffset, 8).getBigUint64(0, false);
  return BigInt.asIntN(64, bits ^ (1n << 63n));
}
