/**
 * Encrypting stored records: AES-GCM with keys of 256 bits (NIST SP 800-38D), through WebCrypto.
 *
 *   sealed := salt 16 bytes, iv 12 bytes, ciphertext, tag 16 bytes
 *
 * The key of a record is derived from the database's data key and `salt` (HKDF-SHA-256, RFC 5869). Every session that writes
 * makes a salt of its own, and another one after 2^31 records. With random ivs a key may encrypt 2^32 records: the salt makes
 * that a bound on a session rather than on the life of a database, which a busy one would reach in weeks.
 *
 * What a record is goes in as associated data, so that a record in another's place, or of another database, does not open.
 */

import { formatVersion } from '../../base/build.ts';
import { randomBytes } from '../../base/secrets.ts';
import { magic } from '../envelope.ts';

const saltBytes = 16;
const ivBytes = 12;
const tagBytes = 16;
const headBytes = saltBytes + ivBytes;
/** How much longer a record is when it is sealed. */
export const sealedExtraBytes: number = headBytes + tagBytes;

const recordsPerSalt = 2 ** 31;
const derivation = new TextEncoder().encode('shibumi record 1');

type Bytes = Uint8Array<ArrayBuffer>;

interface Writing {
  readonly salt: Bytes;
  readonly key: Promise<CryptoKey>;
  records: number;
}

/** Which record it is: numbers that do not apply are 0. `kind` as in an envelope, or `blockKind`. */
export interface RecordIdentity {
  readonly kind: number;
  readonly space?: number;
  readonly block?: number;
  readonly generation?: number;
  readonly sequence?: number;
}

/** Blocks have no envelope; in associated data this is their kind. */
export const blockKind = 256;

export function associatedData(identity: RecordIdentity, more: Uint8Array = new Uint8Array(0)): Bytes {
  const { kind, space = 0, block = 0, generation = 0, sequence = 0 } = identity;
  const bytes = new Uint8Array(32 + more.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic, true);
  view.setUint16(4, formatVersion, true);
  view.setUint16(6, kind, true);
  view.setUint32(8, space, true);
  view.setUint32(12, block, true);
  view.setUint32(16, generation, true);
  view.setFloat64(24, sequence, true);
  bytes.set(more, 32);
  return bytes;
}

export class RecordCipher {
  readonly #dataKey: CryptoKey;
  /** Derived keys by their salt in Latin-1. */
  readonly #keys: Map<string, Promise<CryptoKey>> = new Map();
  #writing: Writing | undefined;

  /** `dataKey`: of HKDF (key-record.ts). */
  constructor(dataKey: CryptoKey) {
    this.#dataKey = dataKey;
  }

  /** The sealed record, in a buffer of its own behind `spaceBefore` free bytes. Requires: `plain` stays as it is meanwhile. */
  async seal(plain: Uint8Array, associated: Bytes, spaceBefore = 0): Promise<Bytes> {
    const { salt, key } = this.#nextWriting();
    const iv = randomBytes(ivBytes);
    const algorithm = { name: 'AES-GCM', iv, additionalData: associated };
    const encrypted = await crypto.subtle.encrypt(algorithm, await key, plain as Bytes);
    const sealed = new Uint8Array(spaceBefore + headBytes + encrypted.byteLength);
    sealed.set(salt, spaceBefore);
    sealed.set(iv, spaceBefore + saltBytes);
    sealed.set(new Uint8Array(encrypted), spaceBefore + headBytes);
    return sealed;
  }

  /** The plain bytes; `undefined` when the record is not what it was sealed as, under this key. */
  async open(sealed: Uint8Array, associated: Bytes): Promise<Bytes | undefined> {
    if (sealed.length < sealedExtraBytes) return undefined;
    const key = await this.#keyOf(sealed.slice(0, saltBytes));
    const iv = sealed.slice(saltBytes, headBytes);
    const algorithm = { name: 'AES-GCM', iv, additionalData: associated };
    try {
      return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, sealed.subarray(headBytes) as Bytes));
    } catch (error) {
      if (error instanceof DOMException && error.name === 'OperationError') return undefined;
      throw error;
    }
  }

  #nextWriting(): Writing {
    if (this.#writing === undefined || this.#writing.records >= recordsPerSalt) {
      const salt = randomBytes(saltBytes);
      this.#writing = { salt, key: this.#keyOf(salt), records: 0 };
    }
    this.#writing.records++;
    return this.#writing;
  }

  #keyOf(salt: Bytes): Promise<CryptoKey> {
    const name = String.fromCharCode(...salt);
    let key = this.#keys.get(name);
    if (key === undefined) {
      key = crypto.subtle.deriveKey(
        { name: 'HKDF', hash: 'SHA-256', salt, info: derivation },
        this.#dataKey,
        { name: 'AES-GCM', length: 256 },
        false,
        ['encrypt', 'decrypt'],
      );
      this.#keys.set(name, key);
    }
    return key;
  }
}
