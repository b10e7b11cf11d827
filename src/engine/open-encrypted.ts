/** The encrypted backend that an environment asks for, over the one it gives; and who else may use it then. */

import type { Encryption } from '../api/encryption.ts';
import { assertSameEncryption } from '../base/same-encryption.ts';
import type { EncryptedBackend } from '../storage/encryption/encrypted-backend.ts';
import type { Checksum } from '../storage/envelope.ts';
import { portableScrypt, secretsPart } from './parts.ts';
import type { Environment } from './settings.ts';

export async function encryptedBackend(
  { backend, encryption, scrypt = portableScrypt, settings }: Environment,
  checksum: Checksum,
): Promise<EncryptedBackend | undefined> {
  if (encryption === undefined) return undefined;
  const { EncryptedBackend } = await secretsPart.load();
  return EncryptedBackend.open(backend, encryption, { checksum, scrypt, cost: settings.passwordCost });
}

/** @throws ENCRYPTED, NOT_ENCRYPTED, INVALID_CREDENTIALS where `secret` would not have opened the database */
export async function admit(
  backend: EncryptedBackend | undefined,
  secret: Encryption | undefined,
  name: string,
): Promise<void> {
  assertSameEncryption(backend !== undefined, secret !== undefined, name);
  if (backend !== undefined && secret !== undefined) await backend.verify(secret);
}
