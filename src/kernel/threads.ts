/**
 * Several threads in one memory: the border to a core that was built with threads (wasm/exports_threads.cc). One instance, the
 * engine's, puts data into a shared memory; each helper makes another over the same memory, with a stack of its own.
 */

import { shibuDbError } from '../api/errors.ts';
import { allocateMemory, type CoreExports, CoreInstance } from './instance.ts';
import type { BuildName } from './module.ts';

/** Where a helper works. */
export interface HelperPlace {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  /** The address of its stack and thread-local memory. */
  readonly area: number;
}

export interface ThreadExports extends CoreExports {
  readonly __stack_pointer: WebAssembly.Global<'i32'>;
  readonly __tls_size: WebAssembly.Global<'i32'>;
  __wasm_init_tls(address: number): void;
  thread_area(bytes: number): number;
  links_begin(threads: number): number;
  links_done(): number;
  links_join(thread: number): number;
  links_work(thread: number, most: number): number;
  links_check(): number;
}

/** Linking keeps its candidates there: 100 KiB at the largest M and efConstruction. */
const stackBytes = 512 * 1024;

/** An instance over a memory that others work in. */
export class SharedCore extends CoreInstance {
  readonly #module: WebAssembly.Module;

  private constructor(
    { module, memory }: Pick<HelperPlace, 'module' | 'memory'>,
    build: BuildName,
    ready?: (exports: ThreadExports) => void,
  ) {
    super({ build, module }, undefined, memory, (exports) => ready?.(exports as ThreadExports));
    this.#module = module;
  }

  /** The engine's instance, over a new memory. @throws OUT_OF_MEMORY */
  static begin(module: WebAssembly.Module, build: BuildName): SharedCore {
    return new SharedCore({ module, memory: allocateMemory(true) }, build);
  }

  /** A helper's: makes the worker that calls it a thread there. */
  static join(place: HelperPlace, build: BuildName): SharedCore {
    return new SharedCore(place, build, (exports) => {
      // The stack grows down from where the thread-local memory begins.
      const local = (place.area + stackBytes + 15) & ~15;
      exports.__stack_pointer.value = local;
      exports.__wasm_init_tls(local);
    });
  }

  get threads(): ThreadExports {
    return this.exports as ThreadExports;
  }

  override scratch(bytes: number): number {
    const address = super.scratch(bytes);
    // Another thread may have grown the memory: this one's view of it is as old as its last look.
    this.memory.grow(0);
    return address;
  }

  /** @throws OUT_OF_MEMORY */
  place(thread: number): HelperPlace {
    const area = this.area(stackBytes + this.threads.__tls_size.value + 16);
    return { module: this.#module, memory: this.memory, thread, area };
  }

  /** Zeroed memory that all threads may use. @throws OUT_OF_MEMORY */
  area(bytes: number): number {
    const address = this.threads.thread_area(bytes) >>> 0;
    if (address === 0) throw shibuDbError('OUT_OF_MEMORY', 'No memory is left for another thread');
    return address;
  }

  /** A number that all threads may count up. */
  counter(address: number): Int32Array {
    return new Int32Array(this.memory.buffer, address, 1);
  }
}
