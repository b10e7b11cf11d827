/** Puts an engine together in this process: the core's build, a folder with its lock or plain memory, a session. */

import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { markAsUntransferable } from 'node:worker_threads';
import type { Encryption } from '../api/encryption.ts';
import { shibuDbError } from '../api/errors.ts';
import { invalid, oneOf } from '../base/arguments.ts';
import { checkEncryption } from '../base/encryption-secret.ts';
import { ValuePool } from '../base/value-pool.ts';
import { DatabaseEngine } from '../engine/database-engine.ts';
import { openStaticSession } from '../engine/open-static.ts';
import { loadParts } from '../engine/parts.ts';
import { Session } from '../engine/session.ts';
import { defaultSettings, type Environment, type Settings } from '../engine/settings.ts';
import { type EngineShare, type OpenedEngine, SharedEngines } from '../engine/shared-engines.ts';
import { checksumOf } from '../kernel/checksum.ts';
import { type BuildName, type Core, checkWhole, oneCore, supportedBuild } from '../kernel/module.ts';
import type { StorageBackend } from '../storage/backend.ts';
import { sealedExtraBytes } from '../storage/encryption/record-cipher.ts';
import { MemoryBackend } from '../storage/memory-backend.ts';
import type { StaticOptions } from '../storage/static/static-backend.ts';
import { threadedWasmFile, wasmFile } from '../wasm-files.ts';
import { plainBlockBytes } from './block-file.ts';
import { FileBackend, holdsDatabase, removeDatabase } from './file-backend.ts';
import { fileError, nodeFileSystem, reasonOf } from './file-system.ts';
import { lockFolder } from './folder-lock.ts';
import { nodeThreads } from './helper-thread.ts';
import { nativeScrypt } from './native-scrypt.ts';

export interface EngineOptions {
  readonly build?: BuildName;
  readonly wasm?: URL | string | WebAssembly.Module;
  readonly storage?: 'files' | 'memory';
  readonly create?: boolean;
  readonly openTimeoutMs?: number;
  readonly onCorruption?: 'fail' | 'salvage';
  readonly encryption?: Encryption;
  readonly memoryBudgetBytes?: number;
  readonly threads?: number;
  readonly settings?: Partial<Settings>;
}

/** One caller's session, which closes the engine when it is the last that has it. */
export async function openSession(place: string, options: EngineOptions): Promise<Session> {
  const { engine, close } = await openEngine(place, options);
  return new Session(engine, close, new ValuePool(untransferable));
}

/** Whoever tries to transfer a value is told so, instead of taking others along; not every runtime can do that. */
function untransferable(bytes: number): Uint8Array {
  const { buffer } = new Uint8Array(bytes);
  try {
    markAsUntransferable(buffer);
  } catch {
    // Then it is as with any view.
  }
  return new Uint8Array(buffer);
}

/** A session over a static snapshot. */
export async function openSnapshot(
  source: StaticOptions & { readonly from: string },
  options: EngineOptions,
): Promise<Session> {
  checkRuntime();
  return openStaticSession(source, {
    cores: oneCore(await loadCore(options)),
    ...engineDefaults(options),
  });
}

/** A share in the engine of a folder, or a memory engine of one's own. */
export async function openEngine(place: string, given: EngineOptions): Promise<EngineShare> {
  checkRuntime();
  const { encryption, ...rest } = given;
  const options: EngineOptions =
    encryption === undefined ? rest : { ...rest, encryption: checkEncryption(encryption) };
  const core = await loadCore(options);
  const storage = oneOf(options.storage ?? 'files', ['files', 'memory'], 'storage');
  if (storage === 'memory') {
    const engine = await startEngine(place, core, new MemoryBackend(), options);
    return { engine, close: () => engine.close() };
  }
  const folder = path.resolve(place);
  await makeFolder(folder, options.create ?? true);
  return engines.share(
    await realPath(folder),
    () => openFolder(place, folder, core, options),
    async ({ engine, build }) => {
      if (options.build !== undefined && options.build !== build)
        throw invalid(`Got build ${options.build}, but ${folder} is open in this process with ${build}`);
      await engine.admit(options.encryption);
    },
  );
}

/** What this process has open, by folder: opening one again gives another share in it. */
const engines = new SharedEngines<OpenedEngine & { readonly build: BuildName }>();

async function openFolder(
  place: string,
  folder: string,
  core: Core,
  options: EngineOptions,
): Promise<OpenedEngine & { readonly build: BuildName }> {
  const lock = await takeLock(folder, options.openTimeoutMs ?? 0);
  let backend: FileBackend | undefined;
  const release = async (): Promise<void> => {
    await backend?.closed();
    lock.release();
  };
  try {
    const blockBytesMax = plainBlockBytes + (options.encryption === undefined ? 0 : sealedExtraBytes);
    backend = await FileBackend.open(folder, checksumOf(core), nodeFileSystem, blockBytesMax);
    return { engine: await startEngine(place, core, backend, options), release, build: core.build };
  } catch (error) {
    await release();
    throw error;
  }
}

/** Removes a database; there may have been none. */
export async function deleteFolder(place: string, timeoutMs: number): Promise<void> {
  const folder = path.resolve(place);
  if (!(await nodeFileSystem.list(folder).catch(() => [])).length) return;
  const lock = await takeLock(folder, timeoutMs);
  try {
    await removeDatabase(folder);
  } catch (error) {
    throw fileError(error, 'deleteDatabase', folder);
  } finally {
    lock.release();
  }
  // Only an empty folder goes: what else is in it is not ours.
  await nodeFileSystem.removeEmptyFolder(folder).catch(() => {});
}

async function startEngine(
  name: string,
  core: Core,
  backend: StorageBackend,
  options: EngineOptions,
): Promise<DatabaseEngine> {
  await loadParts();
  return DatabaseEngine.open({
    name,
    cores: oneCore(core),
    backend,
    ...engineDefaults(options),
    encryption: options.encryption,
    ...(options.memoryBudgetBytes === undefined ? {} : { memoryBudgetBytes: options.memoryBudgetBytes }),
    onCorruption: oneOf(options.onCorruption ?? 'fail', ['fail', 'salvage'], 'onCorruption'),
    threads: nodeThreads(options.threads, () => compileFile(threadedWasmFile(core.build))),
  });
}

function engineDefaults({ settings }: EngineOptions): Pick<Environment, 'now' | 'scrypt' | 'settings'> {
  return {
    now: () => performance.now(),
    scrypt: nativeScrypt,
    settings: { ...defaultSettings, ...settings },
  };
}

function checkRuntime(): void {
  if (typeof Promise.withResolvers === 'function' && typeof Map.groupBy === 'function') return;
  throw shibuDbError(
    'UNSUPPORTED',
    `shibumi/node needs Node 22 or newer, Bun or Deno; got Node ${process.versions.node}`,
  );
}

async function makeFolder(folder: string, create: boolean): Promise<void> {
  try {
    if (!create && !(await holdsDatabase(folder))) {
      throw shibuDbError('STORAGE_UNAVAILABLE', `There is no database in ${folder}`, {
        details: { path: folder },
      });
    }
    await nodeFileSystem.makeFolder(folder);
  } catch (error) {
    throw fileError(error, 'open', folder);
  }
}

/** Two ways to one folder are one folder. */
async function realPath(folder: string): Promise<string> {
  try {
    return await realpath(folder);
  } catch (error) {
    throw fileError(error, 'open', folder);
  }
}

async function takeLock(folder: string, timeoutMs: number): ReturnType<typeof lockFolder> {
  try {
    return await lockFolder(folder, timeoutMs);
  } catch (error) {
    throw fileError(error, 'open', folder);
  }
}

/** The whole core: there is nothing to download. @throws UNSUPPORTED without the SIMD that the build needs, WASM_UNAVAILABLE when the file cannot be read */
export async function loadCore({ build, wasm }: Pick<EngineOptions, 'build' | 'wasm'>): Promise<Core> {
  if (build !== undefined) oneOf(build, ['simd128', 'relaxed'], 'build');
  const supported = supportedBuild();
  if (supported === undefined || (build === 'relaxed' && supported !== 'relaxed')) {
    const missing = supported === undefined ? 'WebAssembly SIMD, which Shibumi needs' : 'relaxed SIMD';
    throw shibuDbError('UNSUPPORTED', `This runtime has no ${missing}`);
  }
  const name = build ?? supported;
  const module = wasm instanceof WebAssembly.Module ? wasm : await compileFile(wasm ?? wasmFile(name));
  checkWhole(module);
  return { build: name, module };
}

async function compileFile(source: URL | string): Promise<WebAssembly.Module> {
  const file = source instanceof URL || source.startsWith('file:') ? fileURLToPath(source) : source;
  try {
    return await WebAssembly.compile(await readFile(file));
  } catch (cause) {
    throw shibuDbError(
      'WASM_UNAVAILABLE',
      `The WASM core cannot be loaded from ${file}: ${reasonOf(cause)}`,
      {
        cause,
      },
    );
  }
}
