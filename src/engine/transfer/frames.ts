/**
 * The stream of an export, frame by frame (docs/format.md):
 *
 *   export := begin, users?, (space, operations*, space_end)*, end
 *   frame  := envelope (storage/envelope.ts) of payload := number u32, reserved u32, body
 *
 * Frames are numbered from 0, so that one that is missing or in another's place is noticed; each has its own checksum. The
 * bodies of all but `operations` are JSON. Everything else about the data is said in operations, as in the log: a stream
 * has no offsets into anything, and what reads it puts entries in as a caller would.
 */

import { shibuDbError } from '../../api/errors.ts';
import {
  type Checksum,
  EnvelopeKind,
  envelopeHeaderBytes,
  magic,
  seal,
  unseal,
} from '../../storage/envelope.ts';

/** Those of EnvelopeKind that belong to an export. */
export type FrameKind = 16 | 17 | 18 | 19 | 20 | 21;

export interface Frame {
  readonly kind: FrameKind;
  readonly body: Uint8Array;
}

const numberBytes = 8;
/** A frame of operations is closed when it has so many bytes: several of them are all that is in memory at a time. */
export const frameBytesAim: number = 1024 * 1024;
/** The largest there is: one value of 64 MiB behind two frames' worth of others. What claims more is refused unread. */
const frameBytesMax = 67 * 1024 * 1024;

export class FrameWriter {
  readonly #checksum: Checksum;
  #number = 0;

  constructor(checksum: Checksum) {
    this.#checksum = checksum;
  }

  json(kind: FrameKind, value: unknown): Uint8Array {
    return this.frame(kind, [new TextEncoder().encode(JSON.stringify(value))]);
  }

  frame(kind: FrameKind, parts: readonly Uint8Array[]): Uint8Array {
    const length = parts.reduce((bytes, part) => bytes + part.length, numberBytes);
    const buffer = new Uint8Array(envelopeHeaderBytes + length);
    new DataView(buffer.buffer).setUint32(envelopeHeaderBytes, this.#number++, true);
    let at = envelopeHeaderBytes + numberBytes;
    for (const part of parts) {
      buffer.set(part, at);
      at += part.length;
    }
    return seal(buffer, kind, this.#checksum);
  }
}

/** Cuts a stream that arrives in pieces of any size into frames. Holds at most one frame and one piece. */
export class FrameReader {
  readonly #checksum: Checksum;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #number = 0;

  constructor(checksum: Checksum) {
    this.#checksum = checksum;
  }

  push(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  /** Bytes that are no whole frame yet. */
  get rest(): number {
    return this.#bytes;
  }

  /** The next whole frame, if it is there. @throws CORRUPTION, VERSION_MISMATCH */
  next(): Frame | undefined {
    if (this.#bytes < envelopeHeaderBytes) return undefined;
    const header = this.#peek(envelopeHeaderBytes);
    const view = new DataView(header.buffer, header.byteOffset, header.length);
    const what = `Frame ${this.#number} of the export`;
    if (view.getUint32(0, true) !== magic) throw damaged(what, 'the magic number is missing');
    const length = view.getUint32(8, true);
    if (length < numberBytes || length > frameBytesMax) {
      throw damaged(what, `it says it has ${length} bytes, expected ${numberBytes} to ${frameBytesMax}`);
    }
    if (this.#bytes < envelopeHeaderBytes + length) return undefined;
    const frame = this.#take(envelopeHeaderBytes + length);
    const kind = view.getUint16(6, true) as FrameKind;
    if (kind < EnvelopeKind.ExportBegin || kind > EnvelopeKind.ExportUsers)
      throw damaged(what, `it has kind ${kind}`);
    const payload = unseal(frame, kind, this.#checksum, what);
    const number = new DataView(payload.buffer, payload.byteOffset).getUint32(0, true);
    if (number !== this.#number) throw damaged(what, `it has number ${number}`);
    this.#number++;
    return { kind, body: payload.subarray(numberBytes) };
  }

  #peek(length: number): Uint8Array {
    const [first] = this.#pieces;
    if (first !== undefined && first.length >= length) return first.subarray(0, length);
    const all = this.#take(this.#bytes);
    this.push(all);
    return all.subarray(0, length);
  }

  #take(length: number): Uint8Array {
    const taken = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const piece = this.#pieces[0] as Uint8Array;
      const part = piece.subarray(0, length - at);
      taken.set(part, at);
      at += part.length;
      if (part.length === piece.length) this.#pieces.shift();
      else this.#pieces[0] = piece.subarray(part.length);
    }
    this.#bytes -= length;
    return taken;
  }
}

export function damaged(what: string, found: string): Error {
  return shibuDbError('CORRUPTION', `${what} is damaged: ${found}`);
}
