/** A database in this process, over a memory disk that outlives it. */

import { DatabaseClient } from '../../src/client/database-client.ts';
import type { Transport } from '../../src/client/transport.ts';
import { DatabaseEngine } from '../../src/engine/database-engine.ts';
import { Session } from '../../src/engine/session.ts';
import { defaultSettings, type Settings } from '../../src/engine/settings.ts';
import type { BuildName } from '../../src/kernel/module.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { loadCore } from './core.ts';

export class InProcessDatabase extends DatabaseClient {
  readonly disk: MemoryDisk;
  readonly #backend: MemoryBackend;

  constructor(transport: Transport, disk: MemoryDisk, backend: MemoryBackend) {
    super(transport);
    this.disk = disk;
    this.#backend = backend;
  }

  /** Ends as a killed process does: nothing more reaches the disk. */
  async crash(): Promise<void> {
    this.#backend.close();
  }
}

export async function openInProcess(
  disk: MemoryDisk = new MemoryDisk(),
  options: { build?: BuildName; settings?: Partial<Settings>; wallClock?: () => number } = {},
): Promise<InProcessDatabase> {
  const backend = new MemoryBackend(disk);
  const engine = await DatabaseEngine.open({
    name: 'test',
    core: loadCore(options.build),
    backend,
    now: () => performance.now(),
    wallClock: options.wallClock ?? Date.now,
    settings: { ...defaultSettings, ...options.settings },
  });
  const session = new Session(engine, () => engine.close());
  const transport: Transport = {
    async call(method, args, context) {
      return session.call(method, args, context);
    },
    release() {},
  };
  return new InProcessDatabase(transport, disk, backend);
}
