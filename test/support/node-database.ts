/** A `Database` in this process: the engine over a memory disk, with what a worker boundary would copy or detach. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { ArgumentsOf, Method, ResultOf } from '../../src/api/calls.ts';
import type { Database } from '../../src/api/database.ts';
import { DatabaseClient } from '../../src/client/database-client.ts';
import type { Transport, TransportOptions } from '../../src/client/transport.ts';
import { DatabaseEngine } from '../../src/engine/database-engine.ts';
import { Session } from '../../src/engine/session.ts';
import { defaultSettings, type Settings } from '../../src/engine/settings.ts';
import type { BuildName, Core } from '../../src/kernel/module.ts';
import type { StorageBackend } from '../../src/storage/backend.ts';

const cores: Map<BuildName, Core> = new Map();

/** @throws when the core is not built; tests run by `npm test` have it */
export function nodeCore(build: BuildName): Core {
  let core = cores.get(build);
  if (core === undefined) {
    const file = path.resolve(import.meta.dirname, `../../build/wasm/shibumi-${build}.wasm`);
    core = { build, module: new WebAssembly.Module(readFileSync(file)) };
    cores.set(build, core);
  }
  return core;
}

export interface NodeDatabaseOptions {
  readonly backend: StorageBackend;
  readonly build?: BuildName;
  readonly settings?: Partial<Settings>;
}

/** Stands where the worker's transport stands. */
class CopyingTransport implements Transport {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async call<M extends Method>(
    method: M,
    args: ArgumentsOf<M>,
    { transfer, ...context }: TransportOptions,
  ): Promise<ResultOf<M>> {
    const sent = structuredClone(args, { transfer: [...(transfer ?? [])] });
    return structuredClone(await this.#session.call(method, sent, context));
  }

  release(): void {}
}

export async function openNodeDatabase(
  name: string,
  { backend, build = 'simd128', settings = {} }: NodeDatabaseOptions,
): Promise<Database> {
  const engine = await DatabaseEngine.open({
    name,
    core: nodeCore(build),
    backend,
    now: () => performance.now(),
    settings: { ...defaultSettings, ...settings },
  });
  return new DatabaseClient(new CopyingTransport(new Session(engine, () => engine.close())));
}
