/**
 * The epoch of a database: which of its successive owners may write. Whoever takes it over raises it by one. With it goes a
 * random identity: a database that was deleted and made anew under the same name is another one.
 *
 *   epoch_record := epoch u32, complement u32, identity 8 bytes       little-endian
 *
 * The complement is the epoch with every bit flipped.
 */

import { shibuDbError } from '../api/errors.ts';

export interface Epoch {
  readonly epoch: number;
  /** 16 hexadecimal digits. */
  readonly identity: string;
}

const recordBytes = 16;

/** The first owner's epoch of a database that is just made. */
export function firstEpoch(): Epoch {
  const random = crypto.getRandomValues(new Uint8Array(8));
  return { epoch: 1, identity: Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('') };
}

export function encodeEpoch({ epoch, identity }: Epoch): Uint8Array {
  const bytes = new Uint8Array(recordBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, epoch, true);
  view.setUint32(4, ~epoch >>> 0, true);
  view.setBigUint64(8, BigInt(`0x${identity}`));
  return bytes;
}

/** @throws CORRUPTION */
export function decodeEpoch(bytes: Uint8Array): Epoch {
  if (bytes instanceof Uint8Array && bytes.length === recordBytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, recordBytes);
    const epoch = view.getUint32(0, true);
    if (view.getUint32(4, true) === ~epoch >>> 0)
      return { epoch, identity: view.getBigUint64(8).toString(16).padStart(16, '0') };
  }
  throw shibuDbError('CORRUPTION', 'The epoch record is damaged: its two halves do not match');
}
