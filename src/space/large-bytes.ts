/** Cutting values that are too large for memory into what storage takes, by themselves and out of encoded puts. */

import type { Value } from '../api/database.ts';
import { joined } from '../base/bytes.ts';
import { encodeUtf8, readUtf8 } from '../base/text.ts';
import { readDeadline } from './key-value-space.ts';
import { type LargeValue, largePieceBytes, largeValueBytes } from './large-value.ts';
import {
  dataView,
  deadlineBytes,
  encodePut,
  largestOperation,
  OperationKind,
  operationsIn,
  ValueFlags,
} from './operation.ts';

/**
 * A large value's bytes, in pieces of `largePieceBytes` of which only the last may be shorter, each in a buffer of its own:
 * the caller's is the caller's again at once. They may still be on their way.
 */
export interface LargeBytes {
  readonly pieces: readonly Uint8Array[] | AsyncIterable<Uint8Array>;
  /** Not more than these. */
  readonly piecesMax: number;
  readonly isText: boolean;
}

/** The value cut up, if it is large; what is no value at all is for others to refuse. */
export function cutIfLarge(value: unknown): LargeBytes | undefined {
  if (typeof value === 'string') {
    if (value.length * 3 <= largeValueBytes) return undefined;
    const bytes = encodeUtf8(value);
    return bytes.length > largeValueBytes ? cut(bytes, true) : undefined;
  }
  if (!(value instanceof Uint8Array) || value.length <= largeValueBytes) return undefined;
  return cut(value, false);
}

/** Bytes that a value is stored as. */
export function storedLength(value: Value): number {
  return typeof value === 'string' ? encodeUtf8(value).length : value.length;
}

/** Puts of which some are large: those values, and the puts with references in their place. */
export interface SplitPuts {
  readonly large: readonly LargeBytes[];
  encode(stored: readonly LargeValue[]): Uint8Array;
}

/** `undefined` when none of the operations, of a key-value space, has a large value. */
export function splitPuts(operations: Uint8Array): SplitPuts | undefined {
  if (largestOperation(operations) <= largeValueBytes) return undefined;
  const large: LargeBytes[] = [];
  const parts: (Uint8Array | ((stored: LargeValue) => Uint8Array))[] = [];
  let at = 0;
  for (const { kind, flags, body } of operationsIn(operations)) {
    const end = body.byteOffset - operations.byteOffset + ((body.length + 7) & ~7);
    const put = kind === OperationKind.Put ? largePut(flags, body) : undefined;
    if (put === undefined) {
      parts.push(operations.subarray(at, end));
    } else {
      large.push(put.value);
      parts.push((stored) => encodePut(put.key, stored, put.deadlineMs));
    }
    at = end;
  }
  if (large.length === 0) return undefined;
  return {
    large,
    encode(stored) {
      let next = 0;
      return joined(
        parts.map((part) => (typeof part === 'function' ? part(stored[next++] as LargeValue) : part)),
      );
    },
  };
}

function largePut(
  flags: number,
  body: Uint8Array,
): { key: string; deadlineMs: number | undefined; value: LargeBytes } | undefined {
  const view = dataView(body);
  const keyLength = view.getUint32(0, true);
  const hasDeadline = (flags & ValueFlags.Deadline) !== 0;
  const valueAt = 8 + keyLength;
  const from = valueAt + (hasDeadline ? deadlineBytes : 0);
  const end = valueAt + view.getUint32(4, true);
  if (end - from <= largeValueBytes) return undefined;
  return {
    key: readUtf8(body, 8, keyLength),
    deadlineMs: hasDeadline ? readDeadline(body, valueAt) : undefined,
    value: cut(body.subarray(from, end), (flags & ValueFlags.Bytes) === 0),
  };
}

function cut(bytes: Uint8Array, isText: boolean): LargeBytes {
  const pieces: Uint8Array[] = [];
  for (let from = 0; from < bytes.length; from += largePieceBytes)
    pieces.push(bytes.slice(from, from + largePieceBytes));
  return { pieces, piecesMax: pieces.length, isText };
}
