/**
 * Password hashing within a Worker's allowance. The cost is another of OWASP's equivalent minimums than elsewhere: the same
 * work with a quarter of the memory, since an isolate has 128 MB for everything. It runs in one go: the clocks of Workers
 * stand still while code runs, so a hash could not tell when to let others run, and a timer it waits for may be long in coming
 * while others are busy. So a crowd that logs in at once takes no more memory than one login does.
 *
 * Source: OWASP Password Storage Cheat Sheet, "scrypt".
 */

import { scrypt } from '@noble/hashes/scrypt.js';
import { shibuDbError } from '../api/errors.ts';
import type { PasswordCost, Scrypt } from '../base/password.ts';

/** 8 MiB, about 0.3 s of CPU time. Free plans, with 10 ms a request, cannot afford any password hash worth the name. */
export const edgePasswordCost: PasswordCost = { N: 2 ** 13, r: 8, p: 10 };

/** scrypt's memory that is left for it beside the engine's. */
const memoryBytesMax = 16 * 1024 * 1024;
/** Blocks of work, N * r * p: twice what ours costs. */
const workMax = 2 * edgePasswordCost.N * edgePasswordCost.r * edgePasswordCost.p;

/** @throws UNSUPPORTED for a stored password that would cost more than an isolate may spend */
export const edgeScrypt: Scrypt = async (password, salt, { N, r, p }) => {
  if (128 * N * r > memoryBytesMax || N * r * p > workMax) {
    throw shibuDbError(
      'UNSUPPORTED',
      `Got a password stored with scrypt N=${N}, r=${r}, p=${p}, expected at most ${memoryBytesMax} bytes and ${workMax} blocks of work at the edge: set the password again here`,
    );
  }
  return scrypt(password, salt, { N, r, p, dkLen: 32 });
};
