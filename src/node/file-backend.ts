/**
 * The backend over one folder:
 *
 *   catalog              envelope: the catalog
 *   catalog.copy         the same once more, in case the first is damaged
 *   lock-*               who has the folder (folder-lock.ts)
 *   space-<n>/manifest   block index and manifest (block-file.ts)
 *   space-<n>/blocks     slots of 256 KiB
 *   space-<n>/log-<s>    records from sequence s on (space-log.ts)
 *
 * What an acknowledgement means: bytes of an append are in the system's hands, so that they outlive this process; with
 * `flush` (and for catalog and manifests always) fdatasync has said that they are on the disk, those of all earlier
 * appends included.
 *
 * A flush that failed cannot be repeated: the system may have dropped the pages and call them clean. From then on the
 * backend refuses to write; what was flushed before is found by the next open. The same when the traces of a failed
 * append cannot be removed.
 *
 * Concurrency: log calls run one after another (a flush covers all logs), and so do block calls of one space. The folder's
 * lock keeps other processes out; it is taken before this is made.
 */

import path from 'node:path';
import { isShibuDbError, type ShibuDbError, shibuDbError } from '../api/errors.ts';
import type {
  BlockName,
  LogEntry,
  StorageBackend,
  StorageEstimate,
  StoredBlock,
  StoredState,
} from '../storage/backend.ts';
import { soundCatalog } from '../storage/catalog.ts';
import type { Checksum } from '../storage/envelope.ts';
import { BlockFile, plainBlockBytes } from './block-file.ts';
import {
  type FileSystem,
  FlushFailure,
  fileError,
  flushed,
  nodeFileSystem,
  replaceFile,
} from './file-system.ts';
import { Lane } from './lane.ts';
import { type Mark, SpaceLog } from './space-log.ts';

const catalogName = 'catalog';
const catalogCopyName = 'catalog.copy';

interface SpaceFiles {
  readonly folder: string;
  readonly log: SpaceLog;
  readonly blocks: BlockFile;
  readonly blockLane: Lane;
  /** The generation that is being written. */
  generation: number;
}

export class FileBackend implements StorageBackend {
  readonly kind = 'files';
  readonly #folder: string;
  readonly #files: FileSystem;
  readonly #checksum: Checksum;
  readonly #blockBytesMax: number;
  readonly #spaces: Map<number, SpaceFiles> = new Map();
  readonly #logLane: Lane = new Lane();
  #refusal: ShibuDbError | undefined;
  #settled: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  private constructor(folder: string, checksum: Checksum, files: FileSystem, blockBytesMax: number) {
    this.#blockBytesMax = blockBytesMax;
    this.#folder = folder;
    this.#checksum = checksum;
    this.#files = files;
  }

  /**
   * Reads what is in the folder, which is there and locked. `blockBytesMax`: the largest block that will be written.
   * @throws CORRUPTION, VERSION_MISMATCH, STORAGE_UNAVAILABLE
   */
  static async open(
    folder: string,
    checksum: Checksum,
    files: FileSystem = nodeFileSystem,
    blockBytesMax: number = plainBlockBytes,
  ): Promise<FileBackend> {
    const backend = new FileBackend(folder, checksum, files, blockBytesMax);
    try {
      for (const name of await files.list(folder)) {
        const space = spaceNumber(name);
        if (space !== undefined) backend.#spaces.set(space, backend.#filesOf(space));
      }
      await backend.#sweep();
      return backend;
    } catch (error) {
      throw fileError(error, 'open', folder);
    }
  }

  async readState(): Promise<StoredState> {
    return this.#run('readState', async () => {
      const manifests = new Map<number, Uint8Array>();
      for (const [space, { blocks }] of this.#spaces) {
        const manifest = await blocks.load();
        if (manifest !== undefined) manifests.set(space, manifest);
      }
      return {
        catalog: await this.#files.readFile(this.#catalogPath),
        catalogCopy: await this.#files.readFile(this.#catalogCopyPath),
        manifests,
      };
    });
  }

  async readBlocks(space: number, names: readonly BlockName[]): Promise<(Uint8Array | undefined)[]> {
    return this.#run('readBlocks', async () => {
      const files = this.#spaces.get(space);
      return files === undefined ? names.map(() => undefined) : files.blocks.read(names);
    });
  }

  async readLog(space: number, sequence: number): Promise<LogEntry[]> {
    return this.#run('readLog', () =>
      this.#logLane.run(async () => (await this.#spaces.get(space)?.log.read(sequence)) ?? []),
    );
  }

  async listBlocks(space: number): Promise<BlockName[]> {
    return this.#run('listBlocks', async () => this.#spaces.get(space)?.blocks.list() ?? []);
  }

  append(entries: readonly LogEntry[], flush: boolean): Promise<void> {
    return this.#write('append', this.#logLane, async () => {
      const marks = new Map<SpaceLog, Mark | undefined>();
      for (const { space } of entries) {
        const { log } = await this.#make(space);
        if (!marks.has(log)) marks.set(log, await log.mark());
      }
      try {
        for (const { space, sequence, bytes } of entries) {
          await (this.#spaces.get(space) as SpaceFiles).log.append(sequence, bytes);
        }
        if (flush) await this.#flushLogs();
      } catch (error) {
        for (const [log, mark] of marks) await this.#undo(log, mark);
        // What could not be taken back may count at the next open: "the disk is full" would say that it does not.
        throw this.#refusal ?? error;
      }
    });
  }

  /** A half-written record must not stay: the next one would follow it. */
  async #undo(log: SpaceLog, mark: Mark | undefined): Promise<void> {
    try {
      await log.undo(mark);
    } catch (error) {
      this.#refuse(error);
    }
  }

  flush(): Promise<void> {
    return this.#write('flush', this.#logLane, () => this.#flushLogs());
  }

  async #flushLogs(): Promise<void> {
    const results = await Promise.allSettled(Array.from(this.#spaces.values(), ({ log }) => log.flush()));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async writeBlocks(space: number, blocks: readonly StoredBlock[]): Promise<void> {
    const files = await this.#filesFor(space, 'writeBlocks');
    const generation = blocks[0]?.generation ?? files.generation;
    if (generation !== files.generation) {
      files.generation = generation;
      files.log.rotate();
    }
    await this.#write('writeBlocks', files.blockLane, () => files.blocks.write(blocks));
  }

  async publish(space: number, manifest: Uint8Array): Promise<void> {
    const files = await this.#filesFor(space, 'publish');
    await this.#write('publish', files.blockLane, () => files.blocks.publish(manifest));
  }

  async drop(space: number, blocks: readonly BlockName[], sequence: number): Promise<void> {
    const files = this.#spaces.get(space);
    if (files === undefined) return;
    await this.#write('drop', files.blockLane, () => files.blocks.drop(blocks));
    await this.#write('drop', this.#logLane, () => files.log.drop(sequence));
  }

  async writeCatalog(catalog: Uint8Array, removed: readonly number[]): Promise<void> {
    await this.#write('writeCatalog', this.#logLane, async () => {
      // The copy first: the other is the one that counts.
      await replaceFile(this.#files, this.#catalogCopyPath, [catalog]);
      try {
        await replaceFile(this.#files, this.#catalogPath, [catalog]);
      } catch (error) {
        // A failed flush is final, and may have written it. Anything else has not, and then the copy must not have it.
        if (!(error instanceof FlushFailure))
          await this.#takeBackCopy().catch((failure) => this.#giveUp(failure));
        throw error;
      }
    });
    // The spaces are gone from here on. What cannot be removed now is swept by the next open.
    for (const space of removed) await this.#removeSpace(space).catch(() => {});
  }

  /** Makes the copy of the catalog what the catalog is; where there is no room for that, there is none. */
  async #takeBackCopy(): Promise<void> {
    const catalog = await this.#files.readFile(this.#catalogPath);
    if (catalog !== undefined) {
      try {
        await replaceFile(this.#files, this.#catalogCopyPath, [catalog]);
        return;
      } catch (error) {
        if (error instanceof FlushFailure) throw error;
      }
    }
    await this.#files.remove(this.#catalogCopyPath);
    await this.#files.flushFolder(this.#folder);
  }

  async keepOnly(spaces: ReadonlySet<number>): Promise<void> {
    for (const space of [...this.#spaces.keys()]) if (!spaces.has(space)) await this.#removeSpace(space);
  }

  async estimate(): Promise<StorageEstimate> {
    let usageBytes = await this.#files.bytesOf(this.#catalogPath);
    for (const { log, blocks } of this.#spaces.values()) {
      usageBytes += (await log.bytes()) + (await blocks.bytes());
    }
    const free = await this.#files.freeBytes(this.#folder).catch(() => undefined);
    return { usageBytes, persisted: true, ...(free === undefined ? {} : { quotaBytes: usageBytes + free }) };
  }

  close(): void {
    this.closed();
  }

  /** Closes, and resolves when nothing is under way any more and every file is closed. */
  closed(): Promise<void> {
    this.#closed ??= this.#closeFiles();
    return this.#closed;
  }

  async #closeFiles(): Promise<void> {
    await this.#logLane.idle();
    for (const { log, blocks, blockLane } of this.#spaces.values()) {
      await blockLane.idle();
      await Promise.allSettled([log.close(), blocks.close()]);
    }
  }

  get #catalogPath(): string {
    return path.join(this.#folder, catalogName);
  }

  get #catalogCopyPath(): string {
    return path.join(this.#folder, catalogCopyName);
  }

  #filesOf(space: number): SpaceFiles {
    const folder = path.join(this.#folder, `space-${space}`);
    return {
      folder,
      log: new SpaceLog(this.#files, folder, space, this.#checksum),
      blocks: new BlockFile(this.#files, folder, this.#checksum, this.#blockBytesMax),
      blockLane: new Lane(),
      generation: 0,
    };
  }

  /** Without waiting for the log where the space has its folder. */
  async #filesFor(space: number, action: string): Promise<SpaceFiles> {
    return this.#spaces.get(space) ?? this.#write(action, this.#logLane, () => this.#make(space));
  }

  /** The files of a space, its folder made if there is none. Only in the log lane. */
  async #make(space: number): Promise<SpaceFiles> {
    const there = this.#spaces.get(space);
    if (there !== undefined) return there;
    const files = this.#filesOf(space);
    await this.#files.makeFolder(files.folder);
    await flushed(() => this.#files.flushFolder(this.#folder), this.#folder);
    this.#spaces.set(space, files);
    return files;
  }

  async #removeSpace(space: number): Promise<void> {
    const files = this.#spaces.get(space);
    if (files === undefined) return;
    this.#spaces.delete(space);
    await files.blockLane.idle();
    await this.#logLane.run(async () => {
      await Promise.allSettled([files.log.close(), files.blocks.close()]);
      await this.#files.remove(files.folder);
    });
  }

  /** Removes the files of spaces that the catalog does not have: leftovers of a deletion that was cut short. */
  async #sweep(): Promise<void> {
    const bytes = await this.#files.readFile(this.#catalogPath);
    const copy = await this.#files.readFile(this.#catalogCopyPath);
    // The copy is written first: where writing the catalog failed it counts alone.
    if (bytes === undefined && copy === undefined) {
      if (this.#spaces.size === 0) return;
      throw shibuDbError('CORRUPTION', `${this.#folder} holds spaces but no catalog`, {
        details: { path: this.#catalogPath },
      });
    }
    try {
      const catalog = soundCatalog(bytes, copy, this.#checksum);
      await this.keepOnly(new Set(catalog?.spaces.map(({ id }) => id)));
    } catch (error) {
      // Whoever has the key sees to it.
      if (!isShibuDbError(error) || error.code !== 'ENCRYPTED') throw error;
    }
  }

  async #run<Result>(action: string, body: () => Promise<Result>): Promise<Result> {
    if (this.#closed !== undefined) throw shibuDbError('CLOSED', 'The storage is closed');
    try {
      return await body();
    } catch (error) {
      throw fileError(error, action, this.#folder);
    }
  }

  #write<Result>(action: string, lane: Lane, body: () => Promise<Result>): Promise<Result> {
    return this.#run(action, () =>
      lane.run(async () => {
        if (this.#refusal !== undefined) throw this.#refusal;
        try {
          this.#settled ??= this.#settle();
          await this.#settled;
          return await body();
        } catch (error) {
          if (error instanceof FlushFailure) this.#refuse(error);
          throw error;
        }
      }),
    );
  }

  /**
   * Before the first write. What a process that was killed had made or renamed is there, but perhaps not on the disk, and its own
   * flush never came: nothing may be promised on top of that, and no slot written that only the new manifest calls free.
   */
  async #settle(): Promise<void> {
    const folders = [this.#folder, ...Array.from(this.#spaces.values(), ({ folder }) => folder)];
    await Promise.all(folders.map((folder) => flushed(() => this.#files.flushFolder(folder), folder)));
  }

  /** Whether the last write counts nobody knows: not even that the disk was full may be said of it. */
  #giveUp(cause: unknown): never {
    this.#refuse(cause);
    throw this.#refusal;
  }

  #refuse(cause: unknown): void {
    const reason = cause instanceof Error ? cause.message : String(cause);
    this.#refusal ??= shibuDbError(
      'STORAGE_FAILED',
      `Nothing more is written to ${this.#folder} after an earlier failure (${reason}); open the database again`,
      { cause, details: { path: this.#folder } },
    );
  }
}

function spaceNumber(name: string): number | undefined {
  const digits = /^space-(\d+)$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Whether a folder holds a database. */
export async function holdsDatabase(folder: string, files: FileSystem = nodeFileSystem): Promise<boolean> {
  return (await files.list(folder)).includes(catalogName);
}

/** Removes a database's files, and the folder when nothing else is in it. The folder is locked by the caller. */
export async function removeDatabase(folder: string, files: FileSystem = nodeFileSystem): Promise<void> {
  const names = await files.list(folder);
  // The catalog goes last: until then the next open still sees a database, never spaces without one.
  for (const name of names.filter((each) => spaceNumber(each) !== undefined)) {
    await files.remove(path.join(folder, name));
  }
  await files.remove(path.join(folder, `${catalogName}.new`));
  await files.remove(path.join(folder, `${catalogCopyName}.new`));
  await files.remove(path.join(folder, catalogCopyName));
  await files.remove(path.join(folder, catalogName));
  await flushed(() => files.flushFolder(folder), folder);
}
