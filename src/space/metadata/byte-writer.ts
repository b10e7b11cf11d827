/** Bytes that are written one value after another, in the encodings of wasm/metadata/record.h. */

import { writeUtf8 } from '../../base/text.ts';

export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(room = 256) {
    this.#bytes = new Uint8Array(room);
  }

  /** What was written; a view until the next write. */
  get written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length);
  }

  byte(value: number): void {
    this.#ensure(1);
    this.#bytes[this.length++] = value;
  }

  /** LEB128 of an integer from 0 to 2^53. */
  varint(value: number): void {
    this.#ensure(10);
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#bytes[this.length++] = (rest % 128) | 128;
    this.#bytes[this.length++] = rest;
  }

  /** Zigzag varint of 64 bits. */
  integer(value: bigint): void {
    const small = Number(value);
    if (Math.abs(small) < 2 ** 51) {
      this.varint(small < 0 ? -2 * small - 1 : 2 * small);
      return;
    }
    this.#ensure(10);
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
    for (; rest >= 128n; rest >>= 7n) this.#bytes[this.length++] = Number(rest & 127n) | 128;
    this.#bytes[this.length++] = Number(rest);
  }

  float(value: number): void {
    this.#ensure(8);
    new DataView(this.#bytes.buffer).setFloat64(this.length, value, true);
    this.length += 8;
  }

  /** Length and UTF-8 of a well-formed text. */
  text(value: string): void {
    // Written behind the longest length there can be, then moved: most texts are short and have a length of one byte.
    const most = value.length * 3;
    this.#ensure(most + 5);
    const lengthBytes = most < 128 ? 1 : 5;
    const bytes = writeUtf8(value, this.#bytes, this.length + lengthBytes);
    const from = this.length + lengthBytes;
    this.varint(bytes);
    if (this.length !== from) this.#bytes.copyWithin(this.length, from, from + bytes);
    this.length += bytes;
  }

  raw(bytes: Uint8Array): void {
    this.#ensure(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  #ensure(more: number): void {
    if (this.length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.length + more, 2 * this.#bytes.length));
    grown.set(this.written);
    this.#bytes = grown;
  }
}
