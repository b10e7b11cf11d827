/**
 * Mutations as bytes: what goes into a log record and what is applied to a space, live and on replay, by the same code.
 *
 *   operation := kind u8, flags u8, reserved u16, length u32 (of the body), body, padding to 8
 *
 *   1 put             body := key_length u32, value_length u32, key, value        flags: ValueFlags
 *   2 delete          body := key_length u32, key
 *   3 insert vectors  body := count u32, reserved u32, ids i64[count], vectors f32[count * dimension]
 *   4 insert vectors  body := count u32, id_bytes u32, id_ends u32[count], ids, vectors   (string ids)
 *   5 delete vector   body := id i64
 *   6 delete vector   body := id_length u32, id
 *
 * Operations hold outcomes, not conditions, and were checked before they were written: applying cannot be refused.
 */

import { writeUtf8 } from '../base/text.ts';

export const OperationKind = {
  Put: 1,
  Delete: 2,
  InsertInts: 3,
  InsertStrings: 4,
  DeleteInt: 5,
  DeleteString: 6,
} as const;

export const ValueFlags = { Text: 0, Bytes: 1 } as const;

export const operationHeaderBytes = 8;
const align8 = (bytes: number): number => (bytes + 7) & ~7;

/** Makes a zeroed operation with room for `bodyBytes` and its header filled. */
function operation(kind: number, flags: number, bodyBytes: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(operationHeaderBytes + align8(bodyBytes));
  const view = new DataView(bytes.buffer);
  bytes[0] = kind;
  bytes[1] = flags;
  view.setUint32(4, bodyBytes, true);
  return { bytes, view };
}

export function encodePut(key: Uint8Array, value: Uint8Array, flags: number): Uint8Array {
  const { bytes, view } = operation(OperationKind.Put, flags, 8 + key.length + value.length);
  view.setUint32(8, key.length, true);
  view.setUint32(12, value.length, true);
  bytes.set(key, 16);
  bytes.set(value, 16 + key.length);
  return bytes;
}

export function encodeDelete(key: Uint8Array): Uint8Array {
  const { bytes, view } = operation(OperationKind.Delete, 0, 4 + key.length);
  view.setUint32(8, key.length, true);
  bytes.set(key, 12);
  return bytes;
}

export function encodeInsertInts(ids: BigInt64Array, vectors: Float32Array): Uint8Array {
  const { bytes, view } = operation(OperationKind.InsertInts, 0, 8 + ids.byteLength + vectors.byteLength);
  view.setUint32(8, ids.length, true);
  new BigInt64Array(bytes.buffer, 16, ids.length).set(ids);
  new Float32Array(bytes.buffer, 16 + ids.byteLength, vectors.length).set(vectors);
  return bytes;
}

export function encodeInsertStrings(ids: readonly string[], vectors: Float32Array): Uint8Array {
  let idRoom = 0;
  for (const id of ids) idRoom += id.length * 3;
  const packed = new Uint8Array(idRoom);
  const ends = new Uint32Array(ids.length);
  let end = 0;
  for (let i = 0; i < ids.length; i++) {
    end += writeUtf8(ids[i] as string, packed, end);
    ends[i] = end;
  }
  const { bytes, view } = operation(
    OperationKind.InsertStrings,
    0,
    8 + ends.byteLength + end + vectors.byteLength,
  );
  view.setUint32(8, ids.length, true);
  view.setUint32(12, end, true);
  new Uint32Array(bytes.buffer, 16, ids.length).set(ends);
  bytes.set(packed.subarray(0, end), 16 + ends.byteLength);
  // The ids end anywhere, so the floats are copied as bytes.
  const raw = new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength);
  bytes.set(raw, 16 + ends.byteLength + end);
  return bytes;
}

export function encodeDeleteInt(id: bigint): Uint8Array {
  const { bytes, view } = operation(OperationKind.DeleteInt, 0, 8);
  view.setBigInt64(8, id, true);
  return bytes;
}

export function encodeDeleteString(id: Uint8Array): Uint8Array {
  const { bytes, view } = operation(OperationKind.DeleteString, 0, 4 + id.length);
  view.setUint32(8, id.length, true);
  bytes.set(id, 12);
  return bytes;
}

/** One operation found in a record: its kind, flags, and where its body is. */
export interface OperationView {
  readonly kind: number;
  readonly flags: number;
  readonly body: Uint8Array;
}

/** The operations of a run of bytes, in order. Requires: the bytes passed their checksum. */
export function* operationsIn(bytes: Uint8Array): Generator<OperationView> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint32(at + 4, true);
    const start = at + operationHeaderBytes;
    yield {
      kind: view.getUint8(at),
      flags: view.getUint8(at + 1),
      body: bytes.subarray(start, start + length),
    };
    at = start + align8(length);
  }
}

export function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
