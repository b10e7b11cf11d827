/**
 * A record of a space's write-ahead log: the operations of one group commit.
 *
 *   log := space u32, reserved u32, sequence f64, operations (space/operation.ts)
 *
 * inside an envelope. Space and sequence are in the record too, so that one in the wrong place is noticed.
 */

import { shibuDbError } from '../api/errors.ts';
import { type Checksum, EnvelopeKind, envelopeHeaderBytes, seal, unseal } from '../storage/envelope.ts';

const fixedBytes = 16;

export function encodeLogRecord(
  space: number,
  sequence: number,
  operations: readonly Uint8Array[],
  checksum: Checksum,
): Uint8Array {
  let length = envelopeHeaderBytes + fixedBytes;
  for (const operation of operations) length += operation.length;
  const record = new Uint8Array(length);
  const view = new DataView(record.buffer, envelopeHeaderBytes);
  view.setUint32(0, space, true);
  view.setFloat64(8, sequence, true);
  let at = envelopeHeaderBytes + fixedBytes;
  for (const operation of operations) {
    record.set(operation, at);
    at += operation.length;
  }
  return seal(record, EnvelopeKind.Log, checksum);
}

/** The operations' bytes. @throws CORRUPTION */
export function decodeLogRecord(
  bytes: Uint8Array,
  space: number,
  sequence: number,
  checksum: Checksum,
  what: string,
): Uint8Array {
  const payload = unseal(bytes, EnvelopeKind.Log, checksum, what);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (
    payload.length < fixedBytes ||
    view.getUint32(0, true) !== space ||
    view.getFloat64(8, true) !== sequence
  ) {
    throw shibuDbError('CORRUPTION', `${what} is damaged: it belongs to another place in the log`);
  }
  return payload.subarray(fixedBytes);
}
