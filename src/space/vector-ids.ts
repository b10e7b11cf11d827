/** Vector ids: 64-bit integers or strings, whichever the space was made for. */

import type { IdKind, VectorId, VectorIds } from '../api/database.ts';
import { invalid, shown, wellFormedText } from '../base/arguments.ts';
import { encodeUtf8 } from '../base/text.ts';

export const idBytesMax = 1024;

const int64Least = -(2n ** 63n);
const int64Most = 2n ** 63n - 1n;

/** A safe integer or a bigint of 64 bits as a bigint; `undefined` for anything else. */
export function asInt64(value: unknown): bigint | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  return typeof value === 'bigint' && value >= int64Least && value <= int64Most ? value : undefined;
}

/** A caller's id as the integer it names. 7 and 7n are one id. */
export function checkInt(id: unknown): bigint {
  const integer = asInt64(id);
  if (integer !== undefined) return integer;
  if (typeof id === 'string') {
    throw invalid(
      `Got the string ${shown(id)} for id, expected an integer; for string ids create the space with { ids: 'string' }`,
    );
  }
  throw invalid(`Got ${shown(id)} for id, expected a safe integer or a bigint of 64 bits`);
}

export function checkString(id: unknown): string {
  if (typeof id === 'number' || typeof id === 'bigint') {
    throw invalid(
      `Got the number ${shown(id)} for id, expected a string; for integer ids create the space with { ids: 'int' }`,
    );
  }
  const text = wellFormedText(id, 'id');
  const length = text.length * 3 <= idBytesMax ? text.length : encodeUtf8(text).length;
  if (length === 0 || length > idBytesMax)
    throw invalid(`Got an id of ${length} bytes, expected 1 to ${idBytesMax}`);
  return text;
}

export function checkId(id: unknown, kind: IdKind): bigint | string {
  return kind === 'int' ? checkInt(id) : checkString(id);
}

export function checkInts(ids: VectorIds): BigInt64Array {
  return ids instanceof BigInt64Array ? ids : BigInt64Array.from(ids as ArrayLike<VectorId>, checkInt);
}

export function checkStrings(ids: VectorIds): string[] {
  return Array.from(ids as ArrayLike<VectorId>, checkString);
}

/** An integer id as callers get it: a number where that is exact. */
export function toPublicId(id: bigint): number | bigint {
  const number = Number(id);
  return Number.isSafeInteger(number) ? number : id;
}
