/** Shibumi as a subject of the vector benchmarks: filled through its API, searched through it or straight on the core. */

import type { Database, IndexType, VectorSpaceOptions } from '../../src/api/database.ts';
import type { Core } from '../../src/kernel/module.ts';
import type { VectorSpace } from '../../src/space/vector-space.ts';
import { makeSpace } from '../data/core-space.ts';
import { type DataSet, rowAt, rowCount, truthK } from '../data/data-set.ts';
import { makeRow, type Row, type RowFrame } from './row.ts';
import type { SearchSubject } from './search-curve.ts';

export const spaceName = 'vectors';
export const efConstruction = 128;

/**
 * Puts the whole set into a new space and waits until the index knows it all and it is stored; tells what that took.
 * The build's time is that of a caller: checking, log, linking, everything up to the complete index.
 */
export async function fillDatabase(
  db: Database,
  data: DataSet,
  indexType: IndexType,
  frame: RowFrame,
  options: Partial<VectorSpaceOptions> = {},
): Promise<Row[]> {
  const { dimension, metric } = data;
  const count = rowCount(data);
  await db.createSpace(spaceName, 'vector', {
    dimension,
    metric,
    indexType,
    efConstruction,
    durability: 'relaxed',
    ...options,
  });
  await db.useSpace(spaceName);
  const ids = BigInt64Array.from({ length: count }, (_, i) => BigInt(i));
  const started = performance.now();
  await db.insertVectors(ids, data.base);
  await db.waitForIndex();
  const seconds = (performance.now() - started) / 1000;
  await db.checkpoint();
  const { memoryBytes, storedBytes } = await db.describeSpace(spaceName);
  return [
    makeRow(frame, 'buildPerSecond', count / seconds, indexType.startsWith('HNSW') ? { efConstruction } : {}),
    makeRow(frame, 'bytesPerVector', memoryBytes / count, { where: 'memory' }),
    makeRow(frame, 'bytesPerVector', storedBytes / count, { where: 'stored' }),
  ];
}

/** Searches as an application does. */
export function apiSubject(db: Database, frame: RowFrame, callers = 1): SearchSubject {
  return {
    frame: { ...frame, params: { ...frame.params, path: 'api' } },
    chooses: true,
    callers,
    async search(query, efSearch) {
      const hits = await db.searchTopK(query, truthK, efSearch === 0 ? {} : { efSearch });
      return hits.map(({ id }) => id as number);
    },
  };
}

/** Searches in the caller's own thread, without messages and promises: what a library of index alone does too. */
export function coreSubject(space: VectorSpace, frame: RowFrame): SearchSubject {
  return {
    frame: { ...frame, params: { ...frame.params, path: 'core' } },
    chooses: true,
    search(query, efSearch) {
      const ids: number[] = [];
      for (const { id } of space.searchTopK(query, truthK, efSearch === 0 ? {} : { efSearch }))
        ids.push(id as number);
      return ids;
    },
  };
}

/** The same of an index of so many lists, told how many of them to look through. Recall 0.9 is what IVF is for. */
export function listsSubject(space: VectorSpace, lists: number, frame: RowFrame): SearchSubject {
  return {
    frame: { ...frame, params: { ...frame.params, path: 'core' } },
    chooses: true,
    knob: { name: 'nprobe', least: 1, most: lists },
    targets: listTargets,
    search(query, nprobe) {
      const ids: number[] = [];
      for (const { id } of space.searchTopK(query, truthK, nprobe === 0 ? {} : { nprobe }))
        ids.push(id as number);
      return ids;
    },
  };
}

/** What lists are to be compared with: our own scan of everything. */
export function flatBeside(
  core: Core,
  data: DataSet,
  frame: Omit<RowFrame, 'subject' | 'params'>,
): SearchSubject {
  const { search } = coreSubject(makeSpace(core, data, 'Flat'), { ...frame, subject: 'flat', params: {} });
  const params = { build: core.build, path: 'core' };
  return { frame: { ...frame, subject: 'flat', params }, exact: true, targets: listTargets, search };
}

const listTargets = [
  ['qps@0.9', 0.9],
  ['qps@0.95', 0.95],
] as const;

/** Time from asking for the database to its first answer. */
export async function timeOpen(
  open: () => Promise<Database>,
  data: DataSet,
): Promise<{ db: Database; openMs: number }> {
  const started = performance.now();
  const db = await open();
  await db.useSpace(spaceName);
  const hits = await db.searchTopK(rowAt(data.queries, data.dimension, 0), truthK);
  const openMs = performance.now() - started;
  if (hits.length === 0) throw new Error('The database that was opened again found nothing');
  return { db, openMs };
}
