/// <reference path="../../src/edge/cloudflare-workers.d.ts" />

// A WASM file that workerd compiles and hands to the script.
declare module '*.wasm' {
  const module: WebAssembly.Module;
  export default module;
}
