/**
 * XXH64 of bytes outside any space, computed by an instance of the core that holds none. There is one for each compiled core:
 * an instance has 2 MiB at least, much where all databases of an isolate share 128 MB.
 */

import { xxh64 } from '../base/xxh64.ts';
import { CoreInstance } from './instance.ts';
import type { MemoryBudget } from './memory-budget.ts';
import type { Core, Cores } from './module.ts';

const tools: WeakMap<WebAssembly.Module, CoreInstance> = new WeakMap();

/** `memory`: what the instance is counted in, for as long as the core is there. @throws OUT_OF_MEMORY */
export function checksumOf({ build, module }: Core, memory?: MemoryBudget): (bytes: Uint8Array) => bigint {
  let tool = tools.get(module);
  if (tool === undefined) {
    tool = new CoreInstance({ build, module }, memory);
    tool.exports.arena_init(4096);
    tools.set(module, tool);
  }
  const instance = tool;
  return (bytes) => instance.checksum(bytes);
}

/**
 * The same by whichever core is loaded. Before one is, in JavaScript, which is slow: all there is to check then is the catalog.
 */
export function checksumBy(cores: Cores, memory?: MemoryBudget): (bytes: Uint8Array) => bigint {
  let quick: ((bytes: Uint8Array) => bigint) | undefined;
  return (bytes) => {
    if (quick === undefined && cores.loaded !== undefined) quick = checksumOf(cores.loaded, memory);
    return (quick ?? xxh64)(bytes);
  };
}
