/**
 * A record of a space's write-ahead log: the operations of one group commit.
 *
 *   log := space u32, unflushed u32, sequence f64, operations (space/operation.ts)
 *
 * inside an envelope. Space and sequence are in the record too, so that one in the wrong place is noticed. `unflushed`: so many
 * records, this one the last of them, were not known to be on the disk when it was written; 0 where it was flushed itself. Where
 * a gap takes only such ones, nobody was promised them, nor what comes behind.
 */

import { shibuDbError } from '../api/errors.ts';
import { Slab } from '../base/slab.ts';
import type { CoreInstance } from '../kernel/instance.ts';
import {
  type Checksum,
  EnvelopeKind,
  envelopeHeaderBytes,
  seal,
  sealAt,
  unseal,
} from '../storage/envelope.ts';

const fixedBytes = 16;
/** Of a record, before its operations. */
export const logHeadBytes: number = envelopeHeaderBytes + fixedBytes;

/** No record is changed once it is made. */
const slab = new Slab();

export function encodeLogRecord(
  space: number,
  sequence: number,
  operations: readonly Uint8Array[],
  checksum: Checksum,
  unflushed: number = 0,
): Uint8Array {
  let length = logHeadBytes;
  for (const operation of operations) length += operation.length;
  const record = slab.take(length);
  const view = new DataView(record.buffer, record.byteOffset);
  writePlace(view, 0, space, sequence, unflushed);
  let at = logHeadBytes;
  for (const operation of operations) {
    record.set(operation, at);
    at += operation.length;
  }
  return seal(record, EnvelopeKind.Log, checksum);
}

/** Makes a record of the operations that lie in an instance's memory from `at + logHeadBytes` to `at + bytes`. */
export function sealLogRecordAt(
  instance: CoreInstance,
  at: number,
  bytes: number,
  space: number,
  sequence: number,
  unflushed: number,
): void {
  const view = instance.view();
  writePlace(view, at, space, sequence, unflushed);
  sealAt(view, at, bytes, EnvelopeKind.Log, () => BigInt.asUintN(64, instance.exports.checksum64(at, bytes)));
}

function writePlace(view: DataView, at: number, space: number, sequence: number, unflushed: number): void {
  view.setUint32(at + envelopeHeaderBytes, space, true);
  view.setUint32(at + envelopeHeaderBytes + 4, unflushed, true);
  view.setFloat64(at + envelopeHeaderBytes + 8, sequence, true);
}

export interface LogRecord {
  readonly operations: Uint8Array;
  /** All before this sequence were on the disk when the record was. */
  readonly flushedBefore: number;
}

/** @throws CORRUPTION */
export function decodeLogRecord(
  bytes: Uint8Array,
  space: number,
  sequence: number,
  checksum: Checksum,
  what: string,
): LogRecord {
  const payload = unseal(bytes, EnvelopeKind.Log, checksum, what);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (
    payload.length < fixedBytes ||
    view.getUint32(0, true) !== space ||
    view.getFloat64(8, true) !== sequence
  ) {
    throw shibuDbError('CORRUPTION', `${what} is damaged: it belongs to another place in the log`);
  }
  return { operations: payload.subarray(fixedBytes), flushedBefore: sequence + 1 - view.getUint32(4, true) };
}
