// Runs the benchmarks with what they need in place: `npm run bench -- <suite> [--quick] [--out FILE]`.

import { buildWasm } from './build-wasm.mjs';

await buildWasm();
await import(new URL('../test/bench/run.ts', import.meta.url).href);
