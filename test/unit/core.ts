/** A core instance without a browser, for unit tests. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { CoreInstance } from '../../src/kernel/instance.ts';
import type { BuildName } from '../../src/kernel/module.ts';

const folder: string = path.resolve(import.meta.dirname, '../../build/wasm');

export function loadCore(build: BuildName = 'simd128'): { build: BuildName; module: WebAssembly.Module } {
  return { build, module: new WebAssembly.Module(readFileSync(path.join(folder, `shibumi-${build}.wasm`))) };
}

export function makeInstance(build: BuildName = 'simd128', framesMax = 1000): CoreInstance {
  const instance = new CoreInstance(loadCore(build));
  instance.exports.arena_init(framesMax);
  return instance;
}
