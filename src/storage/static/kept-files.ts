/**
 * What was fetched of static snapshots, kept in the platform's Cache API (browsers on secure origins, Workers, Deno): blocks
 * by their checksum, so that a new snapshot finds what did not change; the root and index by name, so that everything that
 * was read once is read again without a network. Keeping is a favour: where it fails, the next reader fetches.
 */

import type { ManifestBlock } from '../manifest.ts';

/** What is used of the Cache API; of Workers' types there are none here. */
interface PlatformCaches {
  open(name: string): Promise<PlatformCache>;
}
interface PlatformCache {
  match(url: string): Promise<Response | undefined>;
  put(url: string, response: Response): Promise<void>;
  /** Not in Workers, whose caches forget by themselves. */
  keys?(): Promise<readonly Request[]>;
  delete(url: string): Promise<boolean>;
}

const cacheName = 'shibumi-static';
/** For Workers, which keep nothing without it. */
const headers = { 'cache-control': 'public, max-age=31536000, immutable' };

/** Told of work that nobody waits for, in runtimes that end what an event leaves behind. */
export type RunOn = (work: Promise<unknown>) => void;

/** Cache keys are addresses: below the snapshot's own, in a folder that no snapshot has. */
export class KeptFiles {
  readonly #cache: PlatformCache;
  readonly #prefix: string;
  #isFull = false;
  readonly #writing: Set<Promise<void>> = new Set();

  readonly #runOn: RunOn | undefined;

  private constructor(cache: PlatformCache, folder: URL, runOn: RunOn | undefined) {
    this.#cache = cache;
    this.#runOn = runOn;
    this.#prefix = new URL('.shibumi-kept/', folder).href;
  }

  /** `undefined` where there is no Cache API, or it cannot be used (an insecure origin, private browsing). */
  static async open(folder: URL, runOn?: RunOn): Promise<KeptFiles | undefined> {
    try {
      const { caches } = globalThis as { caches?: PlatformCaches };
      return caches === undefined ? undefined : new KeptFiles(await caches.open(cacheName), folder, runOn);
    } catch {
      return undefined;
    }
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    try {
      const response = await this.#cache.match(this.#prefix + name);
      return response === undefined ? undefined : new Uint8Array(await response.arrayBuffer());
    } catch {
      return undefined;
    }
  }

  /** Nobody waits for it but `settled`. */
  put(name: string, bytes: Uint8Array): void {
    if (this.#isFull) return;
    // A body is read later, and what is given may be part of something larger.
    const response = new Response(bytes.slice(), { headers });
    const work = this.#cache.put(this.#prefix + name, response).catch(() => {
      this.#isFull = true;
    });
    this.#runOn?.(work);
    this.#writing.add(work);
    work.then(() => this.#writing.delete(work));
  }

  drop(name: string): void {
    this.#cache.delete(this.#prefix + name).catch(() => {});
  }

  /** Forgets what `names` does not have: left by snapshots before. */
  async keepOnly(names: ReadonlySet<string>): Promise<void> {
    try {
      for (const { url } of (await this.#cache.keys?.()) ?? [])
        if (url.startsWith(this.#prefix) && !names.has(url.slice(this.#prefix.length)))
          await this.#cache.delete(url);
    } catch {
      // They take room, and the browser forgets them with the rest.
    }
  }

  /** Resolves when everything is kept that was to be. */
  async settled(): Promise<void> {
    await Promise.all(this.#writing);
  }
}

export function keptBlockName({ checksum, usedBytes }: ManifestBlock): string {
  return `block-${checksum.toString(16).padStart(16, '0')}-${usedBytes}`;
}
