/**
 * The few things the backend asks of a file system, as promises. An interface, so that a test can pass in one that fails;
 * callbacks over numeric descriptors underneath, because that part of `node:fs` is the same in Node, Bun and Deno.
 */

import fs from 'node:fs';
import path from 'node:path';
import { isShibuDbError, type ShibuDbError, shibuDbError } from '../api/errors.ts';

export interface OpenFile {
  readonly path: string;
  /** Writes all parts, one after another, from `at` on: everything, or it rejects. */
  write(parts: readonly Uint8Array[], at: number): Promise<void>;
  /** Up to `bytes` from `at` on; fewer where the file ends. */
  read(at: number, bytes: number): Promise<Uint8Array>;
  truncate(bytes: number): Promise<void>;
  /** Contents and length reach the disk. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface FileSystem {
  /** `create` makes a new file or empties the one there is; `update` needs one. */
  open(file: string, mode: 'read' | 'update' | 'create'): Promise<OpenFile>;
  /** `undefined` where there is no such file. */
  readFile(file: string): Promise<Uint8Array | undefined>;
  /** Names in a folder; none where there is no such folder. */
  list(folder: string): Promise<string[]>;
  bytesOf(file: string): Promise<number>;
  makeFolder(folder: string): Promise<void>;
  /** The folder's entries (new, renamed and removed files) reach the disk. */
  flushFolder(folder: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** A file, or a folder and all in it; there may be none. */
  remove(target: string): Promise<void>;
  removeEmptyFolder(folder: string): Promise<void>;
  freeBytes(folder: string): Promise<number | undefined>;
}

type Done<Result> = (error: Error | null, result: Result) => void;

function call<Result = void>(start: (done: Done<Result>) => void): Promise<Result> {
  return new Promise((resolve, reject) => {
    start((error, result) => (error ? reject(error) : resolve(result)));
  });
}

const flags = { read: 'r', update: 'r+', create: 'w+' } as const;

export const nodeFileSystem: FileSystem = {
  async open(file, mode) {
    return new Descriptor(file, await call<number>((done) => fs.open(file, flags[mode], done)));
  },
  readFile: (file) => absent(async () => plain(await call<Buffer>((done) => fs.readFile(file, done)))),
  list: async (folder) => (await absent(() => call<string[]>((done) => fs.readdir(folder, done)))) ?? [],
  bytesOf: async (file) =>
    (await absent(async () => (await call<fs.Stats>((done) => fs.stat(file, done))).size)) ?? 0,
  makeFolder: (folder) =>
    call((done) => fs.mkdir(folder, { recursive: true }, (error) => done(error, undefined))),
  async flushFolder(folder) {
    // Windows neither can nor needs to.
    if (process.platform === 'win32') return;
    const descriptor = await call<number>((done) => fs.open(folder, 'r', done));
    try {
      await call((done) => fs.fsync(descriptor, (error) => done(error, undefined)));
    } finally {
      fs.closeSync(descriptor);
    }
  },
  rename: (from, to) => call((done) => fs.rename(from, to, (error) => done(error, undefined))),
  remove: (target) =>
    call((done) => fs.rm(target, { recursive: true, force: true }, (error) => done(error, undefined))),
  removeEmptyFolder: (folder) => call((done) => fs.rmdir(folder, (error) => done(error, undefined))),
  freeBytes: async (folder) => {
    const { bavail, bsize } = await call<fs.StatsFs>((done) => fs.statfs(folder, done));
    return bavail * bsize;
  },
};

class Descriptor implements OpenFile {
  readonly path: string;
  readonly #descriptor: number;

  constructor(file: string, descriptor: number) {
    this.path = file;
    this.#descriptor = descriptor;
  }

  async write(parts: readonly Uint8Array[], at: number): Promise<void> {
    let left = parts.filter((part) => part.length > 0);
    let position = at;
    while (left.length > 0) {
      const batch = left;
      const written = await call<number>((done) => fs.writev(this.#descriptor, batch, position, done));
      position += written;
      left = behind(batch, written);
    }
  }

  async read(at: number, bytes: number): Promise<Uint8Array> {
    const target = new Uint8Array(bytes);
    let filled = 0;
    while (filled < bytes) {
      const read = await call<number>((done) =>
        fs.read(this.#descriptor, target, filled, bytes - filled, at + filled, done),
      );
      if (read === 0) break;
      filled += read;
    }
    return filled === bytes ? target : target.slice(0, filled);
  }

  truncate(bytes: number): Promise<void> {
    return call((done) => fs.ftruncate(this.#descriptor, bytes, (error) => done(error, undefined)));
  }

  flush(): Promise<void> {
    // Of the metadata only the length matters. On macOS libuv asks for F_FULLFSYNC, which reaches the platter.
    return call((done) => fs.fdatasync(this.#descriptor, (error) => done(error, undefined)));
  }

  close(): Promise<void> {
    return call((done) => fs.close(this.#descriptor, (error) => done(error ?? null, undefined)));
  }
}

/** What is still to be written after `written` bytes: a write may be cut short by a signal or a full disk. */
function behind(parts: readonly Uint8Array[], written: number): Uint8Array[] {
  let skip = written;
  const left: Uint8Array[] = [];
  for (const part of parts) {
    if (skip < part.length) left.push(part.subarray(skip));
    skip = Math.max(0, skip - part.length);
  }
  return left;
}

async function absent<Result>(read: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await read();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** A Buffer's `slice` shares memory; what leaves this module is the ordinary kind of bytes. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Writes a whole file so that after a crash there is the old one or the new one, and flushes it. */
export async function replaceFile(
  files: FileSystem,
  file: string,
  parts: readonly Uint8Array[],
): Promise<void> {
  const fresh = `${file}.new`;
  const open = await files.open(fresh, 'create');
  try {
    await open.write(parts, 0);
    await flushed(() => open.flush(), fresh);
  } finally {
    await open.close();
  }
  await files.rename(fresh, file);
  await flushed(() => files.flushFolder(path.dirname(file)), file);
}

/**
 * A flush that failed. The system may have dropped the pages and call them clean from now on, so that a second flush
 * succeeds without having written them ("fsyncgate", PostgreSQL 2018): whoever meets this must not go on.
 */
export class FlushFailure extends Error {}

export async function flushed(flush: () => Promise<void>, file: string): Promise<void> {
  try {
    await flush();
  } catch (cause) {
    throw new FlushFailure(`flushing ${file} failed: ${reasonOf(cause)}`, { cause });
  }
}

export function errorCode(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code;
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const outOfSpace: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const unreachable: ReadonlySet<string | undefined> = new Set([
  ...['ENOENT', 'EACCES', 'EPERM', 'ENOTDIR', 'EEXIST', 'EROFS', 'EISDIR', 'ENAMETOOLONG', 'NotCapable'],
]);

/** The typed error for what the file system answered. `place` is the file or folder it is about. */
export function fileError(error: unknown, action: string, place: string): ShibuDbError {
  if (isShibuDbError(error)) return error;
  const code = errorCode(error) ?? errorCode((error as Error | undefined)?.cause);
  const options = { cause: error, details: { path: place } };
  if (outOfSpace.has(code)) {
    return shibuDbError(
      'QUOTA_EXCEEDED',
      `The disk is full (${action} in ${place}): ${reasonOf(error)}`,
      options,
    );
  }
  const kind = action === 'open' && unreachable.has(code) ? 'STORAGE_UNAVAILABLE' : 'STORAGE_FAILED';
  return shibuDbError(kind, `Files failed in ${action} in ${place}: ${reasonOf(error)}`, options);
}
