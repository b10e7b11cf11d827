/** A backend in plain memory: for tests, for measuring the engine without a disk, and where there is no IndexedDB. */

import { shibuDbError } from '../api/errors.ts';
import { Slab } from '../base/slab.ts';
import type {
  BlockName,
  LogEntry,
  StorageBackend,
  StorageEstimate,
  StoredBlock,
  StoredState,
} from './backend.ts';

interface StoredSpace {
  manifest: Uint8Array | undefined;
  manifestCopy: Uint8Array | undefined;
  blocks: Map<string, { name: BlockName; bytes: Uint8Array }>;
  log: LogEntry[];
}

/** What several backends opened one after another share: a "disk". */
export class MemoryDisk {
  catalog: Uint8Array | undefined;
  catalogCopy: Uint8Array | undefined;
  readonly spaces: Map<number, StoredSpace> = new Map();

  space(id: number): StoredSpace {
    let space = this.spaces.get(id);
    if (space === undefined) {
      space = { manifest: undefined, manifestCopy: undefined, blocks: new Map(), log: [] };
      this.spaces.set(id, space);
    }
    return space;
  }
}

const keyOf = (name: BlockName): string => `${name.block}/${name.generation}`;

export class MemoryBackend implements StorageBackend {
  readonly kind = 'memory';
  readonly #disk: MemoryDisk;
  readonly #records: Slab = new Slab();
  #closed = false;

  constructor(disk: MemoryDisk = new MemoryDisk()) {
    this.#disk = disk;
  }

  async readState(): Promise<StoredState> {
    const disk = this.#open();
    const manifests = new Map<number, Uint8Array>();
    const manifestCopies = new Map<number, Uint8Array>();
    for (const [id, { manifest, manifestCopy }] of disk.spaces) {
      if (manifest !== undefined) manifests.set(id, manifest);
      if (manifestCopy !== undefined) manifestCopies.set(id, manifestCopy);
    }
    return { catalog: disk.catalog, manifests, catalogCopy: disk.catalogCopy, manifestCopies };
  }

  async readBlocks(space: number, names: readonly BlockName[]): Promise<(Uint8Array | undefined)[]> {
    const { blocks } = this.#open().space(space);
    return names.map((name) => blocks.get(keyOf(name))?.bytes);
  }

  async readLog(space: number, sequence: number): Promise<LogEntry[]> {
    return this.#open()
      .space(space)
      .log.filter((entry) => entry.sequence >= sequence);
  }

  async listBlocks(space: number): Promise<BlockName[]> {
    return [...this.#open().space(space).blocks.values()].map(({ name }) => name);
  }

  async append(entries: readonly LogEntry[]): Promise<void> {
    const disk = this.#open();
    for (const { space, sequence, bytes } of entries) {
      const kept = this.#records.take(bytes.length);
      kept.set(bytes);
      disk.space(space).log.push({ space, sequence, bytes: kept });
    }
  }

  async flush(): Promise<void> {
    this.#open();
  }

  async writeBlocks(space: number, blocks: readonly StoredBlock[]): Promise<void> {
    const stored = this.#open().space(space).blocks;
    for (const { block, generation, bytes } of blocks) {
      const name = { block, generation };
      stored.set(keyOf(name), { name, bytes: bytes.slice() });
    }
  }

  async publish(space: number, manifest: Uint8Array): Promise<void> {
    const stored = this.#open().space(space);
    stored.manifest = manifest.slice();
    stored.manifestCopy = manifest.slice();
  }

  async drop(space: number, blocks: readonly BlockName[], sequence: number): Promise<void> {
    const stored = this.#open().space(space);
    for (const name of blocks) stored.blocks.delete(keyOf(name));
    stored.log = stored.log.filter((entry) => entry.sequence >= sequence);
  }

  async writeCatalog(catalog: Uint8Array, removed: readonly number[]): Promise<void> {
    const disk = this.#open();
    disk.catalog = catalog.slice();
    disk.catalogCopy = catalog.slice();
    for (const id of removed) disk.spaces.delete(id);
  }

  async estimate(): Promise<StorageEstimate> {
    return {};
  }

  close(): void {
    this.#closed = true;
  }

  #open(): MemoryDisk {
    if (this.#closed) throw shibuDbError('CLOSED', 'The storage is closed');
    return this.#disk;
  }
}
