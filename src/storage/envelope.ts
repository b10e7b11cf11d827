/**
 * The frame around everything stored that is not a block: catalog, manifests, log records. docs/format.md has the grammar.
 *
 *   envelope := magic u32 "SHBM", version u16, kind u16, length u32, flags u32, checksum u64, payload
 *
 * Flag 1: the payload is encrypted (encryption/). The checksum is then of what is stored, so that a torn or damaged record is
 * told from a sound one without the key.
 *
 * All little-endian. The checksum is XXH64 over the header with the checksum itself zero, then the payload: a flipped bit
 * in the length or the kind is found too.
 */

import { shibuDbError } from '../api/errors.ts';
import { formatVersion } from '../base/build.ts';

export const EnvelopeKind = {
  Catalog: 1,
  Manifest: 2,
  Log: 3,
  BlockIndex: 4,
  ExportBegin: 16,
  ExportSpace: 17,
  ExportOperations: 18,
  ExportSpaceEnd: 19,
  ExportEnd: 20,
  ExportUsers: 21,
  StaticIndex: 32,
} as const;
type Kind = (typeof EnvelopeKind)[keyof typeof EnvelopeKind];

/** XXH64, seed 0. Passed in: the core computes it. */
export type Checksum = (bytes: Uint8Array) => bigint;

/** What `flags` may hold. Nothing, or that the payload is encrypted. */
export const plainFlags = 0;
export const encryptedFlags = 1;
type Flags = typeof plainFlags | typeof encryptedFlags;

export const envelopeHeaderBytes = 24;
export const magic = 0x4d424853;

/** Fills the header of a buffer whose payload starts at `envelopeHeaderBytes`. */
export function seal(
  buffer: Uint8Array,
  kind: Kind,
  checksum: Checksum,
  flags: Flags = plainFlags,
): Uint8Array {
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  sealAt(view, 0, buffer.length, kind, () => checksum(buffer), flags);
  return buffer;
}

/** The same for `bytes` of a larger buffer from `at` on, by whoever can sum them where they lie. */
export function sealAt(
  view: DataView,
  at: number,
  bytes: number,
  kind: Kind,
  checksum: () => bigint,
  flags: Flags = plainFlags,
): void {
  view.setUint32(at, magic, true);
  view.setUint16(at + 4, formatVersion, true);
  view.setUint16(at + 6, kind, true);
  view.setUint32(at + 8, bytes - envelopeHeaderBytes, true);
  view.setUint32(at + 12, flags, true);
  view.setBigUint64(at + 16, 0n, true);
  view.setBigUint64(at + 16, checksum(), true);
}

/**
 * The payload of a sealed buffer. @throws CORRUPTION, VERSION_MISMATCH; ENCRYPTED for one that is not plain; `what` names the
 * thing in the message
 */
export function unseal(buffer: Uint8Array, kind: Kind, checksum: Checksum, what: string): Uint8Array {
  const { flags, payload } = unsealAny(buffer, kind, checksum, what);
  if (flags === plainFlags) return payload;
  throw shibuDbError('ENCRYPTED', `${what} is encrypted: pass { encryption } to open the database`);
}

/** The same, encrypted or not. @throws CORRUPTION, VERSION_MISMATCH */
export function unsealAny(
  buffer: Uint8Array,
  kind: Kind,
  checksum: Checksum,
  what: string,
): { flags: Flags; payload: Uint8Array } {
  const damaged = (found: string): Error =>
    shibuDbError('CORRUPTION', `${what} is damaged: ${found}`, { details: { what } });
  if (buffer.length < envelopeHeaderBytes)
    throw damaged(`got ${buffer.length} bytes, expected at least ${envelopeHeaderBytes}`);
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  if (view.getUint32(0, true) !== magic) throw damaged('the magic number is missing');
  const version = view.getUint16(4, true);
  if (version > formatVersion) {
    throw shibuDbError(
      'VERSION_MISMATCH',
      `${what} has format ${version}, this build reads up to ${formatVersion}`,
    );
  }
  const length = view.getUint32(8, true);
  if (length !== buffer.length - envelopeHeaderBytes) {
    throw damaged(`got ${buffer.length - envelopeHeaderBytes} bytes of payload, expected ${length}`);
  }
  const expected = view.getBigUint64(16, true);
  const copy = buffer.slice();
  new DataView(copy.buffer).setBigUint64(16, 0n, true);
  if (checksum(copy) !== expected) throw damaged('the checksum does not match');
  if (view.getUint16(6, true) !== kind)
    throw damaged(`got kind ${view.getUint16(6, true)}, expected ${kind}`);
  const flags = view.getUint32(12, true);
  if (flags !== plainFlags && flags !== encryptedFlags)
    throw damaged(`got flags ${flags}, expected ${plainFlags} or ${encryptedFlags}`);
  return { flags, payload: buffer.subarray(envelopeHeaderBytes) };
}
