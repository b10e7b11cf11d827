/**
 * Choosing and compiling the core's WASM build. A build is named for what it needs; the choice is made here and nowhere
 * else, by asking the engine itself whether it accepts an instruction, never by user agent.
 */

import { shibuDbError } from '../api/errors.ts';
import { invalid } from '../base/arguments.ts';

export type BuildName = 'simd128' | 'relaxed';

/** A module that uses `i32x4.relaxed_dot_i8x16_i7x16_add_s`, written out by hand: (func (drop (…))). */
const relaxedProbe = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 20, 1, 18, 0, 65, 0, 253, 15, 65, 0, 253,
  15, 65, 0, 253, 15, 253, 147, 2, 26, 11,
]);

/** A module that uses `i8x16.splat`. */
const simdProbe = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26, 11,
]);

/** The fastest build this runtime can run; `undefined` where there is no WASM SIMD at all. */
export function supportedBuild(): BuildName | undefined {
  if (WebAssembly.validate(relaxedProbe)) return 'relaxed';
  return WebAssembly.validate(simdProbe) ? 'simd128' : undefined;
}

/** A compiled core and which build it is. */
export interface Core {
  readonly build: BuildName;
  readonly module: WebAssembly.Module;
  /** What it serves. Default `whole`. */
  readonly kind?: CoreKind;
}

/**
 * What a core serves (wasm/core/parts.h): `whole` every space, the others those of one engine; `vector` only what most spaces
 * are made as.
 */
export type CoreKind = 'key-value' | 'vector' | 'whole';

/** Where an engine has its cores from. */
export interface Cores {
  readonly build: BuildName;
  /** One that serves spaces of that kind. @throws WASM_UNAVAILABLE */
  load(kind: CoreKind): Promise<Core>;
  /** One that is there already, of whatever kind. */
  readonly loaded: Core | undefined;
}

/** One core for everything, where there is no point in loading less, or the caller named it. Requires: it is a whole one. */
export function oneCore(core: Core): Cores {
  return { build: core.build, loaded: core, load: async () => core };
}

/** Cores that are loaded when a space needs them, once each. */
export class LazyCores implements Cores {
  readonly build: BuildName;
  readonly #compile: (kind: CoreKind) => Promise<Core>;
  readonly #loading: Map<CoreKind, Promise<Core>> = new Map();
  #loaded: Core | undefined;

  constructor(build: BuildName, compile: (kind: CoreKind) => Promise<Core>) {
    this.build = build;
    this.#compile = compile;
  }

  get loaded(): Core | undefined {
    return this.#loaded;
  }

  load(kind: CoreKind): Promise<Core> {
    // The whole one serves what another would be fetched for.
    const known = this.#loading.get('whole') ?? this.#loading.get(kind);
    if (known !== undefined) return known;
    const loading = this.#compile(kind);
    this.#loading.set(kind, loading);
    loading.then(
      (core) => {
        this.#loaded ??= core;
      },
      // The next one who needs it tries again.
      () => this.#loading.delete(kind),
    );
    return loading;
  }
}

/** @throws INVALID_ARGUMENT for a module that is not the whole core: it is to serve every space */
export function checkWhole(module: WebAssembly.Module): void {
  const names = new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
  if (names.has('salvage_begin')) return;
  throw invalid(
    `Got a WebAssembly module without ${names.has('abi_version') ? 'all of the core' : 'the core'} for wasm, expected shibumi-simd128.wasm or shibumi-relaxed.wasm`,
  );
}

/** Which build a compiled core is. */
export function buildOf(module: WebAssembly.Module): BuildName {
  const relaxed = WebAssembly.Module.exports(module).some(({ name }) => name === 'build_relaxed');
  return relaxed ? 'relaxed' : 'simd128';
}

/**
 * Compiles while it downloads; falls back to the whole bytes where a server sends another MIME type.
 *
 * @throws WASM_UNAVAILABLE when there is no core at that address
 */
export async function compileCore(build: BuildName, url: URL | string): Promise<Core> {
  try {
    return await fetchCore(build, url);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw shibuDbError('WASM_UNAVAILABLE', `The WASM core cannot be loaded from ${url}: ${reason}`, {
      cause,
      details: { url: String(url) },
    });
  }
}

async function fetchCore(build: BuildName, url: URL | string): Promise<Core> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`got HTTP ${response.status}`);
  if (response.headers.get('content-type') === 'application/wasm') {
    return { build, module: await WebAssembly.compileStreaming(response) };
  }
  return { build, module: await WebAssembly.compile(await response.arrayBuffer()) };
}
