/**
 * The catalog of an encrypted database. The record that keeps the data key lies beside it in one envelope, so that every
 * backend writes both in one step: a change of the password counts whole or not at all.
 *
 *   envelope (flags: encrypted) of: key_bytes u32, reserved u32, key record (JSON), sealed catalog
 *
 * The key record is associated data of the catalog: neither can be put beside another's other half.
 */

import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import {
  type Checksum,
  EnvelopeKind,
  encryptedFlags,
  envelopeHeaderBytes,
  plainFlags,
  seal,
  unsealAny,
} from '../envelope.ts';
import { type KeyRecord, parseKeyRecord } from './key-record.ts';
import { associatedData, type RecordCipher } from './record-cipher.ts';

const fixedBytes = 8;

interface Parts {
  readonly record: KeyRecord;
  readonly recordBytes: Uint8Array;
  readonly sealed: Uint8Array;
}

export async function encodeEncryptedCatalog(
  record: KeyRecord,
  catalog: Uint8Array,
  cipher: RecordCipher,
  checksum: Checksum,
): Promise<Uint8Array> {
  const recordBytes = new TextEncoder().encode(JSON.stringify(record));
  const at = envelopeHeaderBytes + fixedBytes;
  const buffer = await cipher.seal(catalog, identity(recordBytes), at + recordBytes.length);
  new DataView(buffer.buffer).setUint32(envelopeHeaderBytes, recordBytes.length, true);
  buffer.set(recordBytes, at);
  return seal(buffer, EnvelopeKind.Catalog, checksum, encryptedFlags);
}

/** The plain catalog; `undefined` when it is damaged or not of this key. */
export async function decodeEncryptedCatalog(
  bytes: Uint8Array,
  cipher: RecordCipher,
  checksum: Checksum,
): Promise<Uint8Array | undefined> {
  try {
    const { recordBytes, sealed } = split(bytes, checksum);
    return await cipher.open(sealed, identity(recordBytes));
  } catch (error) {
    if (isShibuDbError(error)) return undefined;
    throw error;
  }
}

/**
 * The key record of a database, `undefined` where there is no database yet. Its copy counts only where the first is damaged,
 * so that of two passwords never both are good. @throws CORRUPTION, VERSION_MISMATCH, NOT_ENCRYPTED
 */
export function findKeyRecord(
  first: Uint8Array | undefined,
  copy: Uint8Array | undefined,
  checksum: Checksum,
): KeyRecord | undefined {
  let failure: unknown;
  for (const bytes of [first, copy]) {
    if (bytes === undefined) continue;
    try {
      return split(bytes, checksum).record;
    } catch (error) {
      if (!isShibuDbError(error) || error.code === 'NOT_ENCRYPTED') throw error;
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return undefined;
}

function split(bytes: Uint8Array, checksum: Checksum): Parts {
  const { flags, payload } = unsealAny(bytes, EnvelopeKind.Catalog, checksum, 'The catalog');
  if (flags === plainFlags) {
    throw shibuDbError(
      'NOT_ENCRYPTED',
      'The database is not encrypted: open it without { encryption }; an export and an import into an encrypted one encrypt it',
    );
  }
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const length = payload.length < fixedBytes ? 0 : view.getUint32(0, true);
  const end = fixedBytes + length;
  if (length === 0 || end > payload.length)
    throw shibuDbError('CORRUPTION', `The catalog is damaged: its key record has ${length} bytes`);
  const recordBytes = payload.slice(fixedBytes, end);
  const record = parseKeyRecord(new TextDecoder().decode(recordBytes));
  return { record, recordBytes, sealed: payload.subarray(end) };
}

function identity(recordBytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return associatedData({ kind: EnvelopeKind.Catalog }, recordBytes);
}
