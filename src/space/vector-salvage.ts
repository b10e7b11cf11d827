/** Reading the vectors of a damaged space: ids from the tree that orders them, originals by slot, wherever both are there. */

import type { IdKind, Metric, VectorData } from '../api/database.ts';
import { readUtf8 } from '../base/text.ts';
import type { CoreInstance } from '../kernel/instance.ts';
import { isOfBits, metricCodes, vectorBytes } from './metrics.ts';
import { encodeInsertInts, encodeInsertStrings, operationsIn } from './operation.ts';
import type { Space } from './space.ts';

/** Segment of the tree from id to slot (wasm/vector/format.h). */
export const idTreeSegment = 4;

export interface VectorFacts {
  readonly dimension?: number;
  readonly metric?: Metric;
  readonly ids?: IdKind;
}

/** Puts every vector that can be read into `space`; returns how many are lost. Requires: salvage_begin(idTreeSegment). */
export function salvageVectors(remains: CoreInstance, facts: VectorFacts, space: Space): number {
  const { exports } = remains;
  const { dimension = 0, metric = 'L2', ids = 'int' } = facts;
  exports.salvage_rows(dimension, metricCodes[metric]);
  const bytes = vectorBytes(dimension, metric);
  let lost = 0;
  for (;;) {
    const at = remains.scratch(32);
    if (exports.salvage_next(at) === 0) return lost;
    const [keyAt = 0, keyLength = 0] = remains.u32(at, 4);
    const key = remains.bytes().slice(keyAt, keyAt + keyLength);
    exports.salvage_value(at);
    const address = exports.salvage_row(remains.u32(at, 1)[0] ?? 0) >>> 0;
    if (address === 0) {
      lost++;
      continue;
    }
    const raw = remains.bytes().slice(address, address + bytes);
    const vector: VectorData = isOfBits(metric) ? raw : new Float32Array(raw.buffer);
    const operation =
      ids === 'int'
        ? encodeInsertInts(BigInt64Array.of(idOfKey(key)), vector)
        : encodeInsertStrings([readUtf8(key, 0, key.length)], vector);
    for (const view of operationsIn(operation)) space.apply(view);
  }
}

/** An integer id's key: most significant byte first, the sign flipped, so that the order of bytes is that of numbers. */
function idOfKey(key: Uint8Array): bigint {
  const bits = new DataView(key.buffer, key.byteOffset, 8).getBigUint64(0, false);
  return BigInt.asIntN(64, bits ^ (1n << 63n));
}
