/** Where the builds of the core are, in a form that bundlers recognise and carry along. */

import type { BuildName } from './kernel/module.ts';

/** The builds with threads, which only pages that can have threads fetch, and not before they need them. */
export function threadedWasmFile(build: BuildName): URL {
  return build === 'relaxed'
    ? new URL('../build/wasm/shibumi-relaxed-threads.wasm', import.meta.url)
    : new URL('../build/wasm/shibumi-simd128-threads.wasm', import.meta.url);
}

export function wasmFile(build: BuildName): URL {
  return build === 'relaxed'
    ? new URL('../build/wasm/shibumi-relaxed.wasm', import.meta.url)
    : new URL('../build/wasm/shibumi-simd128.wasm', import.meta.url);
}
