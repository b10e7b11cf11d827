/**
 * A part of a worker's script that is loaded when it is first needed: most pages never need most of them. Where all of the script is
 * one file (tools/build.mjs says where) a part is there at once, and loading one costs nothing.
 */

import { isShibuDbError, shibuDbError } from '../api/errors.ts';

export class Part<Module extends object> {
  readonly #from: () => Promise<Module> | URL;
  readonly #needs: readonly Part<object>[];
  #loading: Promise<Module> | undefined;
  #loaded: Module | undefined;
  #failures = 0;

  /**
   * `from`: a dynamic import; or, as the build makes of it where parts are files of their own, where that file is. `needs`: parts that have
   * something it uses.
   */
  constructor(from: () => Promise<Module> | URL, needs: readonly Part<object>[] = []) {
    this.#from = from;
    this.#needs = needs;
  }

  get isLoaded(): boolean {
    return this.#loaded !== undefined;
  }

  /** For calls that cannot wait. Requires: whoever comes here has loaded it, or is in it. */
  get loaded(): Module {
    if (this.#loaded === undefined) throw new Error('A part of the script is used before it was loaded');
    return this.#loaded;
  }

  /** What `make` makes of it: at once where it is loaded. @throws SCRIPT_UNAVAILABLE */
  use<Made>(make: (module: Module) => Made): Made | Promise<Awaited<Made>> {
    return this.#loaded === undefined
      ? (this.load().then(make) as Promise<Awaited<Made>>)
      : make(this.#loaded);
  }

  /** Whoever comes after a failure tries again. @throws SCRIPT_UNAVAILABLE */
  load(): Promise<Module> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  async #load(): Promise<Module> {
    let url: string | undefined;
    try {
      await Promise.all(this.#needs.map((part) => part.load()));
      const from = this.#from();
      if (from instanceof URL) url = from.href;
      this.#loaded = await (from instanceof URL ? importFile<Module>(addressOf(from, this.#failures)) : from);
      return this.#loaded;
    } catch (cause) {
      this.#loading = undefined;
      // Of what it needs.
      if (isShibuDbError(cause)) throw cause;
      this.#failures++;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw shibuDbError(
        'SCRIPT_UNAVAILABLE',
        `A part of the worker's script cannot be loaded${url === undefined ? '' : ` from ${url}`}: ${reason}`,
        { cause, details: { url } },
      );
    }
  }
}

/** A browser may keep that an address failed; of the same file under another one it knows nothing. */
function addressOf({ href }: URL, failures: number): string {
  return failures === 0 ? href : `${href}#${failures}`;
}

/** For bundlers this is none of their imports: the file was carried along as it is. */
function importFile<Module>(address: string): Promise<Module> {
  return import(/* @vite-ignore */ /* webpackIgnore: true */ address);
}
