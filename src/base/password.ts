/**
 * Keys from passwords: scrypt (Percival & Josefsson, RFC 7914) of a password's bytes with a salt. The cost is stored beside
 * what is made of it, so that it can be raised without making old passwords useless.
 */

import { invalid, wellFormedText } from './arguments.ts';
import { encodeUtf8 } from './text.ts';

/** Cost parameters of scrypt: memory is 128 * N * r bytes, work grows with N * r * p. */
export interface PasswordCost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** scrypt with a result of 32 bytes. */
export type Scrypt = (password: Uint8Array, salt: Uint8Array, cost: PasswordCost) => Promise<Uint8Array>;

export const scryptBytes = 32;
const passwordBytesMax = 1024;

/** The bytes of a password, in normal form C. @throws INVALID_ARGUMENT; the message never shows what was passed */
export function checkPassword(password: unknown): Uint8Array {
  if (typeof password !== 'string') throw invalid('Got no text for the password, expected a string');
  const bytes = encodeUtf8(wellFormedText(password, 'the password').normalize('NFC'));
  if (bytes.length === 0 || bytes.length > passwordBytesMax) {
    throw invalid(`Got a password of ${bytes.length} bytes, expected 1 to ${passwordBytesMax}`);
  }
  return bytes;
}
