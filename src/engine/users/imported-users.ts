/**
 * Users as an export carries them: with what their passwords were turned into, never with the passwords. What comes from a stream
 * may come from anybody, so each is checked as if it had been made here, and its password may not cost more to check than a
 * login may.
 */

import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import { integerIn, invalid, shown } from '../../base/arguments.ts';
import { scryptBytes } from '../../base/password.ts';
import { decodeBase64Url } from '../../base/secrets.ts';
import type { StoredPassword, StoredUser } from '../../storage/catalog.ts';
import { checkPermissions, checkRole, checkUsername } from './user-checks.ts';

const usersMax = 100_000;
const saltBytes = { least: 8, most: 64 };
/** Memory that checking one password may take: 128 * N * r bytes. */
const scryptMemoryMax = 256 * 1024 * 1024;

/** @throws CORRUPTION that says which user is wrong, and how */
export function parseUsers(value: unknown): StoredUser[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > usersMax)
    throw damaged(`it does not hold a list of 1 to ${usersMax} users`);
  const users = value.map((user: unknown, i) => {
    try {
      return parseUser(user);
    } catch (error) {
      if (!isShibuDbError(error)) throw error;
      throw damaged(`user ${i}: ${error.message}`);
    }
  });
  if (new Set(users.map(({ username }) => username)).size < users.length)
    throw damaged('it holds a user twice');
  return users;
}

function damaged(found: string): Error {
  return shibuDbError('CORRUPTION', `The export is damaged: ${found}`);
}

function parseUser(value: unknown): StoredUser {
  const { username, role, permissions, password } = fieldsOf(value, 'a user', [
    'username',
    'role',
    'permissions',
    'password',
  ]);
  return {
    username: checkUsername(username),
    role: checkRole(role),
    permissions: checkPermissions(permissions),
    password: parsePassword(password),
  };
}

function parsePassword(value: unknown): StoredPassword {
  const fields = fieldsOf(value, 'a stored password', ['scheme', 'N', 'r', 'p', 'salt', 'hash']);
  if (fields.scheme !== 'scrypt') throw invalid(`Got scheme ${shown(fields.scheme)}, expected scrypt`);
  const N = integerIn(fields.N, 2, 2 ** 20, 'N');
  const r = integerIn(fields.r, 1, 32, 'r');
  const p = integerIn(fields.p, 1, 16, 'p');
  if ((N & (N - 1)) !== 0) throw invalid(`Got N ${N}, expected a power of two`);
  if (128 * N * r > scryptMemoryMax)
    throw invalid(`Got scrypt of ${128 * N * r} bytes of memory, expected at most ${scryptMemoryMax}`);
  const salt = bytesIn(fields.salt, saltBytes.least, saltBytes.most, 'salt');
  return { scheme: 'scrypt', N, r, p, salt, hash: bytesIn(fields.hash, scryptBytes, scryptBytes, 'hash') };
}

function fieldsOf<Name extends string>(
  value: unknown,
  what: string,
  names: readonly Name[],
): Record<Name, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`Got ${shown(value)} for ${what}, expected an object`);
  const stranger = Object.keys(value).find((name) => !(names as readonly string[]).includes(name));
  if (stranger !== undefined)
    throw invalid(`Got ${shown(stranger)} in ${what}, expected only ${names.join(', ')}`);
  return value as Record<Name, unknown>;
}

/** The text itself, which stands for so many bytes. */
function bytesIn(text: unknown, least: number, most: number, what: string): string {
  if (typeof text !== 'string' || !/^[\w-]*$/.test(text) || text.length % 4 === 1)
    throw invalid(`Got ${shown(text)} for ${what}, expected base64url`);
  const { length } = decodeBase64Url(text);
  if (length < least || length > most)
    throw invalid(`Got ${length} bytes for ${what}, expected ${least} to ${most}`);
  return text;
}
