/**
 * Files of a static host, whole or by ranges. Hosts differ: one answers a range with 206 and just that, another ignores it
 * and answers 200 with the whole file; a deployment replaces files under a reader, a network fails in the middle. What comes
 * back is only ever the right number of bytes; whether they are the right bytes is checked above, by checksum.
 *
 * What fails for the moment (no answer, a body that breaks off, 429, 5xx) is tried again, what is certain (404, a shorter
 * file) is not.
 */

import { isShibuDbError, shibuDbError } from '../../api/errors.ts';

const waitsMs = [200, 800] as const;
/** Of a host that ignores ranges, files kept because the next range is likely to be of the same one. */
const wholeFilesMax = 1;

export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

export interface Range {
  readonly offset: number;
  readonly bytes: number;
}

export class HostFiles {
  readonly #folder: URL;
  readonly #fetch: Fetch;
  /** One for each request: in Workers what belongs to one event cannot be used in another. */
  readonly #underWay: Set<AbortController> = new Set();
  #isClosed = false;
  /** Of a host that ignores ranges: its latest files, by name, so that not every range is another download. */
  readonly #whole: Map<string, Promise<Uint8Array>> = new Map();
  #ignoresRanges = false;
  #received = 0;

  constructor(folder: URL, fetch: Fetch) {
    this.#folder = folder;
    this.#fetch = fetch;
  }

  /** Bytes of files that came over the network. */
  get receivedBytes(): number {
    return this.#received;
  }

  urlOf(name: string): string {
    return new URL(name, this.#folder).href;
  }

  /** A whole file. @throws STORAGE_UNAVAILABLE, CLOSED */
  async whole(name: string, cache: RequestCache = 'default'): Promise<Uint8Array> {
    const { bytes } = await this.#get(name, pastCaches(cache));
    return bytes;
  }

  /** Part of a file which has `fileBytes` bytes. @throws STORAGE_UNAVAILABLE, CORRUPTION for another file, CLOSED */
  async range(name: string, range: Range, fileBytes: number, isAnew = false): Promise<Uint8Array> {
    const { offset, bytes: count } = range;
    if (this.#ignoresRanges && !isAnew) return part(await this.#wholeOf(name, fileBytes), range);
    // A cache that keeps a wrong answer would give it for ever.
    const cache = isAnew ? 'reload' : 'default';
    const headers = { range: `bytes=${offset}-${offset + count - 1}` };
    const { bytes, status } = await this.#get(name, { ...pastCaches(cache), headers });
    if (status === 206) {
      if (bytes.length !== count) throw this.#otherFile(name, `${bytes.length} bytes of a range`, count);
      return bytes;
    }
    this.#ignoresRanges = true;
    if (bytes.length !== fileBytes) throw this.#otherFile(name, `${bytes.length} bytes`, fileBytes);
    this.#keep(name, Promise.resolve(bytes));
    return part(bytes, range);
  }

  /** Ends what is under way, and everything to come. */
  close(): void {
    this.#isClosed = true;
    for (const request of this.#underWay) request.abort();
    this.#whole.clear();
  }

  #wholeOf(name: string, fileBytes: number): Promise<Uint8Array> {
    const known = this.#whole.get(name);
    if (known !== undefined) return known;
    const loading = this.whole(name).then((bytes) => {
      if (bytes.length !== fileBytes) throw this.#otherFile(name, `${bytes.length} bytes`, fileBytes);
      return bytes;
    });
    loading.catch(() => this.#whole.delete(name));
    this.#keep(name, loading);
    return loading;
  }

  #keep(name: string, file: Promise<Uint8Array>): void {
    this.#whole.delete(name);
    for (const oldest of this.#whole.keys()) {
      if (this.#whole.size < wholeFilesMax) break;
      this.#whole.delete(oldest);
    }
    this.#whole.set(name, file);
  }

  async #get(name: string, init: RequestInit): Promise<{ bytes: Uint8Array; status: number }> {
    for (let attempt = 0; ; attempt++) {
      const waitMs = waitsMs[attempt];
      try {
        return await this.#once(name, init);
      } catch (error) {
        if (this.#isClosed) throw shibuDbError('CLOSED', 'The storage is closed');
        if (isShibuDbError(error)) throw error;
        if (waitMs === undefined) throw this.#unavailable(name, reasonOf(error), error);
      }
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  async #once(name: string, init: RequestInit): Promise<{ bytes: Uint8Array; status: number }> {
    if (this.#isClosed) throw shibuDbError('CLOSED', 'The storage is closed');
    const request = new AbortController();
    this.#underWay.add(request);
    let status: number;
    try {
      const response = await this.#fetch(this.urlOf(name), { ...init, signal: request.signal });
      status = response.status;
      if (status === 200 || status === 206) {
        const bytes = new Uint8Array(await response.arrayBuffer());
        this.#received += bytes.length;
        return { bytes, status };
      }
      response.body?.cancel().catch(() => {});
    } finally {
      this.#underWay.delete(request);
    }
    if (status === 416) throw this.#otherFile(name, 'a shorter file', 'the one that the index names');
    if (status === 429 || status >= 500) throw new Error(`got HTTP ${status}`);
    throw this.#unavailable(name, `got HTTP ${status}`, undefined);
  }

  #unavailable(name: string, reason: string, cause: unknown): Error {
    const url = this.urlOf(name);
    return shibuDbError('STORAGE_UNAVAILABLE', `${url} cannot be read: ${reason}`, {
      cause,
      details: { url },
    });
  }

  #otherFile(name: string, found: string, expected: string | number): Error {
    const url = this.urlOf(name);
    return shibuDbError(
      'CORRUPTION',
      `${url} is not the file that the index names: got ${found}, expected ${expected}`,
      { details: { url } },
    );
  }
}

/** Workers refuse modes they do not know, and have no cache of their own to get past. */
function pastCaches(cache: RequestCache): RequestInit {
  if (cache === 'default') return {};
  try {
    new Request('https://shibumi.invalid/', { cache });
    return { cache };
  } catch {
    return {};
  }
}

function part(file: Uint8Array, { offset, bytes }: Range): Uint8Array {
  return file.subarray(offset, offset + bytes);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  // Node and Bun say "fetch failed" and keep what happened in the cause.
  return cause instanceof Error && cause.message !== ''
    ? `${error.message}: ${cause.message}`
    : error.message;
}
