/** Checks of what callers pass as `encryption`. No message shows any of it. */

import type { Encryption } from '../api/encryption.ts';
import { shibuDbError } from '../api/errors.ts';
import { invalid } from './arguments.ts';

export const keyBytes = 32;

/** A copy of its own, which can be handed on. @throws INVALID_ARGUMENT, UNSUPPORTED where there is no WebCrypto */
export function checkEncryption(given: unknown, what = 'encryption'): Encryption {
  const names = typeof given === 'object' && given !== null ? Object.keys(given) : [];
  const [name] = names;
  if (names.length !== 1 || (name !== 'password' && name !== 'key'))
    throw invalid(`Got something else for ${what}, expected { password } or { key }`);
  if (globalThis.crypto?.subtle === undefined)
    throw shibuDbError(
      'UNSUPPORTED',
      'Encryption needs WebCrypto, which browsers give to secure contexts only',
    );
  const { password, key } = given as { password?: unknown; key?: unknown };
  if (name === 'password') {
    if (typeof password !== 'string' || password.length === 0)
      throw invalid(`Got no text for the password of ${what}, expected a string that is not empty`);
    return { password };
  }
  if (key instanceof CryptoKey) return { key: checkCryptoKey(key, what) };
  if (key instanceof Uint8Array && key.length === keyBytes) return { key: key.slice() };
  throw invalid(`Got something else for the key of ${what}, expected a CryptoKey or ${keyBytes} bytes`);
}

function checkCryptoKey(key: CryptoKey, what: string): CryptoKey {
  const { name, length } = key.algorithm as AesKeyAlgorithm;
  const wraps = key.usages.includes('wrapKey') && key.usages.includes('unwrapKey');
  const encrypts = key.usages.includes('encrypt') && key.usages.includes('decrypt');
  const isFit = (name === 'AES-GCM' && (wraps || encrypts)) || (name === 'AES-KW' && wraps);
  if (isFit && length === keyBytes * 8) return key;
  throw invalid(
    `Got a CryptoKey of ${name} for ${[...key.usages].join(', ')} as the key of ${what}, expected AES-GCM of 256 bits for ` +
      'encrypt and decrypt, or AES-GCM or AES-KW for wrapKey and unwrapKey',
  );
}
