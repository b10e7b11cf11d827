/**
 * Bytes to values. The bytes come from a stranger: every length is checked against what is there before anything of that
 * size is made, so that a frame costs its reader no more than a small multiple of its own size.
 */

import { type ShibuDbError, shibuDbError } from '../../api/errors.ts';
import { alignTo8, depthMax, Tag, type TypedArray, typedArrayKinds } from './value-writer.ts';

/** Not well-formed, so that a text is never something else than what was sent. */
const decoder: TextDecoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });
const digits = /^-?\d{1,4096}$/;

export function malformed(what: string): ShibuDbError {
  return shibuDbError('PROTOCOL_ERROR', `Got a malformed frame: ${what}`);
}

export interface ReadOptions {
  /**
   * Whether typed arrays may be views of the frame, which then must stay as it is. Default false: they are copies with
   * buffers of their own, as after `structuredClone`.
   */
  readonly inPlace?: boolean;
}

export class ValueReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #end: number;
  readonly #hasTail: boolean;
  readonly #inPlace: boolean;
  #at: number;
  #tailAt: number;

  /** Reads from `at` on; tails begin at `tailAt`, or there are none. Nothing behind the end of `bytes` is looked at. */
  constructor(bytes: Uint8Array, at: number, tailAt: number, { inPlace = false }: ReadOptions = {}) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
    this.#end = tailAt === 0 ? bytes.length : tailAt;
    this.#tailAt = tailAt === 0 ? bytes.length : tailAt;
    this.#hasTail = tailAt !== 0;
    this.#inPlace = inPlace;
  }

  /** @throws PROTOCOL_ERROR */
  read(depth = 0): unknown {
    const tag = this.#readByte();
    switch (tag) {
      case Tag.Undefined:
        return undefined;
      case Tag.Null:
        return null;
      case Tag.False:
        return false;
      case Tag.True:
        return true;
      case Tag.Integer: {
        const zigzag = this.#readVarint();
        return (zigzag >>> 1) ^ -(zigzag & 1);
      }
      case Tag.Float64:
        return this.#view.getFloat64(this.#take(8), true);
      case Tag.BigInt64:
        return this.#view.getBigInt64(this.#take(8), true);
      case Tag.BigIntText:
        return this.#readBigIntText();
      case Tag.Text:
        return this.#readText();
      case Tag.IllFormedText:
        return this.#readIllFormedText();
      case Tag.Bytes: {
        const length = this.#readVarint();
        const from = this.#take(length);
        return this.#bytes.slice(from, from + length);
      }
      case Tag.TypedArray:
        return this.#readTypedArray();
      case Tag.Array:
        return this.#readArray(depth);
      case Tag.Object:
        return this.#readObject(depth);
      default:
        throw malformed(`the tag ${tag} is unknown`);
    }
  }

  /** @throws PROTOCOL_ERROR when something follows the values that were read */
  finish(): void {
    // Tails begin at a multiple of 8.
    const streamEnd = this.#hasTail ? alignTo8(this.#at) : this.#at;
    const left = this.#end - streamEnd + (this.#bytes.length - Math.max(this.#tailAt, this.#end));
    if (left > 0) throw malformed(`${left} bytes follow the last value`);
  }

  #readBigIntText(): bigint {
    const text = this.#readText();
    if (!digits.test(text)) throw malformed('a number is not written in decimal digits');
    return BigInt(text);
  }

  #readText(): string {
    const length = this.#readVarint();
    const from = this.#take(length);
    if (length <= 24) {
      let text = '';
      let i = 0;
      for (; i < length; i++) {
        const byte = this.#bytes[from + i] as number;
        if (byte > 127) break;
        text += String.fromCharCode(byte);
      }
      if (i === length) return text;
    }
    try {
      return decoder.decode(this.#bytes.subarray(from, from + length));
    } catch {
      throw malformed('a text is not UTF-8');
    }
  }

  #readIllFormedText(): string {
    const length = this.#readVarint();
    const from = this.#take(length * 2);
    const units: string[] = [];
    for (let i = 0; i < length; i++)
      units.push(String.fromCharCode(this.#view.getUint16(from + 2 * i, true)));
    return units.join('');
  }

  #readTypedArray(): TypedArray {
    const Kind = typedArrayKinds[this.#readByte()];
    if (Kind === undefined) throw malformed('a typed array is of an unknown kind');
    const count = this.#readVarint();
    const from = this.#tailAt;
    const bytes = count * Kind.BYTES_PER_ELEMENT;
    if (from + bytes > this.#bytes.length) throw malformed('a typed array is longer than its frame');
    this.#tailAt = Math.min(alignTo8(from + bytes), this.#bytes.length);
    const offset = this.#bytes.byteOffset + from;
    if (this.#inPlace && offset % Kind.BYTES_PER_ELEMENT === 0)
      return new Kind(this.#bytes.buffer as ArrayBuffer, offset, count);
    const copy = new Uint8Array(bytes);
    copy.set(this.#bytes.subarray(from, from + bytes));
    return new Kind(copy.buffer);
  }

  #readArray(depth: number): unknown[] {
    const count = this.#readCount(depth, 1);
    const items: unknown[] = [];
    for (let i = 0; i < count; i++) items.push(this.read(depth + 1));
    return items;
  }

  #readObject(depth: number): Record<string, unknown> {
    const count = this.#readCount(depth, 3);
    const object: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      if (this.#readByte() !== Tag.Text) throw malformed("an object's name is not a text");
      const name = this.#readText();
      const value = this.read(depth + 1);
      if (name !== '__proto__') object[name] = value;
      // An assignment would change the object's prototype.
      else
        Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true });
    }
    return object;
  }

  /** A count of items that take at least `leastBytes` each. */
  #readCount(depth: number, leastBytes: number): number {
    if (depth >= depthMax) throw malformed(`values are nested deeper than ${depthMax} levels`);
    const count = this.#readVarint();
    if (count * leastBytes > this.#end - this.#at) throw malformed('a list is longer than its frame');
    return count;
  }

  #readByte(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  #readVarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#readByte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if (value > 0xffff_ffff) break;
        return value;
      }
    }
    throw malformed('a length has more than 32 bits');
  }

  #take(bytes: number): number {
    const from = this.#at;
    if (bytes > this.#end - from) throw malformed('it ends in the middle of a value');
    this.#at = from + bytes;
    return from;
  }
}
