/** Encryption at rest, as callers ask for it. Types only. docs/encryption.md says what it keeps from whom. */

import type { CallOptions } from './database.ts';

/**
 * What opens an encrypted database.
 *
 * `password`: 1 to 1024 bytes of UTF-8; composed and decomposed spellings of a character count as one (NFC). It goes through
 * scrypt, which takes some hundred milliseconds at every opening.
 *
 * `key`: 32 bytes with the strength of random ones, or a `CryptoKey`: AES-GCM of 256 bits that may encrypt and decrypt, or wrap
 * and unwrap keys; or AES-KW of 256 bits. A `CryptoKey` need not be extractable.
 */
export type Encryption = { readonly password: string } | { readonly key: CryptoKey | Uint8Array };

/** Changing what opens an encrypted database. */
export interface EncryptionCalls {
  /**
   * Makes another password or key open the database: from when this resolves on only `next` does. No data is written again, and
   * whoever has the database open goes on. Stopped in the middle, exactly one of the two is good. With users it takes an admin.
   *
   * Only where the database itself was opened: over the bridge, and from outside a Durable Object, it is `UNSUPPORTED`, because
   * whoever runs the server there could not open it again.
   *
   * @throws INVALID_CREDENTIALS when `current` is not what opens it, NOT_ENCRYPTED, INVALID_ARGUMENT
   */
  changeEncryption(current: Encryption, next: Encryption, options?: CallOptions): Promise<void>;
}
