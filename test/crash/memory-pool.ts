/**
 * WASM memories that are used again. Every space that is opened takes one, a story opens dozens, and giving them back by garbage
 * collection costs as much as everything else in it: 44 of 95 ms a seed. A memory of a process that is gone is cleared
 * and handed to the next instance, larger than a new one perhaps, which the core never notices: it asks how much there is.
 */

const RealMemory = WebAssembly.Memory;
/** What is kept at most; with more, clearing would cost more than making anew. */
const keptMax = 24;
/** One that has grown beyond is left to the collector. */
const keptBytesMax = 16 * 1024 * 1024;

export class MemoryPool {
  #free: WebAssembly.Memory[] = [];
  #taken: WebAssembly.Memory[] = [];

  /** `new WebAssembly.Memory` takes from here until the returned function is called. */
  install(): () => void {
    const take = (descriptor: WebAssembly.MemoryDescriptor): WebAssembly.Memory => {
      const memory = this.#free.shift() ?? new RealMemory(descriptor);
      this.#taken.push(memory);
      return memory;
    };
    WebAssembly.Memory = function Memory(descriptor: WebAssembly.MemoryDescriptor) {
      return take(descriptor);
    } as unknown as typeof WebAssembly.Memory;
    return () => {
      WebAssembly.Memory = RealMemory;
    };
  }

  /** Requires: whoever took memories will not run any more. */
  reclaim(): void {
    for (const memory of this.#taken) {
      if (this.#free.length >= keptMax || memory.buffer.byteLength > keptBytesMax) continue;
      clear(memory);
      this.#free.push(memory);
    }
    // The smallest is taken first: less to clear.
    this.#free.sort((a, b) => a.buffer.byteLength - b.buffer.byteLength);
    this.#taken = [];
  }
}

const zeros = Buffer.alloc(16 * 1024);

/** Most of a memory was never written: looking costs less than writing, and touches nothing. */
function clear({ buffer }: WebAssembly.Memory): void {
  for (let at = 0; at < buffer.byteLength; at += zeros.length) {
    const piece = Buffer.from(buffer, at, zeros.length);
    if (piece.compare(zeros) !== 0) piece.fill(0);
  }
}
