/**
 * `shibumi/node`: the same database in Node (22 or newer), Bun and Deno. The engine runs in this process, a folder keeps the
 * data. Large bulk work (a search over many vectors, linking) takes its time on this thread, in slices where it can.
 */

import type { Database, Encryption } from './api/database.ts';
import { checkMemoryBudget, integerIn, invalid, shown } from './base/arguments.ts';
import { type ClientOptions, openClient } from './client/open-client.ts';
import { type FetchedSource, staticSource } from './client/static-source.ts';
import { DirectTransport } from './local/direct-transport.ts';
import { deleteFolder, openSession, openSnapshot } from './node/open-engine.ts';

export type * from './api/database.ts';
export {
  AuthenticationError,
  ConnectionError,
  type ErrorCode,
  type ErrorDetails,
  isShibuDbError,
  PoolExhaustedError,
  QueryError,
  ShibuDbError,
} from './api/errors.ts';
export {
  type ConnectionPool,
  type ConnectionPoolOptions,
  type ConnectionPoolStats,
  createConnectionPool,
} from './client/connection-pool.ts';

export type { FetchedSource, StaticSource } from './client/static-source.ts';

export { exportStatic, type StaticExportOptions, type StaticExportReport } from './node/static-export.ts';

/** What `open` may be told; every option has a default. */
export interface OpenOptions extends ClientOptions {
  /** Which build of the core to use. Default: `relaxed` where the runtime has relaxed SIMD, else `simd128`. */
  build?: 'simd128' | 'relaxed';
  /** The WASM core: its file, or compiled. Default: the file that ships with the package. */
  wasm?: URL | string | WebAssembly.Module;
  /** Where the data is kept; `memory` forgets it on close. Default `files`. */
  storage?: 'files' | 'memory';
  /** Whether to make a database where there is none. Default true; false: `STORAGE_UNAVAILABLE`. */
  create?: boolean;
  /** How long to wait for another process to let the database go. Default 0: `LOCKED` at once. */
  openTimeoutMs?: number;
  /**
   * What to do about damage. `fail`: calls on a damaged space are errors. `salvage`: it opens read-only with what is intact.
   * Default `fail`.
   */
  onCorruption?: 'fail' | 'salvage';
  /**
   * Encrypts everything that is stored (docs/encryption.md): a database is made encrypted or is not, and the same is given
   * whenever it is opened. Whoever opens it a second time in the process gives it too. Default: nothing is encrypted.
   */
  encryption?: Encryption;
  /**
   * Bytes of memory that the spaces of this database should take together, from 8 MiB on. Counted is the linear memory of their WASM
   * instances, which never shrinks. What can be read again makes room for what is needed: pages of key-value spaces that were
   * not used for long, and originals kept in storage; a key-value space that would take more than half of it is not read
   * when it is opened. Answers are the same. Vector spaces are not held back by it otherwise, nor is what a single call writes.
   * Default 1 GiB.
   */
  memoryBudgetBytes?: number;
  /**
   * How many worker threads link large numbers of new vectors. With more than 1 the graph is not the same for the same inserts.
   * Default 1: this thread, in slices.
   */
  threads?: number;
}

/**
 * Opens the database in the folder `path`, making both if they are not there. One process at a time can have it open; the
 * lock of a process that died is taken over. Opened again in the same process it is the same database: what is written by
 * one is there for all, and what `useSpace` and `authenticate` say is each one's own. With `{ from: url }` it opens a static
 * snapshot, which can only be read.
 *
 * @throws LOCKED while it is open in another process or thread (`details.pid` says in which), STORAGE_UNAVAILABLE when the
 *   folder cannot be used or the snapshot not reached, CORRUPTION, VERSION_MISMATCH, UNSUPPORTED without WASM SIMD;
 *   INVALID_CREDENTIALS (an AuthenticationError) for a wrong password or key, ENCRYPTED, NOT_ENCRYPTED
 */
export async function open(path: string | FetchedSource, options: OpenOptions = {}): Promise<Database> {
  const source = staticSource(path);
  if (source !== undefined)
    return openClient(async () => new DirectTransport(await openSnapshot(source, options)), options);
  checkPath(path);
  checkTimeout(options.openTimeoutMs);
  checkMemoryBudget(options.memoryBudgetBytes);
  if (options.threads !== undefined) integerIn(options.threads, 1, 64, 'threads');
  return openClient(async () => new DirectTransport(await openSession(path, options)), options);
}

/**
 * Deletes the database in the folder `path`, and the folder if nothing else is in it. There may have been none.
 *
 * @throws LOCKED while it is open
 */
export async function deleteDatabase(path: string, options: { timeoutMs?: number } = {}): Promise<void> {
  checkPath(path);
  checkTimeout(options.timeoutMs);
  await deleteFolder(path, options.timeoutMs ?? 0);
}

function checkPath(path: unknown): asserts path is string {
  if (typeof path !== 'string' || path.length === 0 || path.includes('\0')) {
    throw invalid(`Got ${shown(path)} for the database's path, expected the path of a folder`);
  }
}

function checkTimeout(timeoutMs: unknown): void {
  if (timeoutMs !== undefined) integerIn(timeoutMs, 0, 2 ** 31 - 1, 'the time to wait, in milliseconds,');
}
