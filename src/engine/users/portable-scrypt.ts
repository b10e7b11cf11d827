/** scrypt for runtimes that have none themselves. */

import { scryptAsync } from '@noble/hashes/scrypt.js';
import { type Scrypt, scryptBytes } from '../../base/password.ts';

/** Runs anywhere, yielding every few milliseconds. Runtimes that have scrypt themselves pass theirs in. */
export const portableScrypt: Scrypt = (password, salt, { N, r, p }) =>
  scryptAsync(password, salt, { N, r, p, dkLen: scryptBytes, asyncTick: 8 });
