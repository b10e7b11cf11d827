/** Puts a frame that came in parts together again. One at a time: parts of two frames are never mixed. */

import { type Frame, frameAt, headerBytes, lastPart } from './frames.ts';
import { malformed } from './value-reader.ts';

/** The first buffer; it doubles, so that a small frame never costs the room of a large one. */
const firstBytes = 4 * 1024 * 1024;

export class Assembler {
  readonly #bytesMax: number;
  #id: number | undefined;
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #length = 0;

  /** @param bytesMax of a whole frame */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The call whose frame is being put together. */
  get id(): number | undefined {
    return this.#id;
  }

  /** Takes a part; answers with the whole frame when it was the last. @throws PROTOCOL_ERROR */
  add(part: Frame): Frame | undefined {
    if (this.#id === undefined) this.#id = part.id;
    else if (this.#id !== part.id)
      throw malformed(`a part of frame ${part.id} came before the end of frame ${this.#id}`);
    const piece = part.bytes.subarray(headerBytes);
    this.#reserve(piece.length);
    this.#buffer.set(piece, this.#length);
    this.#length += piece.length;
    if ((part.flags & lastPart) === 0) return undefined;
    const whole = frameAt(this.#buffer.subarray(0, this.#length), 0);
    if (whole.id !== part.id) throw malformed(`parts of frame ${part.id} make frame ${whole.id}`);
    this.drop();
    return whole;
  }

  /** Forgets what there is. */
  drop(): void {
    this.#id = undefined;
    this.#buffer = new Uint8Array(0);
    this.#length = 0;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed > this.#bytesMax)
      throw malformed(`a frame in parts has more than ${this.#bytesMax} bytes, the most that is taken`);
    if (needed <= this.#buffer.length) return;
    const larger = new Uint8Array(
      Math.min(Math.max(needed, this.#buffer.length * 2, firstBytes), this.#bytesMax),
    );
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}
