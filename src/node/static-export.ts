/**
 * Writing a database, whatever it is behind, as a static snapshot (storage/static/index-file.ts).
 *
 * What is written are not the database's own blocks: those still hold bytes of what was deleted, which nobody wants to publish.
 * Its contents are copied into a fresh database beside the snapshot and indexed there; the blocks of that one are dense, and
 * nobody has to stop writing.
 */

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Database, Progress } from '../api/database.ts';
import { integerIn } from '../base/arguments.ts';
import { DatabaseClient } from '../client/database-client.ts';
import { checksumOf } from '../kernel/checksum.ts';
import { DirectTransport } from '../local/direct-transport.ts';
import { rootFormat, rootName, rootVersion, type StaticRoot } from '../storage/static/index-file.ts';
import { FileBackend } from './file-backend.ts';
import { loadCore, openSession } from './open-engine.ts';
import { otherFiles, removeFiles, writeFiles, writeRoot } from './static-files.ts';

/** Below what hosts take for one file: the least that is known is 25 MiB (Cloudflare Pages). */
const defaultPackBytes = 24 * 1024 * 1024;
const packBytesMin = 1024 * 1024;
const packBytesMost = 2 ** 31 - 1;

/** What of a database becomes files. */
export interface StaticExportOptions {
  /** Default: all. */
  spaces?: readonly string[];
  /** Most bytes of one file, 1 MiB or more. Default 24 MiB. */
  packBytes?: number;
  /** Removes the files of earlier snapshots from the folder; pages that have one open may still want them. Default false. */
  prune?: boolean;
  /** `copy` counts entries and vectors, `index` vectors of a space, `write` bytes. */
  onProgress?: (step: 'copy' | 'index' | 'write', progress: Progress) => void;
}

/** What was written. */
export interface StaticExportReport {
  /** Names of the files that make up the snapshot. */
  readonly files: readonly string[];
  /** Bytes of all files with data. */
  readonly bytes: number;
  /** How many of them have to be there before a space answers. */
  readonly firstBytes: number;
  /** Files of earlier snapshots that are left in the folder. */
  readonly left: readonly string[];
}

/**
 * Writes spaces of `db` into `folder`, which may hold an earlier snapshot: whoever has that one open goes on reading it.
 *
 * @throws SPACE_NOT_FOUND, and what the file system fails with; the folder's snapshot is then what it was
 */
export async function exportStatic(
  db: Database,
  folder: string,
  { spaces, packBytes = defaultPackBytes, prune = false, onProgress = () => {} }: StaticExportOptions = {},
): Promise<StaticExportReport> {
  integerIn(packBytes, packBytesMin, packBytesMost, 'packBytes');
  await mkdir(folder, { recursive: true });
  const copy = await mkdtemp(path.join(folder, '.shibumi-copy-'));
  try {
    const facts = await copyContents(db, copy, spaces, onProgress);
    const checksum = checksumOf(await loadCore({}));
    const backend = await FileBackend.open(copy, checksum);
    const onWritten = (done: number, total: number): void => onProgress('write', { done, total });
    const { index, files, bytes, firstBytes } = await writeFiles(
      backend,
      folder,
      packBytes,
      checksum,
      onWritten,
    ).finally(() => backend.close());
    const root: StaticRoot = { format: rootFormat, version: rootVersion, index, bytes, spaces: facts };
    await writeRoot(folder, `${JSON.stringify(root, undefined, 2)}\n`);
    const left = await otherFiles(folder, files);
    if (prune) await removeFiles(folder, left);
    return { files: [...files, rootName], bytes, firstBytes, left: prune ? [] : left };
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function copyContents(
  db: Database,
  folder: string,
  spaces: readonly string[] | undefined,
  onProgress: NonNullable<StaticExportOptions['onProgress']>,
): Promise<StaticRoot['spaces']> {
  const fresh = new DatabaseClient(new DirectTransport(await openSession(folder, {})));
  try {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const told = (progress: Progress): void => onProgress('copy', progress);
    const wanted = spaces === undefined ? {} : { spaces };
    await Promise.all([db.exportTo(writable, { ...wanted, onProgress: told }), fresh.importFrom(readable)]);
    const facts: { name: string; engine: string; count: number }[] = [];
    for (const { name, engine } of await fresh.listSpaces()) {
      if (engine === 'vector') await indexed(fresh, name, (done) => onProgress('index', done));
      facts.push({ name, engine, count: (await fresh.describeSpace(name)).count });
    }
    return facts;
  } finally {
    // The last checkpoint belongs to it.
    await fresh.close();
  }
}

/** With `Auto` another index may be chosen while one is being made. */
async function indexed(db: Database, space: string, onProgress: (progress: Progress) => void): Promise<void> {
  do await db.waitForIndex({ space, onProgress });
  while (((await db.describeSpace(space)).index?.pending ?? 0) > 0);
}
