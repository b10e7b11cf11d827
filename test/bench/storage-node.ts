/**
 * What loading and compacting cost, with the engine in this process over memory, so that every byte and every wait is the engine's:
 * bytes written for a vector, opening after a crash in the middle of a load, and a space of which nine tenths are deleted.
 */

import type { Database } from '../../src/api/database.ts';
import { nextTask } from '../../src/base/next-task.ts';
import type { StorageBackend } from '../../src/storage/backend.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { type DataSet, exactDistance, queryCount, rowAt, rowCount, truthK } from '../data/data-set.ts';
import { cloneDisk } from '../support/clone-disk.ts';
import { openNodeDatabase } from '../support/node-database.ts';
import { makeRow, median, percentile, type Row, type RowFrame } from './row.ts';
import { efConstruction, spaceName, timeOpen } from './shibumi-subject.ts';

const indexType = 'HNSW16';
/** Calls that a load, or its deletion, is made in. */
const parts = 20;
const openings = 5;
const quietMs = 3000;

function frameOf(scenario: string, { name }: DataSet): RowFrame {
  return {
    suite: 'storage',
    scenario,
    subject: 'shibumi',
    runtime: 'node',
    data: name,
    params: { indexType },
  };
}

/** Bytes that went to storage, by what for. */
export class WrittenBytes {
  log = 0;
  checkpoints = 0;

  watch(backend: StorageBackend): StorageBackend {
    const append: StorageBackend['append'] = (entries, flush) => {
      for (const { bytes } of entries) this.log += bytes.length;
      return backend.append(entries, flush);
    };
    const appendNow: StorageBackend['appendNow'] = (entry) => {
      this.log += entry.bytes.length;
      backend.appendNow?.(entry);
    };
    const writeBlocks: StorageBackend['writeBlocks'] = (space, blocks) => {
      for (const { bytes } of blocks) this.checkpoints += bytes.length;
      return backend.writeBlocks(space, blocks);
    };
    const publish: StorageBackend['publish'] = (space, manifest) => {
      this.checkpoints += manifest.length;
      return backend.publish(space, manifest);
    };
    const watched: Partial<StorageBackend> = { append, writeBlocks, publish };
    if (backend.appendNow !== undefined) Object.assign(watched, { appendNow });
    return new Proxy(backend, {
      get: (target, name) => {
        const member: unknown = Reflect.get(watched, name) ?? Reflect.get(target, name, target);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
  }
}

function createVectors(db: Database, { dimension, metric }: DataSet): Promise<void> {
  return db.createSpace(spaceName, 'vector', { dimension, metric, indexType, efConstruction });
}

function insert(db: Database, { base, dimension }: DataSet, from: number, to: number): Promise<unknown> {
  const ids = BigInt64Array.from({ length: to - from }, (_, i) => BigInt(from + i));
  return db.insertVectors(ids, base.subarray(from * dimension, to * dimension), { space: spaceName });
}

/** A whole load: what it writes, and what opening costs when it is cut off in the middle. */
export async function measureLoad(data: DataSet, log: (line: string) => void): Promise<Row[]> {
  log('storage: bytes written in a load');
  const disk = new MemoryDisk();
  const written = new WrittenBytes();
  const db = await openNodeDatabase('load', { backend: written.watch(new MemoryBackend(disk)) });
  await createVectors(db, data);
  const count = rowCount(data);
  const batch = Math.ceil(count / parts);
  let crashed: MemoryDisk | undefined;
  for (let from = 0; from < count; from += batch) {
    if (crashed === undefined && from >= count / 2) crashed = cloneDisk(disk);
    await insert(db, data, from, Math.min(count, from + batch));
  }
  await db.waitForIndex({ space: spaceName });
  await db.close();
  const frame = frameOf('load', data);
  const each = (where: string, bytes: number): Row =>
    makeRow(frame, 'bytesPerVector', bytes / count, { where });
  return [
    each('written', written.log + written.checkpoints),
    each('written to the log', written.log),
    each('written by checkpoints', written.checkpoints),
    { ...each('of the vector itself', count * data.dimension * 4), subject: 'raw' },
    ...(await measureCrashed(data, crashed as MemoryDisk)),
  ];
}

/** Until the first answer, exact over what is not linked yet; and reading the same blocks and records. */
async function measureCrashed(data: DataSet, crashed: MemoryDisk): Promise<Row[]> {
  const openMs: number[] = [];
  const readMs: number[] = [];
  for (let i = 0; i < openings; i++) {
    const disk = cloneDisk(crashed);
    const opened = await timeOpen(() => openNodeDatabase('load', { backend: new MemoryBackend(disk) }), data);
    openMs.push(opened.openMs);
    await opened.db.close();
    readMs.push(timeCopy(crashed));
  }
  const frame = frameOf('crash', data);
  return [
    makeRow(frame, 'openMs', median(openMs)),
    makeRow({ ...frame, subject: 'memory-copy' }, 'readMs', median(readMs)),
  ];
}

function timeCopy({ spaces }: MemoryDisk): number {
  const started = performance.now();
  const target = new Uint8Array(256 * 1024);
  for (const { blocks } of spaces.values()) for (const { bytes } of blocks.values()) target.set(bytes);
  return performance.now() - started;
}

/** Nine of ten deleted and compacted, beside a database that only ever held the rest. */
export async function measureCompaction(data: DataSet, log: (line: string) => void): Promise<Row[]> {
  log('storage: compaction');
  const count = rowCount(data);
  const kept = Math.floor(count / 10);
  const batch = Math.ceil(count / parts);
  let compactedAtMs = Number.POSITIVE_INFINITY;
  const db = await openNodeDatabase('compact', {
    backend: new MemoryBackend(),
    settings: { compactPauseMs: 0, compactBlocksMin: 1 },
    log: {
      level: 'info',
      write: ({ event }) => {
        if (event === 'compacted') compactedAtMs = performance.now();
      },
    },
  });
  await createVectors(db, data);
  await insert(db, data, 0, count);
  await db.waitForIndex({ space: spaceName });
  await db.checkpoint();
  const started = performance.now();
  const waits = await waitsDuring(db, async () => {
    const ids = Array.from({ length: count - kept }, (_, i) => kept + i);
    for (let from = 0; from < ids.length; from += batch) {
      // As calls from another thread come. Over memory all of them would else be made in one turn of the event loop.
      await nextTask();
      await db.deleteVectors(ids.slice(from, from + batch), { space: spaceName });
    }
    // While vectors are deleted there may be several; none follows the last one for long.
    while (!(performance.now() - compactedAtMs > quietMs)) await nextTask();
    await db.waitForIndex({ space: spaceName });
    await db.checkpoint();
  });
  // What the machine itself keeps a reader waiting for in as long a time.
  const until = 2 * performance.now() - started;
  const idle = await waitsDuring(db, async () => {
    while (performance.now() < until) await nextTask();
  });

  const fresh = await openNodeDatabase('fresh', { backend: new MemoryBackend() });
  await createVectors(fresh, data);
  await insert(fresh, data, 0, kept);
  await fresh.waitForIndex({ space: spaceName });
  await fresh.checkpoint();
  const frame = frameOf('compact', data);
  const stallRows = (of: number[], compaction: 'everything' | 'none'): Row[] => [
    makeRow(frame, 'stallP99Ms', percentile(of, 99), { compaction }),
    makeRow(frame, 'stallMaxMs', percentile(of, 100), { compaction }),
  ];
  return [
    ...stallRows(waits, 'everything'),
    ...stallRows(idle, 'none'),
    ...(await sizeAndRecall(db, data, kept, frame)),
    ...(await sizeAndRecall(fresh, data, kept, { ...frame, subject: 'fresh' })),
  ];
}

/** Reads again and again beside the work; what each read had to wait, the turn of the event loop before it included. */
async function waitsDuring(db: Database, work: () => Promise<void>): Promise<number[]> {
  const waits: number[] = [];
  let over = false;
  const reading = (async () => {
    while (!over) {
      const started = performance.now();
      await nextTask();
      await db.getVector(0, { space: spaceName });
      waits.push(performance.now() - started);
    }
  })();
  await work();
  over = true;
  await reading;
  return waits;
}

async function sizeAndRecall(db: Database, data: DataSet, kept: number, frame: RowFrame): Promise<Row[]> {
  const { memoryBytes, storedBytes } = await db.describeSpace(spaceName);
  const { metric, dimension, base } = data;
  const queries = Math.min(100, queryCount(data));
  let found = 0;
  for (let i = 0; i < queries; i++) {
    const query = rowAt(data.queries, dimension, i);
    const distances = Float64Array.from({ length: kept }, (_, row) =>
      exactDistance(metric, query, rowAt(base, dimension, row)),
    );
    const farthest = distances.slice().sort()[truthK - 1] as number;
    for (const { id } of await db.searchTopK(query, truthK, { space: spaceName }))
      if ((distances[Number(id)] as number) <= farthest) found++;
  }
  await db.close();
  return [
    makeRow(frame, 'bytesPerVector', memoryBytes / kept, { where: 'memory' }),
    makeRow(frame, 'bytesPerVector', storedBytes / kept, { where: 'stored' }),
    makeRow(frame, 'recall', found / (queries * truthK)),
  ];
}
