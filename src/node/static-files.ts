/** The files of a static snapshot, from the blocks of a database that nobody writes to. */

import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { shibuDbError } from '../api/errors.ts';
import type { StorageBackend } from '../storage/backend.ts';
import { type CatalogEntry, decodeCatalog, emptyCatalog, encodeCatalog } from '../storage/catalog.ts';
import type { Checksum } from '../storage/envelope.ts';
import { decodeManifest, type ManifestBlock } from '../storage/manifest.ts';
import {
  encodeIndex,
  fileName,
  type Pack,
  rootName,
  type StaticSpace,
} from '../storage/static/index-file.ts';

const blocksPerRead = 16;
/** Of a vector space the segment of the originals, of a key-value space that of large values: a search begins without. */
const neededLater = { vector: 1, 'key-value': 7 } as const;
const ownName = /^(index|pack)-[0-9a-f]{16}\.bin$/;

export interface WrittenFiles {
  /** Name of the index file. */
  readonly index: string;
  readonly files: readonly string[];
  /** Bytes of all packs, and of the blocks that a space is opened with. */
  readonly bytes: number;
  readonly firstBytes: number;
}

/** Writes everything but the root. `onWritten` is told of bytes. @throws CORRUPTION, and what writing fails with */
export async function writeFiles(
  backend: StorageBackend,
  folder: string,
  packBytesMax: number,
  checksum: Checksum,
  onWritten: (done: number, total: number) => void,
): Promise<WrittenFiles> {
  const state = await backend.readState();
  const catalog = state.catalog ?? encodeCatalog(emptyCatalog, checksum);
  const packs = new PackWriter(folder, packBytesMax, checksum);
  const images = decodeCatalog(catalog, checksum).spaces.flatMap((entry) => {
    const manifest = state.manifests.get(entry.id);
    if (manifest === undefined) return [];
    return [
      { entry, manifest, blocks: [...decodeManifest(manifest, checksum, 'The manifest').blocks.values()] },
    ];
  });
  const bytes = images.reduce((sum, { blocks }) => sum + bytesOf(blocks), 0);
  const spaces: StaticSpace[] = [];
  let firstBytes = 0;
  let done = 0;
  for (const { entry, manifest, blocks } of images) {
    const first = blocks.filter((block) => !isNeededLater(entry, block));
    const later = blocks.filter((block) => isNeededLater(entry, block));
    firstBytes += bytesOf(first);
    for await (const { block, content } of contentsOf(backend, entry, [...first, ...later], checksum)) {
      await packs.add(block, content);
      done += content.length;
      onWritten(done, bytes);
    }
    await packs.end();
    spaces.push({
      space: entry.id,
      manifest,
      blocks: blocks.map((block) => ({ block, place: packs.placeOf(block) })),
    });
  }
  const index = encodeIndex({ catalog, packs: packs.written, spaces }, checksum);
  const indexName = fileName('index', checksum(index));
  await writeWhole(folder, indexName, index);
  const files = [...packs.written.map(({ hash }) => fileName('pack', hash)), indexName];
  return { index: indexName, files, bytes, firstBytes };
}

/** Files of other snapshots in the folder. */
export async function otherFiles(folder: string, files: readonly string[]): Promise<string[]> {
  return (await readdir(folder)).filter((name) => ownName.test(name) && !files.includes(name));
}

export async function removeFiles(folder: string, files: readonly string[]): Promise<void> {
  for (const name of files) await rm(path.join(folder, name), { force: true });
}

/** Makes the snapshot count: who reads the root from here on reads the new one. */
export async function writeRoot(folder: string, text: string): Promise<void> {
  await writeWhole(folder, rootName, text);
}

async function* contentsOf(
  backend: StorageBackend,
  entry: CatalogEntry,
  blocks: readonly ManifestBlock[],
  checksum: Checksum,
): AsyncGenerator<{ block: ManifestBlock; content: Uint8Array }, void, undefined> {
  for (let from = 0; from < blocks.length; from += blocksPerRead) {
    const batch = blocks.slice(from, from + blocksPerRead);
    for (const [i, content] of (await backend.readBlocks(entry.id, batch)).entries()) {
      const block = batch[i] as ManifestBlock;
      if (content === undefined || checksum(content) !== block.checksum)
        throw shibuDbError('CORRUPTION', `A block of space "${entry.name}" is not as it was written`);
      yield { block, content };
    }
  }
}

/** Puts blocks one after another into files of a bounded size, each named for what is in it. */
class PackWriter {
  readonly written: Pack[] = [];
  readonly #folder: string;
  readonly #bytesMax: number;
  readonly #checksum: Checksum;
  readonly #places: Map<ManifestBlock, { pack: Pack; offset: number }> = new Map();
  #waiting: { block: ManifestBlock; content: Uint8Array }[] = [];
  #bytes = 0;

  constructor(folder: string, bytesMax: number, checksum: Checksum) {
    this.#folder = folder;
    this.#bytesMax = bytesMax;
    this.#checksum = checksum;
  }

  async add(block: ManifestBlock, content: Uint8Array): Promise<void> {
    if (this.#bytes + content.length > this.#bytesMax) await this.end();
    this.#waiting.push({ block, content });
    this.#bytes += content.length;
  }

  /** Writes what waits: spaces share no pack, so that one that is as before gives the files it gave before. */
  async end(): Promise<void> {
    if (this.#waiting.length === 0) return;
    const file = new Uint8Array(this.#bytes);
    const offsets: number[] = [];
    let at = 0;
    for (const { content } of this.#waiting) {
      file.set(content, at);
      offsets.push(at);
      at += content.length;
    }
    const pack = { hash: this.#checksum(file), bytes: at };
    for (const [i, { block }] of this.#waiting.entries())
      this.#places.set(block, { pack, offset: offsets[i] as number });
    this.written.push(pack);
    this.#waiting = [];
    this.#bytes = 0;
    await writeWhole(this.#folder, fileName('pack', pack.hash), file);
  }

  /** Requires: it was added, and `end` called. */
  placeOf(block: ManifestBlock): { pack: Pack; offset: number } {
    return this.#places.get(block) as { pack: Pack; offset: number };
  }
}

function isNeededLater({ engine }: CatalogEntry, { block }: ManifestBlock): boolean {
  return block >>> 24 === neededLater[engine];
}

function bytesOf(blocks: readonly ManifestBlock[]): number {
  return blocks.reduce((sum, { usedBytes }) => sum + usedBytes, 0);
}

async function writeWhole(folder: string, name: string, content: Uint8Array | string): Promise<void> {
  const partial = path.join(folder, `.${name}.part`);
  await writeFile(partial, content);
  await rename(partial, path.join(folder, name));
}
