/**
 * `shibumi`: a vector and key-value database in the browser. Importing this module loads neither the engine nor WASM; it is
 * safe under server-side rendering. `open` spawns the worker that does the work.
 */

import type { Database, Encryption } from './api/database.ts';
import { shibuDbError } from './api/errors.ts';
import { checkMemoryBudget, integerIn, invalid, oneOf, shown } from './base/arguments.ts';
import { checkEncryption } from './base/encryption-secret.ts';
import { type ClientOptions, openClient } from './client/open-client.ts';
import { type CheckedSource, type StaticSource, staticSource } from './client/static-source.ts';
import type { Transport } from './client/transport.ts';
import type { WorkerOpenOptions } from './rpc/messages.ts';
import type { Broker } from './tabs/broker-link.ts';
import type { Workers } from './tabs/default-worker.ts';

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

export type { StaticSource } from './client/static-source.ts';

/** What `open` may be told; every option has a default. */
export interface OpenOptions extends ClientOptions {
  /**
   * A worker you made from `shibumi/worker` yourself, for bundlers and policies that need it, or a function that makes one.
   * Default: one is spawned. A worker that dies is replaced by a new one, except where you gave the worker itself or chose
   * `storage: 'memory'`: then every call fails with `WORKER_LOST` from there on.
   */
  worker?: Worker | (() => Worker);
  /**
   * The whole WASM core, for all spaces: its address, or compiled. Default: the files that ship with the package, best build for the
   * browser, of which each space loads the one it needs.
   */
  wasm?: URL | string | WebAssembly.Module;
  /** Which build of the core to use. Default: `relaxed` where the browser has relaxed SIMD, else `simd128`. */
  build?: 'simd128' | 'relaxed';
  /** Where the data is kept; `memory` forgets it on close. Default `indexeddb`. */
  storage?: 'indexeddb' | 'memory';
  /** How long to wait for another page that has the database to answer, and for IndexedDB to open. Default 10000. */
  openTimeoutMs?: number;
  /**
   * How long the page whose worker owns the database may give no sign while a call waits, before another takes it over.
   * Frozen and crashed pages are noticed by this where the browser does not tell. 500 or more. Default 5000.
   */
  ownerTimeoutMs?: number;
  /**
   * A function that makes a SharedWorker of `shibumi/broker`, for bundlers and policies that need it, or `false` to go
   * without. Default: one is made when a second page opens the database.
   */
  broker?: (() => SharedWorker) | false;
  /**
   * What to do about damage. `fail`: a damaged space, or a database that the browser dropped, is an error. `salvage`: the
   * database opens with what is intact (read-only where something is missing), or empty. Default `fail`.
   */
  onCorruption?: 'fail' | 'salvage';
  /**
   * Bytes of memory that the spaces of this database should take together, from 8 MiB on. Counted is the linear memory of their WASM
   * instances, which never shrinks. What can be read again makes room for what is needed: pages of key-value spaces that were
   * not used for long, and originals kept in storage; a key-value space that would take more than half of it is not read
   * when it is opened. Answers are the same. Vector spaces are not held back by it otherwise, nor is what a single call writes.
   * Default 1 GiB.
   */
  memoryBudgetBytes?: number;
  /**
   * Asks the browser to keep the data when it runs short of room, once, when the first space is made: a page that never stores
   * anything asks nothing. Chromium decides by itself, Firefox asks the user. `stats()` says what it is. Default true.
   */
  persist?: boolean;
  /**
   * Encrypts everything that is stored (docs/encryption.md): a database is made encrypted or is not, and every page that opens it
   * gives the same. Needs a secure context. Default: nothing is encrypted.
   */
  encryption?: Encryption;
  /**
   * How many threads link large numbers of new vectors, in a page that is cross-origin isolated; elsewhere it is always 1, and the
   * same work is done in slices. 1 turns it off: the graph is then the same for the same inserts, which with more threads it is
   * not. Default: one a core, 8 at most.
   */
  threads?: number;
}

/**
 * Opens a database, creating it if there is none; or a static snapshot (`{ from: url }`), which can only be read: with the
 * options `worker`, `wasm`, `build` and `log`, and an engine of this page's own.
 *
 * @throws LOCKED when another page keeps it, STORAGE_UNAVAILABLE without IndexedDB or when a snapshot cannot be reached,
 *   UNSUPPORTED without WASM SIMD, CORRUPTION, VERSION_MISMATCH, DATA_LOST when the browser dropped what it held; INVALID_CREDENTIALS
 *   (an AuthenticationError) for a wrong password or key, ENCRYPTED, NOT_ENCRYPTED
 */
export async function open(name: string | StaticSource, options: OpenOptions = {}): Promise<Database> {
  checkOptions(options);
  const source = staticSource(name, globalThis.document?.baseURI);
  if (source !== undefined) return openClient(() => connectStatic(source, options), options);
  checkName(name);
  const asks = options.persist !== false && options.storage !== 'memory';
  return openClient(() => connect(name, options), options, asks ? askToPersist : undefined);
}

let asked = false;

/** Nobody waits for the answer: it may take as long as the user does. */
function askToPersist(): void {
  if (asked) return;
  asked = true;
  globalThis.navigator?.storage?.persist?.().catch(() => {});
}

async function connectStatic(
  { from, fetch, ...rest }: CheckedSource,
  options: OpenOptions,
): Promise<Transport> {
  const { worker, wasm, build, log: _log, admin: _admin, ...others } = options;
  const [stranger] = Object.keys(others);
  if (stranger !== undefined) throw invalid(`Got option ${stranger}, which no static snapshot has`);
  if (fetch !== undefined) throw invalid('Got fetch, which a page cannot hand to its worker');
  const { openPrivately, workersOf } = await import('./tabs/page.ts');
  const workers = await workersOf(worker);
  const core = wasm ?? (await workers.core(build));
  const workerOptions: WorkerOpenOptions = {
    ...(build === undefined ? {} : { build }),
    ...(core === undefined ? {} : { wasm: core instanceof URL ? core.href : core }),
    source: { from, ...rest },
  };
  return openPrivately(from, workerOptions, workers.first);
}

async function connect(
  name: string,
  {
    worker,
    wasm,
    broker,
    ownerTimeoutMs = 5000,
    admin: _admin,
    log: _log,
    persist: _persist,
    encryption,
    ...rest
  }: OpenOptions,
): Promise<Transport> {
  assertWorkers(worker);
  const { openPrivately, openShared, workersOf } = await import('./tabs/page.ts');
  const workers = await workersOf(worker);
  const core = wasm ?? (await workers.core(rest.build));
  const workerOptions: WorkerOpenOptions = {
    ...rest,
    ...(core === undefined ? {} : { wasm: core instanceof URL ? core.href : core }),
    ...(encryption === undefined ? {} : { encryption: checkEncryption(encryption) }),
  };
  if (rest.storage === 'memory') return openPrivately(name, workerOptions, workers.first);
  const options = {
    name,
    spawnWorker: oneAfterAnother(workers),
    broker: brokerOf(broker ?? !workers.areInlined),
    worker: workerOptions,
    ownerTimeoutMs,
  };
  return openShared(options, rest.openTimeoutMs ?? 10_000);
}

/** Before anything is imported: a service worker may import nothing later on. @throws UNSUPPORTED */
function assertWorkers(given: OpenOptions['worker']): void {
  if (given !== undefined || typeof Worker !== 'undefined') return;
  throw shibuDbError(
    'UNSUPPORTED',
    'This context has no Worker: a service worker opens databases by shibumi/in-process, a page after it has loaded in the browser',
  );
}

/** The first worker, then new ones, where there can be another. */
function oneAfterAnother({ first, spawn }: Workers): () => Worker | undefined {
  let next: Worker | undefined = first;
  return () => {
    const worker = next ?? spawn();
    next = undefined;
    return worker;
  };
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
  assertWorkers(options.worker);
  const { deleteStored, workersOf } = await import('./tabs/page.ts');
  const { first } = await workersOf(options.worker);
  await deleteStored(name, first, options.timeoutMs ?? 10_000);
}

const optionNames = [
  'worker',
  'wasm',
  'build',
  'storage',
  'openTimeoutMs',
  'ownerTimeoutMs',
  'broker',
  'onCorruption',
  'memoryBudgetBytes',
  'persist',
  'encryption',
  'threads',
  'admin',
  'log',
];

/** An option nobody knows is a typing error that would silently do nothing: it is refused. */
function checkOptions(options: OpenOptions): void {
  const stranger = Object.keys(options).find((name) => !optionNames.includes(name));
  if (stranger !== undefined)
    throw invalid(`Got option ${shown(stranger)}, expected only ${optionNames.join(', ')}`);
  const { build, storage, openTimeoutMs, ownerTimeoutMs, broker, onCorruption, persist, threads } = options;
  if (threads !== undefined) integerIn(threads, 1, 64, 'threads');
  if (persist !== undefined && typeof persist !== 'boolean')
    throw invalid(`Got ${shown(persist)} for persist, expected a boolean`);
  if (build !== undefined) oneOf(build, ['simd128', 'relaxed'], 'build');
  if (storage !== undefined) oneOf(storage, ['indexeddb', 'memory'], 'storage');
  if (onCorruption !== undefined) oneOf(onCorruption, ['fail', 'salvage'], 'onCorruption');
  checkMemoryBudget(options.memoryBudgetBytes);
  if (openTimeoutMs !== undefined) integerIn(openTimeoutMs, 1, 2 ** 31 - 1, 'openTimeoutMs');
  if (ownerTimeoutMs !== undefined) integerIn(ownerTimeoutMs, 500, 2 ** 31 - 1, 'ownerTimeoutMs');
  if (broker !== undefined && broker !== false && typeof broker !== 'function')
    throw invalid(`Got ${shown(broker)} for broker, expected a function that makes a SharedWorker, or false`);
}

function checkName(name: unknown): asserts name is string {
  if (typeof name !== 'string' || name.length === 0 || name.length > 255) {
    throw invalid(`Got ${shown(name)} for the database's name, expected a string of 1 to 255 characters`);
  }
}

/** How ports get from page to page. `undefined` where there is no SharedWorker: a BroadcastChannel carries the calls then. */
function brokerOf(broker: (() => SharedWorker) | boolean): Broker | undefined {
  if (broker === false || typeof SharedWorker === 'undefined') return undefined;
  if (broker !== true) return { address: 'given', spawn: broker };
  return {
    // Of this module, which stands for the broker's: bundlers would take a second mention of that for another file.
    address: import.meta.url,
    spawn: () =>
      new SharedWorker(new URL('./broker.ts', import.meta.url), { type: 'module', name: 'shibumi' }),
  };
}
