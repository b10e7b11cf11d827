/** Takes exact numbers of bytes off a stream of chunks. */

export class ByteReader {
  /** Bytes taken so far. */
  offset = 0;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#chunks = bytes[Symbol.asyncIterator]();
  }

  /** `count` bytes; fewer where the stream ends, none at its end. */
  async take(count: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let missing = count;
    while (missing > 0) {
      if (this.#rest.length === 0) {
        const { done, value } = await this.#chunks.next();
        if (done) break;
        this.#rest = value;
        continue;
      }
      const part = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(part.length);
      missing -= part.length;
      parts.push(part);
    }
    this.offset += count - missing;
    const [first] = parts;
    return parts.length === 1 && first !== undefined ? first : Buffer.concat(parts);
  }
}

/** Packed little-endian numbers as float32. Element by element: neither alignment nor the machine's order matters. */
export function floatsOf(bytes: Uint8Array, itemBytes: 4 | 8): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const floats = new Float32Array(bytes.length / itemBytes);
  for (let i = 0; i < floats.length; i++) {
    floats[i] = itemBytes === 4 ? view.getFloat32(i * 4, true) : view.getFloat64(i * 8, true);
  }
  return floats;
}

export function bytesOfFloats(floats: Float32Array): Uint8Array {
  const bytes = new Uint8Array(floats.length * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < floats.length; i++) view.setFloat32(i * 4, floats[i] as number, true);
  return bytes;
}
