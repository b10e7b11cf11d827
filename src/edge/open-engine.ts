/** Puts an engine together inside a Durable Object: its SQLite storage, the compiled core, bounds that fit an isolate. */

import type { Encryption } from '../api/encryption.ts';
import { integerIn, invalid, shown } from '../base/arguments.ts';
import { checkEncryption } from '../base/encryption-secret.ts';
import type { ClientOptions } from '../client/open-client.ts';
import { DatabaseEngine } from '../engine/database-engine.ts';
import { openStaticSession } from '../engine/open-static.ts';
import { loadParts } from '../engine/parts.ts';
import type { Session } from '../engine/session.ts';
import { defaultSettings, type Environment, type Settings } from '../engine/settings.ts';
import { MemoryBudget } from '../kernel/memory-budget.ts';
import { buildOf, checkWhole, oneCore } from '../kernel/module.ts';
import type { StaticOptions } from '../storage/static/static-backend.ts';
import type { DurableStorage } from './durable-storage.ts';
import { edgePasswordCost, edgeScrypt } from './edge-scrypt.ts';
import { SqliteBackend } from './sqlite-backend.ts';
import { stepClock } from './step-clock.ts';

/** What `open` at the edge may be told. */
export interface EdgeOptions extends ClientOptions {
  /** The compiled core, the whole one, by static import of `shibumi/shibumi-relaxed.wasm` or `shibumi/shibumi-simd128.wasm`. */
  wasm: WebAssembly.Module;
  /** Begins the names of its tables: several databases and tables of your own can share an object. Default `shibumi`. */
  prefix?: string;
  /**
   * WASM memory that all databases of this isolate may hold together, in bytes; the first one opened decides. An isolate has
   * 128 MB for everything, and objects of one class share it. Default 80 MiB, which leaves room for code and buffers.
   */
  memoryBytesMax?: number;
  /**
   * Encrypts everything that is stored, on top of what the platform does. A database is made encrypted or is not. A `key` (from a
   * secret binding, say) costs nothing at an opening; a password costs one hash, 0.3 s of CPU time. Default: nothing is encrypted.
   */
  encryption?: Encryption;
}

/** Options of a static snapshot, which has no tables. */
export type StaticEdgeOptions = Omit<EdgeOptions, 'prefix' | 'admin' | 'encryption'>;

export const defaultPrefix = 'shibumi';
const defaultMemoryBytesMax = 80 * 1024 * 1024;
const isolateBytes = 128_000_000;

/** Smaller than elsewhere: what waits for the storage is in memory twice, and one event may not work for long. */
const edgeSettings: Settings = {
  ...defaultSettings,
  checkpointLogBytes: 8 * 1024 * 1024,
  groupBytesMax: 2 * 1024 * 1024,
  snapshotBytesMax: 4 * 1024 * 1024,
  residentSpacesMax: 4,
  linksPerWakeMax: 2000,
  passwordCost: edgePasswordCost,
};

/** One an isolate: it is what objects of one class, and classes of one script, share. */
let isolateMemory: MemoryBudget | undefined;

/** @throws INVALID_ARGUMENT, CORRUPTION, VERSION_MISMATCH, OUT_OF_MEMORY, INVALID_CREDENTIALS, ENCRYPTED, NOT_ENCRYPTED */
export async function openEngine(
  storage: DurableStorage,
  options: Omit<EdgeOptions, keyof ClientOptions>,
  settings: Partial<Settings> = {},
): Promise<DatabaseEngine> {
  const { prefix = defaultPrefix } = options;
  await loadParts();
  return DatabaseEngine.open({
    name: prefix,
    backend: new SqliteBackend(storage, prefix),
    ...edgeEnvironment(options, settings),
  });
}

/** A session over a static snapshot. @throws INVALID_ARGUMENT, STORAGE_UNAVAILABLE, CORRUPTION, OUT_OF_MEMORY */
export function openSnapshot(
  source: StaticOptions & { readonly from: string },
  options: StaticEdgeOptions,
): Promise<Session> {
  return openStaticSession(source, edgeEnvironment(options, { backgroundTimers: false }));
}

function edgeEnvironment(
  { wasm, memoryBytesMax = defaultMemoryBytesMax, encryption }: Omit<EdgeOptions, keyof ClientOptions>,
  settings: Partial<Settings>,
): Omit<Environment, 'name' | 'backend'> {
  if (!(wasm instanceof WebAssembly.Module)) {
    throw invalid(
      `Got ${shown(wasm)} for wasm, expected a WebAssembly.Module: import one from shibumi/shibumi-relaxed.wasm`,
    );
  }
  checkWhole(wasm);
  integerIn(memoryBytesMax, 8 * 1024 * 1024, isolateBytes, 'memoryBytesMax');
  isolateMemory ??= new MemoryBudget(memoryBytesMax);
  return {
    cores: oneCore({ module: wasm, build: buildOf(wasm) }),
    now: stepClock(() => performance.now()),
    scrypt: edgeScrypt,
    encryption: encryption && checkEncryption(encryption),
    settings: { ...edgeSettings, ...settings },
    memory: isolateMemory,
    // What can be dropped is, before the bound of the isolate refuses something.
    memoryBudgetBytes: Math.floor((isolateMemory.bytesMax * 3) / 4),
  };
}
