/**
 * Passwords and session tokens: how they are made and checked. Nothing here keeps state.
 *
 * A password is stored as scrypt (Percival & Josefsson, RFC 7914) of its bytes with a salt of its own; the cost is stored
 * beside it, so that it can be raised without making old passwords useless.
 *
 * A session token lets a session go on after a takeover or a reconnect without anybody keeping the password: user and
 * expiry, signed with HMAC-SHA256 (RFC 2104) under a key that the database keeps. The signature covers the stored password
 * too: with the password, or the user, every token of theirs ends. Nothing is written to make one.
 */

import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { type PasswordCost, type Scrypt, scryptBytes } from '../../base/password.ts';
import { decodeBase64Url, encodeBase64Url, equalInConstantTime, randomBytes } from '../../base/secrets.ts';
import { encodeUtf8 } from '../../base/text.ts';
import type { StoredPassword, StoredUser } from '../../storage/catalog.ts';

const saltBytes = 16;
const keyBytes = 32;

export async function hashPassword(
  scrypt: Scrypt,
  password: Uint8Array,
  cost: PasswordCost,
): Promise<StoredPassword> {
  const salt = randomBytes(saltBytes);
  const hash = await scrypt(password, salt, cost);
  const { N, r, p } = cost;
  return { scheme: 'scrypt', N, r, p, salt: encodeBase64Url(salt), hash: encodeBase64Url(hash) };
}

/**
 * Whether the password is the stored one. Without a stored one the same work is done for nothing, so that the time does not
 * tell whether there is such a user.
 */
export async function verifyPassword(
  scrypt: Scrypt,
  password: Uint8Array,
  stored: StoredPassword | undefined,
  cost: PasswordCost,
): Promise<boolean> {
  const salt = stored === undefined ? new Uint8Array(saltBytes) : decodeBase64Url(stored.salt);
  const expected = stored === undefined ? new Uint8Array(scryptBytes) : decodeBase64Url(stored.hash);
  const hash = await scrypt(password, salt, stored ?? cost);
  return equalInConstantTime(hash, expected) && stored !== undefined;
}

export function newSessionKey(): string {
  return encodeBase64Url(randomBytes(keyBytes));
}

/** `claims.signature`, each in base64url without padding: fit for a header or a WebSocket's subprotocol. */
export function issueToken(sessionKey: string, user: StoredUser, expiresMs: number): string {
  const claims = encodeBase64Url(encodeUtf8(JSON.stringify({ username: user.username, expiresMs })));
  return `${claims}.${encodeBase64Url(signature(sessionKey, claims, user))}`;
}

/** The user a token was issued to, if it is still good. */
export function verifyToken(
  sessionKey: string,
  token: unknown,
  find: (username: string) => StoredUser | undefined,
  nowMs: number,
): StoredUser | undefined {
  if (typeof token !== 'string') return undefined;
  const [claims = '', signed = ''] = token.split('.');
  try {
    const { username, expiresMs } = JSON.parse(new TextDecoder().decode(decodeBase64Url(claims))) as {
      username: string;
      expiresMs: number;
    };
    const user = find(username);
    if (user === undefined || !(expiresMs > nowMs)) return undefined;
    return equalInConstantTime(decodeBase64Url(signed), signature(sessionKey, claims, user))
      ? user
      : undefined;
  } catch {
    // Not base64, not JSON: not one of ours.
    return undefined;
  }
}

function signature(sessionKey: string, claims: string, user: StoredUser): Uint8Array {
  return hmac(sha256, decodeBase64Url(sessionKey), encodeUtf8(`${claims}.${user.password.hash}`));
}
