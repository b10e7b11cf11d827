/** scrypt by the runtime: half the time of the portable one, and not on this thread. The result is the same. */

import { scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import type { Scrypt } from '../base/password.ts';

const derive: (
  password: Uint8Array,
  salt: Uint8Array,
  bytes: number,
  cost: { N: number; r: number; p: number; maxmem: number },
) => Promise<Uint8Array> = promisify(scrypt);

export const nativeScrypt: Scrypt = async (password, salt, { N, r, p }) => {
  // Twice what it needs: the default limit is below the default cost.
  const maxmem = 256 * N * r;
  return new Uint8Array(await derive(password, salt, 32, { N, r, p, maxmem }));
};
