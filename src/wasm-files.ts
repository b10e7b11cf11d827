/** Where the builds of the core are, in a form that bundlers recognise and carry along. */

import type { BuildName, CoreKind } from './kernel/module.ts';

/** The builds with threads, which only pages that can have threads fetch, and not before they need them. */
export function threadedWasmFile(build: BuildName): URL {
  return build === 'relaxed'
    ? new URL('../build/wasm/shibumi-relaxed-threads.wasm', import.meta.url)
    : new URL('../build/wasm/shibumi-simd128-threads.wasm', import.meta.url);
}

export function wasmFile(build: BuildName, kind: CoreKind = 'whole'): URL {
  const relaxed = build === 'relaxed';
  if (kind === 'key-value')
    return relaxed
      ? new URL('../build/wasm/shibumi-relaxed-key-value.wasm', import.meta.url)
      : new URL('../build/wasm/shibumi-simd128-key-value.wasm', import.meta.url);
  if (kind === 'vector')
    return relaxed
      ? new URL('../build/wasm/shibumi-relaxed-vector.wasm', import.meta.url)
      : new URL('../build/wasm/shibumi-simd128-vector.wasm', import.meta.url);
  return relaxed
    ? new URL('../build/wasm/shibumi-relaxed.wasm', import.meta.url)
    : new URL('../build/wasm/shibumi-simd128.wasm', import.meta.url);
}
