/**
 * A part of a worker's script that is loaded when it is first needed: most pages never need most of them. Where all of the script is
 * one file (tools/build.mjs says where) a part is there at once, and loading one costs nothing.
 */

import { shibuDbError } from '../api/errors.ts';

export class Part<Module extends object> {
  readonly #from: () => Promise<Module> | URL;
  #loading: Promise<Module> | undefined;
  #loaded: Module | undefined;
  #failures = 0;

  /** `from`: a dynamic import; or, as the build makes of it where parts are files of their own, where that file is. */
  constructor(from: () => Promise<Module> | URL) {
    this.#from = from;
  }

  /** Once it has been loaded: for calls that cannot wait. */
  get loaded(): Module | undefined {
    return this.#loaded;
  }

  /** Whoever comes after a failure tries again. @throws SCRIPT_UNAVAILABLE */
  load(): Promise<Module> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  async #load(): Promise<Module> {
    const from = this.#from();
    try {
      this.#loaded = await (from instanceof URL ? importFile<Module>(addressOf(from, this.#failures)) : from);
      return this.#loaded;
    } catch (cause) {
      this.#failures++;
      this.#loading = undefined;
      const url = from instanceof URL ? from.href : undefined;
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
