/** Where tests keep things: fresh folders, and the backends as places of the suite. */

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { checksumOf } from '../../src/kernel/checksum.ts';
import { FileBackend } from '../../src/node/file-backend.ts';
import { nodeFileSystem } from '../../src/node/file-system.ts';
import type { Checksum } from '../../src/storage/envelope.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import type { Place } from '../support/backend-cases.ts';
import { nodeCore } from '../support/node-database.ts';

export const checksum: Checksum = checksumOf(nodeCore());

/** A fresh folder that goes away when the scope that holds it ends. */
export async function freshFolder(): Promise<{ path: string } & AsyncDisposable> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'shibumi-node-'));
  return { path: folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

export async function memoryPlace(): Promise<Place> {
  const disk = new MemoryDisk();
  return { open: async () => new MemoryBackend(disk), settled: async () => {}, remove: async () => {} };
}

export async function filesPlace(blockBytesMax?: number): Promise<Place> {
  const folder = await freshFolder();
  return {
    open: () => FileBackend.open(folder.path, checksum, nodeFileSystem, blockBytesMax),
    settled: (backend) => (backend as FileBackend).closed(),
    remove: async () => folder[Symbol.asyncDispose](),
  };
}
