/** Small byte arrays cut from a larger one, which lives as long as any of them. */

const slabBytes = 64 * 1024;

/** A buffer of its own for each would cost more to allocate and collect than everything else about a write. */
export class Slab {
  #bytes: Uint8Array = new Uint8Array(0);
  #used = 0;

  /** Zeroed room for at least so much, to be cut to size by `cut` before the next is asked for. */
  room(bytes: number): Uint8Array {
    if (bytes > slabBytes / 4) return new Uint8Array(bytes);
    if (this.#used + bytes > this.#bytes.length) {
      this.#bytes = new Uint8Array(slabBytes);
      this.#used = 0;
    }
    return this.#bytes.subarray(this.#used);
  }

  cut(room: Uint8Array, bytes: number): Uint8Array {
    if (room.buffer === this.#bytes.buffer) this.#used += (bytes + 7) & ~7;
    return room.subarray(0, bytes);
  }

  take(bytes: number): Uint8Array {
    return this.cut(this.room(bytes), bytes);
  }
}

/** With a buffer of its own, to send or store: what is cut from a slab would bring all of it along. */
export function owned(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
}
