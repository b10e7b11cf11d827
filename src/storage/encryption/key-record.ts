/**
 * The data key of a database, and the record that keeps it wrapped. The data key is random and never changes; what callers
 * have, a password or a key, only wraps it. So another password costs one small record, and no data is written again.
 */

import type { Encryption } from '../../api/encryption.ts';
import { shibuDbError } from '../../api/errors.ts';
import { keyBytes } from '../../base/encryption-secret.ts';
import { checkPassword, type PasswordCost, type Scrypt } from '../../base/password.ts';
import { decodeBase64Url, encodeBase64Url, randomBytes } from '../../base/secrets.ts';

/** Bytes are in base64url without padding. */
export interface KeyRecord {
  /** How the wrapping key is made of a password; absent when it is the caller's own key. */
  readonly password?: { readonly scheme: 'scrypt'; readonly salt: string } & PasswordCost;
  /** Of AES-GCM; absent when the caller's key is of AES-KW. */
  readonly iv?: string;
  /** The wrapped data key. */
  readonly dataKey: string;
}

/** A data key that was unwrapped before: what a worker keeps in place of the password. Not extractable. */
export interface UnlockedKey {
  readonly dataKey: CryptoKey;
}

export type Secret = Encryption | UnlockedKey;

type Bytes = Uint8Array<ArrayBuffer>;

const ivBytes = 12;
const saltBytes = 16;
const wrappingData = new TextEncoder().encode('shibumi data key 1');
/** A record may come from anywhere: more memory or work than this is refused. */
const scryptBytesMax = 1024 ** 3;
const scryptWorkMax = 2 ** 26;

/** A new data key, and its record. */
export async function createKey(
  secret: Encryption,
  scrypt: Scrypt,
  cost: PasswordCost,
): Promise<{ key: UnlockedKey; record: KeyRecord }> {
  const dataKey = randomBytes(keyBytes);
  const record = await wrap(dataKey, secret, scrypt, cost);
  return { key: await imported(dataKey), record };
}

/** @throws INVALID_CREDENTIALS when it is not the secret of the record */
export async function unlockKey(record: KeyRecord, secret: Secret, scrypt: Scrypt): Promise<UnlockedKey> {
  return 'dataKey' in secret ? secret : imported(await unwrap(record, secret, scrypt));
}

/** The record of the same data key for another secret. @throws INVALID_CREDENTIALS when `current` is not that of `record` */
export async function rewrapKey(
  record: KeyRecord,
  current: Encryption,
  next: Encryption,
  scrypt: Scrypt,
  cost: PasswordCost,
): Promise<KeyRecord> {
  const dataKey = await unwrap(record, current, scrypt);
  try {
    return await wrap(dataKey, next, scrypt, cost);
  } finally {
    dataKey.fill(0);
  }
}

async function imported(dataKey: Bytes): Promise<UnlockedKey> {
  try {
    return { dataKey: await crypto.subtle.importKey('raw', dataKey, 'HKDF', false, ['deriveKey']) };
  } finally {
    dataKey.fill(0);
  }
}

async function wrap(
  dataKey: Bytes,
  secret: Encryption,
  scrypt: Scrypt,
  { N, r, p }: PasswordCost,
): Promise<KeyRecord> {
  const salt = randomBytes(saltBytes);
  const wrapping = await wrappingKeyOf(secret, (password) => scrypt(password, salt, { N, r, p }));
  const iv = randomBytes(ivBytes);
  const isKeyWrap = wrapping.algorithm.name === 'AES-KW';
  const wrapped = wrapping.usages.includes('encrypt')
    ? await crypto.subtle.encrypt(gcm(iv), wrapping, dataKey)
    : await crypto.subtle.wrapKey(
        'raw',
        await crypto.subtle.importKey('raw', dataKey, 'AES-GCM', true, ['encrypt']),
        wrapping,
        isKeyWrap ? 'AES-KW' : gcm(iv),
      );
  return {
    ...('password' in secret
      ? { password: { scheme: 'scrypt' as const, N, r, p, salt: encodeBase64Url(salt) } }
      : {}),
    ...(isKeyWrap ? {} : { iv: encodeBase64Url(iv) }),
    dataKey: encodeBase64Url(new Uint8Array(wrapped)),
  };
}

async function unwrap(record: KeyRecord, secret: Encryption, scrypt: Scrypt): Promise<Bytes> {
  const { password, iv, dataKey } = record;
  const wrapped = decodeBase64Url(dataKey);
  const wrapping = await wrappingKeyOf(secret, (text) => {
    // Of another kind than it was made with: wrong, like any other.
    if (password === undefined) throw wrongSecret();
    return scrypt(text, decodeBase64Url(password.salt), password);
  });
  const isKeyWrap = wrapping.algorithm.name === 'AES-KW';
  if (isKeyWrap !== (iv === undefined)) throw wrongSecret();
  const algorithm = iv === undefined ? 'AES-KW' : gcm(decodeBase64Url(iv));
  try {
    if (wrapping.usages.includes('decrypt') && typeof algorithm !== 'string')
      return new Uint8Array(await crypto.subtle.decrypt(algorithm, wrapping, wrapped));
    const key = await crypto.subtle.unwrapKey('raw', wrapped, wrapping, algorithm, 'AES-GCM', true, [
      'encrypt',
    ]);
    return new Uint8Array(await crypto.subtle.exportKey('raw', key));
  } catch (error) {
    if (error instanceof DOMException) throw wrongSecret();
    throw error;
  }
}

async function wrappingKeyOf(
  secret: Encryption,
  derive: (password: Uint8Array) => Promise<Uint8Array>,
): Promise<CryptoKey> {
  if ('key' in secret && secret.key instanceof CryptoKey) return secret.key;
  const bytes = 'password' in secret ? await derive(checkPassword(secret.password)) : secret.key;
  return crypto.subtle.importKey('raw', bytes as Bytes, 'AES-GCM', false, ['encrypt', 'decrypt']);
}

function gcm(iv: Bytes): AesGcmParams {
  return { name: 'AES-GCM', iv, additionalData: wrappingData };
}

/** The same whatever was wrong about it. */
function wrongSecret(): Error {
  return shibuDbError('INVALID_CREDENTIALS', 'The password or key for the encryption is wrong');
}

/** A record as it was stored. @throws CORRUPTION for what none of ours looks like */
export function parseKeyRecord(json: string): KeyRecord {
  try {
    const { password, iv, dataKey } = JSON.parse(json) as Record<keyof KeyRecord, unknown>;
    if (isBytes(dataKey) && (iv === undefined || isBytes(iv)) && (password === undefined || isCost(password)))
      return JSON.parse(json) as KeyRecord;
  } catch {
    // Said below.
  }
  throw shibuDbError(
    'CORRUPTION',
    'The key record of the database is damaged: got what no version has written',
  );
}

function isBytes(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{1,128}$/.test(value) && value.length % 4 !== 1;
}

function isCost(value: unknown): boolean {
  const { scheme, N, r, p, salt } = value as Record<string, unknown>;
  if (scheme !== 'scrypt' || !isBytes(salt)) return false;
  if (![N, r, p].every((number) => Number.isInteger(number) && (number as number) >= 1)) return false;
  const [n, blocks, lanes] = [N as number, r as number, p as number];
  const isPowerOfTwo = n >= 2 && Number.isInteger(Math.log2(n));
  return isPowerOfTwo && 128 * n * blocks <= scryptBytesMax && n * blocks * lanes <= scryptWorkMax;
}
