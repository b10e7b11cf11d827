/**
 * Small byte arrays that share buffers, as those of Node's own `Buffer.allocUnsafe` do: one of 100 bytes with a buffer of its own costs
 * more to make and collect than to find among a million. A buffer lives as long as any array of it, so they are small; and whoever
 * transfers an array takes the others along, so a pool is one caller's alone.
 */

const poolBytes = 8 * 1024;
/** Longer arrays have buffers of their own. */
const pooledMost = poolBytes / 8;

export class ValuePool {
  readonly #make: (bytes: number) => Uint8Array;
  #bytes: Uint8Array = new Uint8Array(0);
  #used = 0;

  /** `make`: a buffer of so many bytes; default, an ordinary one. */
  constructor(make: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes)) {
    this.#make = make;
  }

  /** Zeroed, 8-byte aligned. */
  take(bytes: number): Uint8Array {
    if (bytes > pooledMost) return new Uint8Array(bytes);
    if (this.#used + bytes > this.#bytes.length) {
      this.#bytes = this.#make(poolBytes);
      this.#used = 0;
    }
    const taken = this.#bytes.subarray(this.#used, this.#used + bytes);
    this.#used += (bytes + 7) & ~7;
    return taken;
  }
}
