/** A `Database` in this process, over a backend of the test's choice. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Database, Encryption } from '../../src/api/database.ts';
import { ValuePool } from '../../src/base/value-pool.ts';
import { type ClientOptions, openClient } from '../../src/client/open-client.ts';
import { DatabaseEngine } from '../../src/engine/database-engine.ts';
import type { Threads } from '../../src/engine/helper.ts';
import { Session } from '../../src/engine/session.ts';
import { defaultSettings, type Settings } from '../../src/engine/settings.ts';
import { type BuildName, type Core, type CoreKind, type Cores, LazyCores } from '../../src/kernel/module.ts';
import { DirectTransport } from '../../src/local/direct-transport.ts';
import { nodeThreads } from '../../src/node/helper-thread.ts';
import type { StorageBackend } from '../../src/storage/backend.ts';

const cores: Map<string, Core> = new Map();
const wasmFolder = path.resolve(import.meta.dirname, '../../build/wasm');

/** @throws when the core is not built; tests run by `npm test` have it */
export function nodeCore(build: BuildName = 'simd128'): Core {
  return loadCore(`shibumi-${build}`, build);
}

/** One that serves spaces of a kind. */
export function nodeCoreFor(kind: CoreKind, build: BuildName = 'simd128'): Core {
  return kind === 'whole' ? nodeCore(build) : { ...loadCore(`shibumi-${build}-${kind}`, build), kind };
}

/** Cores as a page has them: of each the part that a space needs, when it needs it. */
export function nodeCores(build: BuildName = 'simd128'): Cores {
  return new LazyCores(build, async (kind) => nodeCoreFor(kind, build));
}

/** A core that exports the kernels too (wasm/exports_kernels.cc), which the shipped one does not. */
export function nodeKernels(build: BuildName): Core {
  return loadCore(`kernels-${build}`, build);
}

function loadCore(name: string, build: BuildName): Core {
  let core = cores.get(name);
  if (core === undefined) {
    const file = path.join(wasmFolder, `${name}.wasm`);
    core = { build, module: new WebAssembly.Module(readFileSync(file)) };
    cores.set(name, core);
  }
  return core;
}

/** Worker threads that link in bulk. */
export function nodeTestThreads(count: number, build: BuildName = 'simd128'): Threads {
  const file = path.join(wasmFolder, `shibumi-${build}-threads.wasm`);
  const threads = nodeThreads(count, async () => new WebAssembly.Module(readFileSync(file)));
  if (threads === undefined) throw new Error(`Got ${count} threads, expected 2 or more`);
  return threads;
}

/** Tests sign in often. What the real cost gives is tested where the real `open` is. */
const cheapPasswords: Pick<Settings, 'passwordCost'> = { passwordCost: { N: 256, r: 8, p: 1 } };

export interface NodeDatabaseOptions extends ClientOptions {
  readonly backend: StorageBackend;
  readonly build?: BuildName;
  /** Default: `nodeCores`. */
  readonly cores?: Cores;
  readonly settings?: Partial<Settings>;
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly wallClock?: () => number;
  readonly onCorruption?: 'fail' | 'salvage';
  readonly encryption?: Encryption | undefined;
  readonly memoryBudgetBytes?: number;
  readonly threads?: Threads | undefined;
}

export function startNodeEngine(
  name: string,
  {
    backend,
    build = 'simd128',
    cores = nodeCores(build),
    settings = {},
    wallClock = Date.now,
    onCorruption = 'fail',
    encryption,
    memoryBudgetBytes,
    threads,
  }: NodeDatabaseOptions,
): Promise<DatabaseEngine> {
  return DatabaseEngine.open({
    name,
    cores,
    backend,
    now: () => performance.now(),
    wallClock,
    onCorruption,
    encryption,
    ...(memoryBudgetBytes === undefined ? {} : { memoryBudgetBytes }),
    threads,
    settings: { ...defaultSettings, ...cheapPasswords, ...settings },
  });
}

export async function openNodeDatabase(name: string, options: NodeDatabaseOptions): Promise<Database> {
  const engine = await startNodeEngine(name, options);
  const session = new Session(engine, () => engine.close(), new ValuePool());
  return openClient(() => new DirectTransport(session), options);
}
