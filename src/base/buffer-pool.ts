/**
 * Buffers that are used again. What an answer is put into goes to the caller with it; one that the caller has read and gives back
 * spares the next answer a fresh one, whose pages the system has to find and clear first: that costs more than all that is
 * done with them (docs/benchmarks.md). Contents stay: a pool is one session's alone.
 */

/** Smaller ones are not worth it. */
const bytesMin = 4096;
/** A step of a scan, the largest answer that is put together: 384 KiB. */
const bytesMax = 384 * 1024;
const buffersMost = 16;

export class BufferPool {
  /** The one given last is the last: its memory is warm. */
  readonly #spare: ArrayBuffer[] = [];
  /** Whether anything comes back: whoever keeps what it gets is not to be given more than it needs. */
  #isUsed = false;

  /** One of so many bytes or somewhat more; what is in it is whatever it was. */
  take(bytes: number): ArrayBuffer {
    if (!this.#isUsed) return new ArrayBuffer(bytes);
    const size = sizeFor(bytes);
    const found = this.#spare.findLastIndex(({ byteLength }) => byteLength === size);
    const [buffer] = found < 0 ? [] : this.#spare.splice(found, 1);
    return buffer ?? new ArrayBuffer(size);
  }

  /** Takes one back, if `take` would ever give it out. Requires: nobody else uses it. */
  give(buffer: ArrayBuffer): void {
    this.#isUsed = true;
    const { byteLength } = buffer;
    if (byteLength < bytesMin || byteLength > bytesMax || byteLength !== sizeFor(byteLength)) return;
    this.#spare.push(buffer);
    if (this.#spare.length > buffersMost) this.#spare.shift();
  }
}

/** Answers of about one size get buffers of one size: up to a quarter more than they need. */
function sizeFor(bytes: number): number {
  if (bytes < bytesMin || bytes > bytesMax) return bytes;
  const step = 2 ** (Math.floor(Math.log2(bytes)) - 2);
  return Math.ceil(bytes / step) * step;
}
