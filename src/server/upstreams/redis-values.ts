/**
 * Values in Redis. A text is its UTF-8, so that Redis' other clients read it and INCR counts it. Redis does not know which
 * values are bytes: ours are marked by two bytes before them, as are texts that look marked. What others have put is a text
 * where it is UTF-8, and bytes where it is not.
 */

import { isUtf8 } from 'node:buffer';
import type { Value } from '../../api/database.ts';
import { invalid, shown, wellFormedText } from '../../base/arguments.ts';

const marker = 0;
const bytesMark = 0x62;
const textMark = 0x73;

const valueBytesMax = 64 * 1024 * 1024;

export function toRedis(value: unknown): Buffer {
  if (value instanceof Uint8Array) return checked(Buffer.concat([Uint8Array.of(marker, bytesMark), value]));
  if (typeof value !== 'string')
    throw invalid(`Got ${shown(value)} for value, expected a string or a Uint8Array`);
  const bytes = Buffer.from(wellFormedText(value, 'value'));
  return checked(bytes[0] === marker ? Buffer.concat([Uint8Array.of(marker, textMark), bytes]) : bytes);
}

export function fromRedis(bytes: Buffer): Value {
  if (bytes[0] === marker && bytes[1] === bytesMark) return Uint8Array.from(bytes.subarray(2));
  const text = bytes[0] === marker && bytes[1] === textMark ? bytes.subarray(2) : bytes;
  return isUtf8(text) ? text.toString() : Uint8Array.from(bytes);
}

function checked(bytes: Buffer): Buffer {
  if (bytes.length > valueBytesMax)
    throw invalid(`Got a value of ${bytes.length} bytes, expected at most ${valueBytesMax}`);
  return bytes;
}
