/**
 * Mutations as bytes: what goes into a log record and what is applied to a space, live and on replay, by the same code.
 *
 *   operation := kind u8, flags u8, reserved u16, length u32 (of the body), body, padding to 8
 *
 *   1 put             body := key_length u32, value_length u32, key, value        flags: ValueFlags; with a deadline
 *                                                                                   the value begins with it, u64;
 *                                                                                   a large value is a reference
 *   2 delete          body := key_length u32, key
 *   3 insert vectors  body := count u32, reserved u32, ids i64[count], vectors f32[count * dimension], for metrics of
 *                              bits u8[count * dimension / 8 rounded up]
 *   4 insert vectors  body := count u32, id_bytes u32, id_ends u32[count], ids, vectors   (string ids)
 *   5 delete vector   body := id i64
 *   6 delete vector   body := id_length u32, id
 *   7 update metadata body := id i64, patch                          flags: 1 the patch takes the place of what was there
 *   8 update metadata body := id_length u32, id, patch               patch: wasm/metadata/record.h
 *
 * An insert with metadata has, behind the vectors: ends u32[count] (cumulative), the records (wasm/metadata/record.h).
 *
 * Operations hold outcomes, not conditions, and were checked before they were written: applying cannot be refused.
 */

import type { VectorData } from '../api/database.ts';
import { PackedKind, packedKindShift, packedLengthMask } from '../base/packed-values.ts';
import { Slab } from '../base/slab.ts';
import { writeUtf8 } from '../base/text.ts';
import { LargeValue, largeReferenceBytes } from './large-value.ts';
import type { MetadataRows } from './metadata/packed.ts';

export const OperationKind = {
  Put: 1,
  Delete: 2,
  InsertInts: 3,
  InsertStrings: 4,
  DeleteInt: 5,
  DeleteString: 6,
  UpdateInt: 7,
  UpdateString: 8,
} as const;

export const UpdateFlags = { Merge: 0, Replace: 1 } as const;

/** `Deadline`: the value begins with it, u64 milliseconds since 1970. `Large`: the rest of it is a `LargeValue`. */
export const ValueFlags = { Text: 0, Bytes: 1, Deadline: 2, Large: 4 } as const;
export const deadlineBytes = 8;

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

const slab = new Slab();

/** Fills the header of an operation whose body is `bodyBytes` long and takes it off the slab. */
function cut(bytes: Uint8Array, kind: number, flags: number, bodyBytes: number): Uint8Array {
  const length = operationHeaderBytes + align8(bodyBytes);
  bytes[0] = kind;
  bytes[1] = flags;
  writeU32(bytes, 4, bodyBytes);
  return slab.cut(bytes, length);
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** `deadlineMs`: when it expires, by the wall clock; `undefined`: never. Requires: well-formed texts. */
export function encodePut(key: string, value: StoredForm, deadlineMs?: number): Uint8Array {
  const room = slab.room(putRoom(key, value));
  return slab.cut(room, writePut(room, 0, key, value, deadlineMs));
}

/** Bytes that a put takes at most. */
export function putRoom(key: string, value: StoredForm): number {
  let valueRoom = largeReferenceBytes;
  if (typeof value === 'string') valueRoom = value.length * 3;
  else if (value instanceof Uint8Array) valueRoom = value.length;
  return operationHeaderBytes + 24 + key.length * 3 + valueRoom;
}

/** Writes a put to `bytes` at `start` and returns its length. */
export function writePut(
  bytes: Uint8Array,
  start: number,
  key: string,
  value: StoredForm,
  deadlineMs: number | undefined,
): number {
  const front = deadlineMs === undefined ? 0 : deadlineBytes;
  const keyAt = start + 16;
  const keyLength = writeUtf8(key, bytes, keyAt);
  const valueAt = keyAt + keyLength + front;
  let valueLength = front;
  if (typeof value === 'string') {
    valueLength += writeUtf8(value, bytes, valueAt);
  } else if (value instanceof LargeValue) {
    value.encode(bytes, valueAt);
    valueLength += largeReferenceBytes;
  } else {
    bytes.set(value, valueAt);
    valueLength += value.length;
  }
  if (deadlineMs !== undefined) {
    writeU32(bytes, keyAt + keyLength, deadlineMs % 2 ** 32);
    writeU32(bytes, keyAt + keyLength + 4, Math.floor(deadlineMs / 2 ** 32));
  }
  const flags = flagsOf(value);
  const bodyBytes = 8 + keyLength + valueLength;
  bytes[start] = OperationKind.Put;
  bytes[start + 1] = front === 0 ? flags : flags | ValueFlags.Deadline;
  bytes[start + 2] = 0;
  bytes[start + 3] = 0;
  writeU32(bytes, start + 4, bodyBytes);
  writeU32(bytes, start + 8, keyLength);
  writeU32(bytes, start + 12, valueLength);
  const length = operationHeaderBytes + align8(bodyBytes);
  for (let i = operationHeaderBytes + bodyBytes; i < length; i++) bytes[start + i] = 0;
  return length;
}

/** A value as a space holds it. */
export type StoredForm = string | Uint8Array | LargeValue;

function flagsOf(value: StoredForm): number {
  if (typeof value === 'string') return ValueFlags.Text;
  if (value instanceof LargeValue)
    return ValueFlags.Large | (value.isText ? ValueFlags.Text : ValueFlags.Bytes);
  return ValueFlags.Bytes;
}

/** Puts of packed values without deadlines, one after another. Requires: checked keys, a head for each. */
export function encodePackedPuts(
  keys: readonly string[],
  heads: Uint32Array,
  values: Uint8Array,
): Uint8Array {
  let most = values.length + keys.length * (operationHeaderBytes + 8 + 7);
  for (const key of keys) most += key.length * 3;
  const bytes = new Uint8Array(most);
  let at = 0;
  let from = 0;
  for (let i = 0; i < keys.length; i++) {
    const head = heads[i] as number;
    const length = head & packedLengthMask;
    const keyLength = writeUtf8(keys[i] as string, bytes, at + 16);
    bytes[at] = OperationKind.Put;
    bytes[at + 1] = head >>> packedKindShift === PackedKind.Bytes ? ValueFlags.Bytes : ValueFlags.Text;
    writeU32(bytes, at + 4, 8 + keyLength + length);
    writeU32(bytes, at + 8, keyLength);
    writeU32(bytes, at + 12, length);
    bytes.set(values.subarray(from, from + length), at + 16 + keyLength);
    from += length;
    at += operationHeaderBytes + align8(8 + keyLength + length);
  }
  return bytes.subarray(0, at);
}

/** Requires: a well-formed text. */
export function encodeDelete(key: string): Uint8Array {
  const bytes = slab.room(operationHeaderBytes + 12 + key.length * 3);
  const keyLength = writeUtf8(key, bytes, 12);
  writeU32(bytes, 8, keyLength);
  return cut(bytes, OperationKind.Delete, 0, 4 + keyLength);
}

/** `vectors`: floats or packed bits, row after row. */
export function encodeInsertInts(
  ids: BigInt64Array,
  vectors: VectorData,
  metadata?: MetadataRows,
): Uint8Array {
  const metadataAt = 16 + ids.byteLength + vectors.byteLength;
  const bodyBytes = metadataAt - operationHeaderBytes + metadataBytes(metadata);
  const { bytes, view } = operation(OperationKind.InsertInts, 0, bodyBytes);
  view.setUint32(8, ids.length, true);
  new BigInt64Array(bytes.buffer, 16, ids.length).set(ids);
  bytes.set(bytesOf(vectors), 16 + ids.byteLength);
  writeMetadata(bytes, metadataAt, metadata);
  return bytes;
}

function metadataBytes(metadata: MetadataRows | undefined): number {
  return metadata === undefined ? 0 : metadata.ends.byteLength + metadata.bytes.length;
}

/** As bytes: what lies before it ends anywhere. */
function writeMetadata(bytes: Uint8Array, at: number, metadata: MetadataRows | undefined): void {
  if (metadata === undefined) return;
  const { ends } = metadata;
  bytes.set(new Uint8Array(ends.buffer, ends.byteOffset, ends.byteLength), at);
  bytes.set(metadata.bytes, at + ends.byteLength);
}

export function encodeInsertStrings(
  ids: readonly string[],
  vectors: VectorData,
  metadata?: MetadataRows,
): Uint8Array {
  let idRoom = 0;
  for (const id of ids) idRoom += id.length * 3;
  const packed = new Uint8Array(idRoom);
  const ends = new Uint32Array(ids.length);
  let end = 0;
  for (let i = 0; i < ids.length; i++) {
    end += writeUtf8(ids[i] as string, packed, end);
    ends[i] = end;
  }
  const metadataAt = 16 + ends.byteLength + end + vectors.byteLength;
  const bodyBytes = metadataAt - operationHeaderBytes + metadataBytes(metadata);
  const { bytes, view } = operation(OperationKind.InsertStrings, 0, bodyBytes);
  view.setUint32(8, ids.length, true);
  view.setUint32(12, end, true);
  new Uint32Array(bytes.buffer, 16, ids.length).set(ends);
  bytes.set(packed.subarray(0, end), 16 + ends.byteLength);
  // The ids end anywhere, so the floats are copied as bytes.
  const raw = new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength);
  bytes.set(raw, 16 + ends.byteLength + end);
  writeMetadata(bytes, metadataAt, metadata);
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

/** `patch`: a record of wasm/metadata/record.h, in which fields may be cleared. */
export function encodeUpdate(id: bigint | Uint8Array, patch: Uint8Array, replace: boolean): Uint8Array {
  const flags = replace ? UpdateFlags.Replace : UpdateFlags.Merge;
  if (typeof id === 'bigint') {
    const { bytes, view } = operation(OperationKind.UpdateInt, flags, 8 + patch.length);
    view.setBigInt64(8, id, true);
    bytes.set(patch, 16);
    return bytes;
  }
  const { bytes, view } = operation(OperationKind.UpdateString, flags, 4 + id.length + patch.length);
  view.setUint32(8, id.length, true);
  bytes.set(id, 12);
  bytes.set(patch, 12 + id.length);
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
  for (let at = 0; at < bytes.length; ) {
    const operation = operationAt(bytes, at);
    yield operation;
    at = behind(operation, at);
  }
}

export function operationAt(bytes: Uint8Array, at: number): OperationView {
  const start = at + operationHeaderBytes;
  const body = bytes.subarray(start, start + readU32(bytes, at + 4));
  return { kind: bytes[at] as number, flags: bytes[at + 1] as number, body };
}

/** Where the operation after one at `at` begins. */
export function behind({ body }: OperationView, at: number): number {
  return at + operationHeaderBytes + align8(body.length);
}

export function readU32(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
  return (low | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24)) >>> 0;
}

/** A typed array's memory as bytes. */
export function bytesOf({ buffer, byteOffset, byteLength }: VectorData): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Bytes of the largest operation in a run of them. */
export function largestOperation(bytes: Uint8Array): number {
  let largest = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = operationHeaderBytes + align8(readU32(bytes, at + 4));
    largest = Math.max(largest, length);
    at += length;
  }
  return largest;
}

export function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
