/**
 * `shibumi/worker`: the script of the worker that owns a database. Loading it exposes the engine through Comlink; it exports
 * nothing. One worker serves one database; the page that spawned it talks to it through `shibumi`.
 */

import * as Comlink from 'comlink';
import { type ErrorEnvelope, toEnvelope } from './api/error-envelope.ts';
import { shibuDbError } from './api/errors.ts';
import { DatabaseEngine } from './engine/database-engine.ts';
import { Session } from './engine/session.ts';
import { defaultSettings } from './engine/settings.ts';
import { type BuildName, type Core, compileCore, supportedBuild } from './kernel/module.ts';
import type { Message, Reply, WorkerEndpoint, WorkerOpenOptions } from './rpc/messages.ts';
import { SessionHost } from './rpc/session-host.ts';
import type { StorageBackend } from './storage/backend.ts';
import { deleteIndexedDb, IndexedDbBackend } from './storage/indexeddb-backend.ts';
import { MemoryBackend } from './storage/memory-backend.ts';
import { wasmFile } from './wasm-files.ts';

/** How long opening waits for a page that is just going away (a reload) to let the database go. */
const defaultOpenTimeoutMs = 10_000;

class Endpoint implements WorkerEndpoint {
  #host: SessionHost | undefined;

  live(aliveLock: string): Promise<void> {
    return holdForEver(aliveLock);
  }

  async open(name: string, options: WorkerOpenOptions): Promise<ErrorEnvelope | undefined> {
    try {
      this.#host = new SessionHost(await openSession(name, options));
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

async function openSession(name: string, options: WorkerOpenOptions): Promise<Session> {
  const timeoutMs = options.openTimeoutMs ?? defaultOpenTimeoutMs;
  const inMemory = options.storage === 'memory';
  // Compiling and waiting for the lock go on side by side.
  const compiling = loadCore(options);
  compiling.catch(() => {});
  const release = inMemory ? () => {} : await takeLock(name, timeoutMs);
  try {
    const backend: StorageBackend = inMemory
      ? new MemoryBackend()
      : await IndexedDbBackend.open(name, { timeoutMs, acceptLoss: options.onCorruption === 'salvage' });
    const core = await compiling;
    const engine = await DatabaseEngine.open({
      name,
      core,
      backend,
      now: () => performance.now(),
      settings: defaultSettings,
    });
    // The page's session is the only one: closing it closes the engine and lets the database go.
    return new Session(engine, () => engine.close().finally(release));
  } catch (error) {
    release();
    throw error;
  }
}

async function loadCore({ build, wasm }: WorkerOpenOptions): Promise<Core> {
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
  if (wasm instanceof WebAssembly.Module) return { build: name, module: wasm };
  return compileCore(name, wasm ?? wasmFile(name));
}

/** Resolves when the lock is held; only the end of this worker lets it go. */
function holdForEver(lock: string): Promise<void> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(lock, () => {
        resolve();
        return new Promise(() => {});
      })
      .catch(reject);
  });
}

/** Makes this worker the only owner of the database. @throws LOCKED when another keeps it for longer than `timeoutMs` */
async function takeLock(name: string, timeoutMs: number): Promise<() => void> {
  // Without Web Locks (an insecure context) nobody can be kept out; everything else works.
  if (navigator.locks === undefined) return () => {};
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(`shibumi:${name}`, { signal: AbortSignal.timeout(timeoutMs) }, () => {
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

Comlink.expose(new Endpoint());
