/** A database over a memory disk that outlives it. */

import type { Database } from '../../src/api/database.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { type NodeDatabaseOptions, openNodeDatabase } from '../support/node-database.ts';

export type InProcessDatabase = Database & {
  readonly disk: MemoryDisk;
  /** Ends as a killed process does: nothing more reaches the disk. */
  crash(): void;
};

export async function openInProcess(
  disk: MemoryDisk = new MemoryDisk(),
  options: Omit<NodeDatabaseOptions, 'backend'> = {},
): Promise<InProcessDatabase> {
  const backend = new MemoryBackend(disk);
  const db = await openNodeDatabase('test', { ...options, backend });
  return Object.assign(db, { disk, crash: () => backend.close() });
}
