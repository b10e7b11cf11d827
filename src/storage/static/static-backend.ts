/**
 * The backend over a static snapshot (index-file.ts): read-only, each block fetched when it is asked for, checked against its
 * checksum before anybody sees it, and kept (kept-files.ts). Blocks that lie beside one another come in one request.
 */

import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import type { BlockName, LogEntry, StorageBackend, StorageEstimate, StoredState } from '../backend.ts';
import type { Checksum } from '../envelope.ts';
import type { ManifestBlock } from '../manifest.ts';
import { type Fetch, HostFiles } from './host-files.ts';
import {
  decodeIndex,
  fileName,
  type Place,
  rootFormat,
  rootName,
  rootVersion,
  type StaticIndex,
  type StaticRoot,
} from './index-file.ts';
import { KeptFiles, keptBlockName, type RunOn } from './kept-files.ts';

/** One request brings at most so much: a broken one costs no more, and the next can be checked while it comes. */
const requestBytesMax = 4 * 1024 * 1024;

export interface StaticOptions {
  /** Default: the runtime's `fetch`. */
  readonly fetch?: Fetch | undefined;
  /** Whether to keep what was fetched. Default true, where there is a Cache API. */
  readonly cache?: boolean | undefined;
  readonly runOn?: RunOn | undefined;
}

interface Piece {
  readonly at: number;
  readonly block: ManifestBlock;
  readonly place: Place;
}

export class StaticBackend implements StorageBackend {
  readonly kind = 'static';
  readonly lazy = true;
  readonly readOnly: string;
  readonly #files: HostFiles;
  readonly #kept: KeptFiles | undefined;
  readonly #checksum: Checksum;
  readonly #index: StaticIndex;
  readonly #places: ReadonlyMap<number, ReadonlyMap<number, Omit<Piece, 'at'>>>;
  #closed = false;

  private constructor(
    folder: URL,
    files: HostFiles,
    kept: KeptFiles | undefined,
    checksum: Checksum,
    index: StaticIndex,
  ) {
    this.readOnly = `The database at ${folder} is a static snapshot: it can be read, and nothing in it changed`;
    this.#files = files;
    this.#kept = kept;
    this.#checksum = checksum;
    this.#index = index;
    this.#places = new Map(
      index.spaces.map(({ space, blocks }) => [space, new Map(blocks.map((one) => [one.block.block, one]))]),
    );
  }

  /**
   * @param from the folder's address, or that of the root file in it
   * @throws STORAGE_UNAVAILABLE when there is no snapshot or no way to it, CORRUPTION, VERSION_MISMATCH
   */
  static async open(from: string, checksum: Checksum, options: StaticOptions = {}): Promise<StaticBackend> {
    const folder = folderOf(from);
    const fetch: Fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init));
    const files = new HostFiles(folder, fetch);
    const kept = options.cache === false ? undefined : await KeptFiles.open(folder, options.runOn);
    const root = await readRoot(files, kept);
    const index = await readIndex(files, kept, root, checksum);
    const backend = new StaticBackend(folder, files, kept, checksum, index);
    backend.#forgetOthers(root);
    return backend;
  }

  /** Bytes that came over the network since it was opened, root and index included. */
  get receivedBytes(): number {
    return this.#files.receivedBytes;
  }

  async readState(): Promise<StoredState> {
    this.#assertOpen();
    const { catalog, spaces } = this.#index;
    return { catalog, manifests: new Map(spaces.map(({ space, manifest }) => [space, manifest])) };
  }

  async readBlocks(space: number, names: readonly BlockName[]): Promise<(Uint8Array | undefined)[]> {
    this.#assertOpen();
    const found: (Uint8Array | undefined)[] = new Array(names.length).fill(undefined);
    const missing: Piece[] = [];
    await Promise.all(
      names.map(async ({ block, generation }, at) => {
        const known = this.#places.get(space)?.get(block);
        if (known === undefined || known.block.generation !== generation) return;
        found[at] = await this.#fromKept(known.block);
        if (found[at] === undefined) missing.push({ at, ...known });
      }),
    );
    await Promise.all(
      requestsFor(missing).map(async (pieces) => {
        for (const [at, bytes] of await this.#fetch(pieces)) found[at] = bytes;
      }),
    );
    return found;
  }

  async #fromKept(block: ManifestBlock): Promise<Uint8Array | undefined> {
    const bytes = await this.#kept?.get(keptBlockName(block));
    if (bytes === undefined) return undefined;
    if (this.#isRight(block, bytes)) return bytes;
    this.#kept?.drop(keptBlockName(block));
    return undefined;
  }

  /** @throws CORRUPTION when the host has other bytes, also when asked past every cache */
  async #fetch(pieces: readonly Piece[], isAnew = false): Promise<(readonly [number, Uint8Array])[]> {
    const [first, last] = [pieces[0] as Piece, pieces.at(-1) as Piece];
    const { pack, offset } = first.place;
    const bytes = last.place.offset + last.block.usedBytes - offset;
    const name = fileName('pack', pack.hash);
    let body: Uint8Array;
    try {
      body = await this.#files.range(name, { offset, bytes }, pack.bytes, isAnew);
    } catch (error) {
      if (isAnew || !isShibuDbError(error) || error.code !== 'CORRUPTION') throw error;
      return this.#fetch(pieces, true);
    }
    const blocks = pieces.map(({ at, block, place }) => {
      const from = place.offset - offset;
      return { at, block, bytes: body.subarray(from, from + block.usedBytes) };
    });
    const wrong = blocks.find((one) => !this.#isRight(one.block, one.bytes));
    if (wrong !== undefined && !isAnew) return this.#fetch(pieces, true);
    if (wrong !== undefined) {
      const { block } = wrong.block;
      const url = this.#files.urlOf(name);
      throw shibuDbError(
        'CORRUPTION',
        `${url} is not the file that the index names: block ${block >>> 24}/${block & 0xffffff} does not match its checksum`,
        { details: { url } },
      );
    }
    for (const one of blocks) this.#kept?.put(keptBlockName(one.block), one.bytes);
    return blocks.map((one) => [one.at, one.bytes] as const);
  }

  #isRight(block: ManifestBlock, bytes: Uint8Array): boolean {
    return bytes.length === block.usedBytes && this.#checksum(bytes) === block.checksum;
  }

  #forgetOthers({ index }: StaticRoot): void {
    const names = new Set([rootName, index]);
    for (const { blocks } of this.#index.spaces)
      for (const { block } of blocks) names.add(keptBlockName(block));
    this.#kept?.keepOnly(names);
  }

  async readLog(): Promise<LogEntry[]> {
    return [];
  }

  async listBlocks(space: number): Promise<BlockName[]> {
    return [...(this.#places.get(space)?.values() ?? [])].map(({ block }) => block);
  }

  append(): Promise<void> {
    return this.#refuse();
  }

  flush(): Promise<void> {
    return this.#refuse();
  }

  writeBlocks(): Promise<void> {
    return this.#refuse();
  }

  publish(): Promise<void> {
    return this.#refuse();
  }

  drop(): Promise<void> {
    return this.#refuse();
  }

  writeCatalog(): Promise<void> {
    return this.#refuse();
  }

  async #refuse(): Promise<never> {
    throw shibuDbError('READ_ONLY', this.readOnly);
  }

  async estimate(): Promise<StorageEstimate> {
    return {};
  }

  close(): void {
    this.#closed = true;
    this.#files.close();
  }

  #assertOpen(): void {
    if (this.#closed) throw shibuDbError('CLOSED', 'The storage is closed');
  }
}

function folderOf(from: string): URL {
  const url = new URL(from);
  url.search = url.hash = '';
  if (url.pathname.endsWith(`/${rootName}`)) return new URL('.', url);
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

/** The root as it is now; without a network, as it was. */
async function readRoot(files: HostFiles, kept: KeptFiles | undefined): Promise<StaticRoot> {
  let bytes: Uint8Array;
  try {
    // Any other cache would hold a new snapshot back.
    bytes = await files.whole(rootName, 'no-cache');
  } catch (error) {
    const known = await kept?.get(rootName);
    if (known === undefined) throw error;
    return parseRoot(known, files);
  }
  const root = parseRoot(bytes, files);
  kept?.put(rootName, bytes);
  return root;
}

/** @throws CORRUPTION, VERSION_MISMATCH */
function parseRoot(bytes: Uint8Array, files: HostFiles): StaticRoot {
  const url = files.urlOf(rootName);
  let root: Partial<StaticRoot> | undefined;
  try {
    root = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Partial<StaticRoot>;
  } catch {
    // Said below: many hosts answer with a page of their own where there is no file.
  }
  if (root?.format !== rootFormat || !/^index-[0-9a-f]{16}\.bin$/.test(root.index ?? ''))
    throw shibuDbError('CORRUPTION', `${url} is not the root of a static snapshot`, { details: { url } });
  if (root.version !== rootVersion) {
    throw shibuDbError(
      'VERSION_MISMATCH',
      `${url} has version ${root.version}, this build reads ${rootVersion}`,
    );
  }
  return root as StaticRoot;
}

async function readIndex(
  files: HostFiles,
  kept: KeptFiles | undefined,
  { index: name }: StaticRoot,
  checksum: Checksum,
): Promise<StaticIndex> {
  const what = files.urlOf(name);
  const read = (bytes: Uint8Array): StaticIndex => {
    if (fileName('index', checksum(bytes)) !== name)
      throw shibuDbError('CORRUPTION', `${what} is not the file it is named for`, { details: { url: what } });
    return decodeIndex(bytes, checksum, what);
  };
  const known = await kept?.get(name);
  if (known !== undefined) {
    try {
      return read(known);
    } catch {
      kept?.drop(name);
    }
  }
  let bytes = await files.whole(name);
  if (fileName('index', checksum(bytes)) !== name) bytes = await files.whole(name, 'reload');
  const index = read(bytes);
  kept?.put(name, bytes);
  return index;
}

/** Blocks in the order in which they lie, those that touch one another together. */
function requestsFor(pieces: readonly Piece[]): Piece[][] {
  const sorted = [...pieces].sort((a, b) =>
    a.place.pack === b.place.pack
      ? a.place.offset - b.place.offset
      : a.place.pack.hash < b.place.pack.hash
        ? -1
        : 1,
  );
  const requests: Piece[][] = [];
  for (const piece of sorted) {
    const request = requests.at(-1);
    const before = request?.at(-1);
    const touches =
      before !== undefined &&
      before.place.pack === piece.place.pack &&
      before.place.offset + before.block.usedBytes === piece.place.offset;
    const start = request?.[0]?.place.offset ?? 0;
    if (touches && piece.place.offset + piece.block.usedBytes - start <= requestBytesMax)
      request?.push(piece);
    else requests.push([piece]);
  }
  return requests;
}
