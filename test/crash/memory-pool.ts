/**
 * WASM memories that are used again. Every space that is opened takes one, a story opens dozens, and giving them back by garbage
 * collection costs as much as everything else in it: 44 of 95 ms a seed. A memory of a process that is gone is cleared
 * and handed to the next instance, larger than a new one perhaps, which the core never notices: it asks how much there is.
 */

const { Memory: RealMemory, Instance: RealInstance } = WebAssembly;
/** What is kept at most; with more, clearing would cost more than making anew. */
const keptMax = 24;
/** One that has grown beyond is left to the collector. */
const keptBytesMax = 16 * 1024 * 1024;

export class MemoryPool {
  #free: WebAssembly.Memory[] = [];
  #taken: WebAssembly.Memory[] = [];
  /** By memory: what the core in it says of itself. */
  readonly #cores: WeakMap<WebAssembly.Memory, ArenaExports> = new WeakMap();
  #cleared = 0;

  /** `new WebAssembly.Memory` takes from here until the returned function is called. */
  install(): () => void {
    const take = (descriptor: WebAssembly.MemoryDescriptor): WebAssembly.Memory => {
      const memory = this.#free.shift() ?? new RealMemory(descriptor);
      this.#taken.push(memory);
      return memory;
    };
    const instantiate = (module: WebAssembly.Module, imports: WebAssembly.Imports): WebAssembly.Instance => {
      const instance = new RealInstance(module, imports);
      const memory = imports.env?.memory;
      if (memory instanceof RealMemory) this.#cores.set(memory, instance.exports as unknown as ArenaExports);
      return instance;
    };
    WebAssembly.Memory = function Memory(descriptor: WebAssembly.MemoryDescriptor) {
      return take(descriptor);
    } as unknown as typeof WebAssembly.Memory;
    WebAssembly.Instance = function Instance(module: WebAssembly.Module, imports: WebAssembly.Imports) {
      return instantiate(module, imports);
    } as unknown as typeof WebAssembly.Instance;
    return () => {
      WebAssembly.Memory = RealMemory;
      WebAssembly.Instance = RealInstance;
    };
  }

  /** Requires: whoever took memories will not run any more. */
  reclaim(): void {
    for (const memory of this.#taken) {
      if (this.#free.length >= keptMax || memory.buffer.byteLength > keptBytesMax) continue;
      const core = this.#cores.get(memory);
      let end = core === undefined ? memory.buffer.byteLength : usedBytesLeast(core);
      clear(memory, 0, end);
      for (let untouched = 0; untouched < untouchedFrames; end += frameBytes)
        untouched = clear(memory, end, end + frameBytes) > 0 ? 0 : untouched + 1;
      // Now and then all of it is looked at: the rest is clean, or what the core says is misunderstood here.
      if (this.#cleared++ % 100 === 0 && clear(memory, end, memory.buffer.byteLength) > 0)
        throw new Error(`A core wrote beyond the ${end} bytes that it should have used`);
      this.#free.push(memory);
    }
    // The smallest is taken first.
    this.#free.sort((a, b) => a.buffer.byteLength - b.buffer.byteLength);
    this.#taken = [];
  }
}

interface ArenaExports {
  arena_frames_in_use(): number;
  arena_frames_free(): number;
}

const frameBytes = 256 * 1024;
/** Static data and stack, which are before the frames. */
const beforeFramesBytes = 2 * 1024 * 1024;
/** Frames in a row that nobody wrote to, after which there are none: those that were promised to a write are not counted, but begun. */
const untouchedFrames = 4;

/** Frames are used from the first on. */
function usedBytesLeast(core: ArenaExports): number {
  return beforeFramesBytes + (core.arena_frames_in_use() + core.arena_frames_free()) * frameBytes;
}

const zeros = Buffer.alloc(16 * 1024);

/** Most of a memory was never written: looking costs less than writing, and touches nothing. @returns pieces that were not clear */
function clear({ buffer }: WebAssembly.Memory, from: number, to: number): number {
  let written = 0;
  for (let at = from; at < Math.min(to, buffer.byteLength); at += zeros.length) {
    const piece = Buffer.from(buffer, at, zeros.length);
    if (piece.compare(zeros) === 0) continue;
    piece.fill(0);
    written++;
  }
  return written;
}
