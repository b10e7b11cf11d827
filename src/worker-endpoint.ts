/**
 * What a worker exposes through Comlink: a database that it owns, or waits to own. One endpoint serves one database: to the
 * page that spawned the worker, and to all tabs while it is the owner.
 */

import { type ErrorEnvelope, toEnvelope } from './api/error-envelope.ts';
import { shibuDbError } from './api/errors.ts';
import { DatabaseEngine } from './engine/database-engine.ts';
import { portableScrypt, privatePart, secretsPart } from './engine/parts.ts';
import { Session } from './engine/session.ts';
import { defaultSettings } from './engine/settings.ts';
import {
  type BuildName,
  type Core,
  type CoreKind,
  type Cores,
  checkWhole,
  compileCore,
  LazyCores,
  oneCore,
  supportedBuild,
} from './kernel/module.ts';
import { workerThreads } from './rpc/helper-worker.ts';
import type { Message, Reply, WorkerEndpoint, WorkerOpenOptions } from './rpc/messages.ts';
import { SessionHost } from './rpc/session-host.ts';
import type { StorageBackend } from './storage/backend.ts';
import type { UnlockedKey } from './storage/encryption/key-record.ts';
import { deleteIndexedDb, IndexedDbBackend } from './storage/indexeddb-backend.ts';
import type { Ending, KnownDatabase, TabOptions } from './tabs/messages.ts';
import { holdForEver, ownerLock } from './tabs/names.ts';
import type { OwnedDatabase } from './tabs/owner.ts';
import { type OwnableDatabase, TabWorker } from './tabs/tab-worker.ts';
import { threadedWasmFile, wasmFile } from './wasm-files.ts';

/** How long opening waits for a page that is just going away (a reload) to let the database go. */
const defaultOpenTimeoutMs = 10_000;

export class Endpoint implements WorkerEndpoint {
  /** For a database that tabs share. */
  readonly tab: TabWorker = new TabWorker(new StoredDatabase());
  #host: SessionHost | undefined;

  live(aliveLock: string): Promise<void> {
    return holdForEver(aliveLock);
  }

  /** For one in memory or on a static host, whose engine is this page's own. */
  async open(name: string, options: WorkerOpenOptions): Promise<ErrorEnvelope | undefined> {
    try {
      this.#host = new SessionHost(await openPrivately(name, options));
      return undefined;
    } catch (error) {
      return toEnvelope(error);
    }
  }

  exchange(message: Message): Promise<Reply[]> {
    if (this.#host === undefined) throw new Error('exchange was called before open');
    return this.#host.exchange(message);
  }

  async deleteDatabase(name: string, timeoutMs: number): Promise<ErrorEnvelope | undefined> {
    try {
      const release = await takeLock(name, timeoutMs);
      await deleteIndexedDb(name, timeoutMs).finally(release);
      return undefined;
    } catch (error) {
      return toEnvelope(error);
    }
  }
}

const engineDefaults = { now: (): number => performance.now(), settings: defaultSettings };

async function openPrivately(name: string, options: WorkerOpenOptions): Promise<Session> {
  const cores = await loadCores(options);
  const { MemoryBackend, openStaticSession } = await privatePart.load();
  if (options.source !== undefined) return openStaticSession(options.source, { cores, ...engineDefaults });
  const engine = await openEngine(name, cores, new MemoryBackend(), options);
  return new Session(engine, () => engine.close());
}

/** A database in IndexedDB, as a worker opens it when it becomes its owner. */
class StoredDatabase implements OwnableDatabase {
  #cores: Promise<Cores> | undefined;

  prepare(options: TabOptions): void {
    const loading = loadCores(options);
    this.#cores = loading;
    loading.catch(() => {
      // The next attempt fetches it again.
      if (this.#cores === loading) this.#cores = undefined;
    });
  }

  async unlock({ encryption }: TabOptions, keyRecord: string): Promise<UnlockedKey> {
    if (encryption === undefined) throw new Error('a page without a key asks for nothing to be unlocked');
    const { parseKeyRecord, unlockKey } = await secretsPart.load();
    return unlockKey(parseKeyRecord(keyRecord), encryption, portableScrypt);
  }

  async open(
    name: string,
    options: TabOptions,
    known: KnownDatabase | undefined,
    onEnd: (why: Ending) => void,
    onBlocked: () => void,
  ): Promise<OwnedDatabase> {
    if (this.#cores === undefined) this.prepare(options);
    const loading = this.#cores as Promise<Cores>;
    const storage = await IndexedDbBackend.open(name, {
      timeoutMs: options.openTimeoutMs ?? defaultOpenTimeoutMs,
      acceptLoss: options.onCorruption === 'salvage',
      known,
      onBlocked,
    });
    storage.onEnd = ({ kind, reason }) =>
      onEnd({ state: kind === 'fenced' ? 'taken' : kind, message: reason });
    try {
      return { storage, engine: await openEngine(name, await loading, storage, options) };
    } catch (error) {
      storage.close();
      throw error;
    }
  }
}

function openEngine(
  name: string,
  cores: Cores,
  backend: StorageBackend,
  { onCorruption = 'fail', encryption, memoryBudgetBytes, threads }: WorkerOpenOptions,
): Promise<DatabaseEngine> {
  return DatabaseEngine.open({
    name,
    cores,
    backend,
    ...engineDefaults,
    onCorruption,
    encryption,
    ...(memoryBudgetBytes === undefined ? {} : { memoryBudgetBytes }),
    threads: workerThreads(
      threads,
      cores.build,
      async (build) => (await compileCore(build, threadedWasmFile(build))).module,
    ),
  });
}

/** Those that ship with the package, each loaded when a space needs it; or the one that the caller named, for everything. */
async function loadCores({ build, wasm }: WorkerOpenOptions): Promise<Cores> {
  const supported = supportedBuild();
  if (supported === undefined)
    throw shibuDbError('UNSUPPORTED', 'This runtime has no WebAssembly SIMD, which Shibumi needs');
  if (build === 'relaxed' && supported !== 'relaxed') {
    throw shibuDbError(
      'UNSUPPORTED',
      'This runtime has no relaxed SIMD; leave `build` out to take the best there is',
    );
  }
  const name: BuildName = build ?? supported;
  if (wasm === undefined) return new LazyCores(name, (kind) => shippedCore(name, kind));
  const core =
    wasm instanceof WebAssembly.Module ? { build: name, module: wasm } : await compileCore(name, wasm);
  checkWhole(core.module);
  return oneCore(core);
}

async function shippedCore(build: BuildName, kind: CoreKind): Promise<Core> {
  const core = compileCore(build, wasmFile(build, kind));
  if (kind === 'whole') return core;
  return core.then(
    (part) => ({ ...part, kind }),
    // Whoever copies or caches files by hand may have taken the whole one alone, which serves as well.
    () => shippedCore(build, 'whole'),
  );
}

/** Makes this worker the only owner of the database. @throws LOCKED when another keeps it for longer than `timeoutMs` */
async function takeLock(name: string, timeoutMs: number): Promise<() => void> {
  // Without Web Locks (an insecure context) nobody can be kept out; everything else works.
  if (navigator.locks === undefined) return () => {};
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(ownerLock(name), { signal: AbortSignal.timeout(timeoutMs) }, () => {
        resolve(release);
        return held;
      })
      .catch((cause: unknown) => {
        reject(
          shibuDbError('LOCKED', `The database "${name}" is in use by another page or worker`, { cause }),
        );
      });
  });
}
