/** A core instance without a browser, for unit tests. */

import { CoreInstance } from '../../src/kernel/instance.ts';
import type { BuildName } from '../../src/kernel/module.ts';
import { nodeCore, nodeKernels } from '../support/node-database.ts';

export function makeInstance(build: BuildName = 'simd128', framesMax = 1000): CoreInstance {
  const instance = new CoreInstance(nodeCore(build));
  instance.exports.arena_init(framesMax);
  return instance;
}

/** One that exports the kernels by themselves. */
export function makeKernelInstance(build: BuildName): CoreInstance {
  const instance = new CoreInstance(nodeKernels(build));
  instance.exports.arena_init(1000);
  return instance;
}
