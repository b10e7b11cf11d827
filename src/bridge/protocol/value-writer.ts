/**
 * Values to bytes: what the arguments and results of calls are made of. docs/protocol.md has the grammar.
 *
 * A value is a tag and its content; typed arrays other than `Uint8Array` leave only kind and length in the stream, and
 * their elements follow behind it as a raw *tail*, each at a multiple of 8 bytes, so that a reader may use them in place.
 */

import type { ShibuDbError } from '../../api/errors.ts';
import { invalid, shown } from '../../base/arguments.ts';
import { encodeUtf8, writeUtf8 } from '../../base/text.ts';

export const Tag = {
  Undefined: 0,
  Null: 1,
  False: 2,
  True: 3,
  /** A zigzag varint, for the integers of 32 bits. */
  Integer: 4,
  Float64: 5,
  /** 64 bits, two's complement. */
  BigInt64: 6,
  /** Decimal digits as text. Nothing stored is that large, but whoever refuses it must see it. */
  BigIntText: 7,
  Text: 8,
  /** UTF-16 units of a text that has no UTF-8 (a lone surrogate): refused by the engine, which must see it. */
  IllFormedText: 9,
  Bytes: 10,
  TypedArray: 11,
  Array: 12,
  Object: 13,
} as const;

/** Deeper nesting than any call has; a limit for the stack of whoever reads. */
export const depthMax = 32;

/** The kinds of typed arrays by their number on the wire. */
export const typedArrayKinds: readonly TypedArrayKind[] = [
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  Int32Array,
  Uint32Array,
  Int16Array,
  Uint16Array,
  Int8Array,
  Uint8ClampedArray,
];

/** A typed array, whatever it holds. */
export interface TypedArray extends ArrayBufferView {
  readonly length: number;
}

interface TypedArrayKind {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, byteOffset?: number, length?: number): TypedArray;
}

export const alignTo8 = (at: number): number => (at + 7) & ~7;

/** Grows; kept between frames, so that an ordinary frame allocates only itself. */
const scratchBytes = 16 * 1024;
/** What a large frame made of the buffer is given back afterwards. */
const keptBytesMax = 1024 * 1024;

export class ValueWriter {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(scratchBytes);
  #view: DataView = new DataView(this.#bytes.buffer);
  #at = 0;
  #tails: TypedArray[] = [];
  #tailBytes = 0;
  /** The field that is being written, for messages. */
  #field = '';

  /** Begins anew, leaving `headerBytes` for the caller. */
  start(headerBytes: number): void {
    if (this.#bytes.length > keptBytesMax) {
      this.#bytes = new Uint8Array(scratchBytes);
      this.#view = new DataView(this.#bytes.buffer);
    }
    this.#at = headerBytes;
    this.#tails = [];
    this.#tailBytes = 0;
    this.#field = '';
  }

  /**
   * What was written, header room, padding and tails included; the bytes are the caller's. `end` is where padding to a
   * multiple of 8 begins, `tailAt` where the first tail is (0: there is none).
   */
  finish(): { frame: Uint8Array<ArrayBuffer>; end: number; tailAt: number } {
    const tailAt = this.#tails.length === 0 ? 0 : alignTo8(this.#at);
    const end = tailAt === 0 ? this.#at : tailAt + this.#tailBytes;
    const frame = new Uint8Array(alignTo8(end));
    frame.set(this.#bytes.subarray(0, this.#at));
    let at = tailAt;
    for (const tail of this.#tails) {
      frame.set(new Uint8Array(tail.buffer, tail.byteOffset, tail.byteLength), at);
      at += alignTo8(tail.byteLength);
    }
    this.#tails = [];
    return { frame, end, tailAt };
  }

  /** @throws INVALID_ARGUMENT for what has no place in a call: functions, symbols, instances of classes */
  write(value: unknown, depth = 0): void {
    switch (typeof value) {
      case 'string':
        this.#writeText(value);
        break;
      case 'number':
        this.#writeNumber(value);
        break;
      case 'boolean':
        this.#writeByte(value ? Tag.True : Tag.False);
        break;
      case 'undefined':
        this.#writeByte(Tag.Undefined);
        break;
      case 'bigint':
        this.#writeBigInt(value);
        break;
      case 'object':
        if (value === null) this.#writeByte(Tag.Null);
        else if (Array.isArray(value)) this.#writeArray(value, depth);
        else if (ArrayBuffer.isView(value)) this.#writeView(value);
        else this.#writeObject(value, depth);
        break;
      default:
        throw this.#unsendable(value);
    }
  }

  #writeNumber(value: number): void {
    if (value === (value | 0) && !Object.is(value, -0)) {
      this.#writeByte(Tag.Integer);
      this.#writeVarint(((value << 1) ^ (value >> 31)) >>> 0);
      return;
    }
    this.#reserve(9);
    this.#bytes[this.#at] = Tag.Float64;
    this.#view.setFloat64(this.#at + 1, value, true);
    this.#at += 9;
  }

  #writeBigInt(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) {
      this.#writeByte(Tag.BigIntText);
      this.#writeLengthAndBytes(encodeUtf8(String(value)));
      return;
    }
    this.#reserve(9);
    this.#bytes[this.#at] = Tag.BigInt64;
    this.#view.setBigInt64(this.#at + 1, value, true);
    this.#at += 9;
  }

  #writeText(text: string): void {
    if (!text.isWellFormed()) this.#writeIllFormed(text);
    else if (text.length <= 64) this.#writeShortText(text);
    else {
      this.#writeByte(Tag.Text);
      this.#writeLengthAndBytes(encodeUtf8(text));
    }
  }

  /** At most 192 bytes of UTF-8, whose length fits the two bytes left for it: nothing is encoded twice or moved. */
  #writeShortText(text: string): void {
    this.#reserve(3 + 3 * text.length);
    const written = writeUtf8(text, this.#bytes, this.#at + 3);
    this.#bytes[this.#at] = Tag.Text;
    this.#bytes[this.#at + 1] = (written & 0x7f) | 0x80;
    this.#bytes[this.#at + 2] = written >> 7;
    this.#at += 3 + written;
  }

  #writeIllFormed(text: string): void {
    this.#writeByte(Tag.IllFormedText);
    this.#writeVarint(text.length);
    this.#reserve(2 * text.length);
    for (let i = 0; i < text.length; i++) this.#view.setUint16(this.#at + 2 * i, text.charCodeAt(i), true);
    this.#at += 2 * text.length;
  }

  #writeArray(items: readonly unknown[], depth: number): void {
    checkDepth(depth);
    this.#writeByte(Tag.Array);
    this.#writeVarint(items.length);
    for (let i = 0; i < items.length; i++) this.write(items[i], depth + 1);
  }

  #writeObject(value: object, depth: number): void {
    checkDepth(depth);
    const prototype: unknown = Object.getPrototypeOf(value);
    // Objects of other realms have another Object.prototype, which has no prototype itself.
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) throw this.#unsendable(value);
    const names = Object.keys(value);
    this.#writeByte(Tag.Object);
    this.#writeVarint(names.length);
    for (const name of names) {
      this.#writeText(name);
      this.#field = name;
      this.write((value as Record<string, unknown>)[name], depth + 1);
    }
  }

  #writeView(view: ArrayBufferView): void {
    if (view instanceof Uint8Array) {
      this.#writeByte(Tag.Bytes);
      this.#writeLengthAndBytes(view);
      return;
    }
    const kind = typedArrayKinds.findIndex((Kind) => view instanceof Kind);
    if (kind < 0) throw this.#unsendable(view);
    const array = view as TypedArray;
    this.#writeByte(Tag.TypedArray);
    this.#writeByte(kind);
    this.#writeVarint(array.length);
    this.#tails.push(array);
    this.#tailBytes += alignTo8(array.byteLength);
  }

  #unsendable(value: unknown): ShibuDbError {
    return invalid(`Got ${shown(value)} for ${this.#field || 'an argument'}, expected plain data`);
  }

  #writeLengthAndBytes(bytes: Uint8Array): void {
    this.#writeVarint(bytes.length);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #writeByte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = byte;
  }

  /** Seven bits a byte, lowest first; `value` has at most 32 bits. */
  #writeVarint(value: number): void {
    this.#reserve(5);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#at++] = rest;
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

function checkDepth(depth: number): void {
  if (depth >= depthMax) throw invalid(`Got arguments nested deeper than ${depthMax} levels`);
}
