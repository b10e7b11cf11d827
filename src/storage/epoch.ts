/**
 * The epoch of a database: which of its successive owners may write. Whoever takes it over raises it by one.
 *
 *   epoch := epoch u32, complement u32        little-endian; the second is the first with every bit flipped
 */

import { shibuDbError } from '../api/errors.ts';

export function encodeEpoch(epoch: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, epoch, true);
  view.setUint32(4, ~epoch >>> 0, true);
  return bytes;
}

/** 0 where there is none yet. @throws CORRUPTION */
export function decodeEpoch(bytes: Uint8Array | undefined): number {
  if (bytes === undefined) return 0;
  if (bytes instanceof Uint8Array && bytes.length === 8) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
    const epoch = view.getUint32(0, true);
    if (view.getUint32(4, true) === ~epoch >>> 0) return epoch;
  }
  throw shibuDbError('CORRUPTION', 'The epoch record is damaged: its two halves do not match');
}
