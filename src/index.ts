/**
 * `shibumi`: a vector and key-value database in the browser. Importing this module loads neither the engine nor WASM; it is
 * safe under server-side rendering. `open` spawns the worker that does the work.
 */

import type { Database, FirstAdmin } from './api/database.ts';
import { fromEnvelope } from './api/error-envelope.ts';
import { shibuDbError } from './api/errors.ts';
import { integerIn, invalid, oneOf, shown } from './base/arguments.ts';
import { DatabaseClient } from './client/database-client.ts';
import { withAdmin } from './client/first-admin.ts';
import type { WorkerOpenOptions } from './rpc/messages.ts';
import { RestartingTransport } from './rpc/restarting-transport.ts';
import { type TakeOver, WorkerTransport } from './rpc/worker-transport.ts';

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

export interface OpenOptions {
  /**
   * A worker you made from `shibumi/worker` yourself, for bundlers and policies that need it, or a function that makes one.
   * Default: one is spawned. A worker that dies is replaced by a new one, except where you gave the worker itself or chose
   * `storage: 'memory'`: then every call fails with `WORKER_LOST` from there on.
   */
  worker?: Worker | (() => Worker);
  /** The WASM core: its address, or compiled. Default: the file that ships with the package, best build for the browser. */
  wasm?: URL | string | WebAssembly.Module;
  /** Which build of the core to use. Default: `relaxed` where the browser has relaxed SIMD, else `simd128`. */
  build?: 'simd128' | 'relaxed';
  /** Where the data is kept; `memory` forgets it on close. Default `indexeddb`. */
  storage?: 'indexeddb' | 'memory';
  /** How long to wait for another page to let the database go, and for IndexedDB to open. Default 10000. */
  openTimeoutMs?: number;
  /**
   * What to do about damage. `fail`: a damaged space, or a database that the browser dropped, is an error. `salvage`: the
   * database opens with what is intact (read-only where something is missing), or empty. Default `fail`.
   */
  onCorruption?: 'fail' | 'salvage';
  /**
   * The admin to create if the database has no users; from then on every call needs `authenticate`. Does nothing when there
   * are users, whatever their names and passwords.
   */
  admin?: FirstAdmin;
}

/**
 * Opens a database, creating it if there is none.
 *
 * @throws LOCKED when another page keeps it, STORAGE_UNAVAILABLE without IndexedDB, UNSUPPORTED without WASM SIMD,
 *   CORRUPTION, VERSION_MISMATCH, DATA_LOST when the browser dropped what it held
 */
export async function open(name: string, options: OpenOptions = {}): Promise<Database> {
  checkName(name);
  checkOptions(options);
  const { admin, ...rest } = options;
  // Neither another worker nor what memory held can be had again.
  const once = typeof options.worker === 'object' || options.storage === 'memory';
  if (once) return withAdmin(new DatabaseClient(await openLink(name, rest)), admin);
  const transport = new RestartingTransport((takeOver) => openLink(name, rest, takeOver));
  await transport.open();
  return withAdmin(new DatabaseClient(transport), admin);
}

/** A worker that has opened the database. */
async function openLink(
  name: string,
  { worker, wasm, ...rest }: Omit<OpenOptions, 'admin'>,
  takeOver?: TakeOver,
): Promise<WorkerTransport> {
  const transport = new WorkerTransport(
    typeof worker === 'function' ? worker() : (worker ?? spawnWorker()),
    takeOver,
  );
  const workerOptions: WorkerOpenOptions = {
    ...rest,
    ...(wasm === undefined ? {} : { wasm: wasm instanceof URL ? wasm.href : wasm }),
  };
  try {
    transport.watch();
    const failure = await transport.endpoint((remote) => remote.open(name, workerOptions));
    if (failure !== undefined) throw fromEnvelope(failure);
    return transport;
  } catch (error) {
    transport.release();
    throw error;
  }
}

/**
 * Deletes a database and everything in it. Resolves when it is gone; there may have been none.
 *
 * @throws LOCKED while a page has it open
 */
export async function deleteDatabase(
  name: string,
  options: { worker?: Worker; timeoutMs?: number } = {},
): Promise<void> {
  checkName(name);
  const transport = new WorkerTransport(options.worker ?? spawnWorker());
  try {
    const failure = await transport.endpoint((remote) =>
      remote.deleteDatabase(name, options.timeoutMs ?? 10_000),
    );
    if (failure !== undefined) throw fromEnvelope(failure);
  } finally {
    transport.release();
  }
}

const optionNames = ['worker', 'wasm', 'build', 'storage', 'openTimeoutMs', 'onCorruption', 'admin'];

/** An option nobody knows is a typing error that would silently do nothing: it is refused. */
function checkOptions(options: OpenOptions): void {
  const stranger = Object.keys(options).find((name) => !optionNames.includes(name));
  if (stranger !== undefined)
    throw invalid(`Got option ${shown(stranger)}, expected only ${optionNames.join(', ')}`);
  const { build, storage, openTimeoutMs, onCorruption } = options;
  if (build !== undefined) oneOf(build, ['simd128', 'relaxed'], 'build');
  if (storage !== undefined) oneOf(storage, ['indexeddb', 'memory'], 'storage');
  if (onCorruption !== undefined) oneOf(onCorruption, ['fail', 'salvage'], 'onCorruption');
  if (openTimeoutMs !== undefined) integerIn(openTimeoutMs, 1, 2 ** 31 - 1, 'openTimeoutMs');
}

function checkName(name: unknown): void {
  if (typeof name !== 'string' || name.length === 0 || name.length > 255) {
    throw invalid(`Got ${shown(name)} for the database's name, expected a string of 1 to 255 characters`);
  }
}

function spawnWorker(): Worker {
  if (typeof Worker === 'undefined') {
    throw shibuDbError(
      'UNSUPPORTED',
      'This context has no Worker; in a page call open() after it has loaded in the browser',
    );
  }
  return new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'shibumi' });
}
