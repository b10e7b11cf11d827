/** Opening after a load that a crash cut off in the middle: the worker is ended while vectors come in and are linked. */

import { type IDBPDatabase, openDB } from 'idb';
import { deleteDatabase, open } from '../../../src/index.ts';
import { indexedDbName } from '../../../src/storage/indexeddb-backend.ts';
import { type DataSet, exactDistance, rowAt, rowCount, truthK } from '../../data/data-set.ts';
import { makeRow, median, type Row, type RowFrame } from '../row.ts';
import { efConstruction, spaceName, timeOpen } from '../shibumi-subject.ts';
import { interleaved } from './callers.ts';

const name = 'crashed';
const indexType = 'HNSW16';
/** Calls the load is made in; each waits for its acknowledgement. */
const parts = 20;

/**
 * The time until the first answer, which has to be exact over the tail that is not linked, and that of reading the same blocks and log. Every opening
 * ends in a crash again, before what was not linked can have been.
 */
export async function measureCrashed(
  data: DataSet,
  rounds: number,
  frame: Omit<RowFrame, 'subject' | 'params'>,
): Promise<Row[]> {
  console.log('reopen after a crash');
  await deleteDatabase(name);
  const acknowledged = await loadHalf(data);
  let pending = 0;
  const times = await interleaved(rounds, {
    shibumi: async () => {
      const worker = spawnWorker();
      const { db, openMs } = await timeOpen(() => open(name, { worker }), data);
      const hits = await db.searchTopK(rowAt(data.queries, data.dimension, 0), truthK);
      const { count, index } = await db.describeSpace(spaceName);
      // Linked in the order of ids: what waits now waited when the search was made.
      pending = index?.pending ?? 0;
      assertExact(
        data,
        { from: count - pending, to: acknowledged },
        hits.map(({ id }) => Number(id)),
      );
      worker.terminate();
      await db.close().catch(() => {});
      return openMs;
    },
    'indexeddb-read': () => readStored(name, ['blocks', 'log']),
  });
  await deleteDatabase(name);
  const row = (subject: string, metric: 'openMs' | 'readMs', params: RowFrame['params']): Row =>
    makeRow({ ...frame, subject, params }, metric, median(times.get(subject) ?? []));
  return [
    row('shibumi', 'openMs', { indexType, acknowledged, pending }),
    row('indexeddb-read', 'readMs', {}),
  ];
}

/** Half of it, and what more is acknowledged before the worker ends in the next call; how many vectors were. */
async function loadHalf(data: DataSet): Promise<number> {
  const { base, dimension, metric } = data;
  const worker = spawnWorker();
  const db = await open(name, { worker });
  await db.createSpace(spaceName, 'vector', { dimension, metric, indexType, efConstruction });
  const batch = Math.ceil(rowCount(data) / parts);
  const insert = async (from: number): Promise<unknown> => {
    const ids = BigInt64Array.from({ length: batch }, (_, i) => BigInt(from + i));
    return db.insertVectors(ids, base.subarray(from * dimension, (from + batch) * dimension), {
      space: spaceName,
    });
  };
  const half = (batch * parts) / 2;
  for (let from = 0; from < half; from += batch) await insert(from);
  const cut = insert(half).catch(() => {});
  worker.terminate();
  await cut;
  await db.close().catch(() => {});
  return half;
}

function spawnWorker(): Worker {
  return new Worker(new URL('../../../src/worker.ts', import.meta.url), { type: 'module' });
}

/** @throws unless every row of the tail that is nearer than an answer is one */
function assertExact(data: DataSet, tail: { from: number; to: number }, ids: readonly number[]): void {
  const query = rowAt(data.queries, data.dimension, 0);
  const distanceOf = (row: number): number =>
    exactDistance(data.metric, query, rowAt(data.base, data.dimension, row));
  const farthest = Math.max(...ids.map(distanceOf));
  const found = new Set(ids);
  const missed: number[] = [];
  for (let row = tail.from; row < tail.to; row++) {
    if (!found.has(row) && distanceOf(row) < farthest * (1 - 1e-5)) missed.push(row);
  }
  if (ids.length < truthK || missed.length > 0)
    throw new Error(
      `Got ${ids} after a crash, expected ${missed} of rows ${tail.from} to ${tail.to} among them`,
    );
}

/** All that some of a database's stores hold, as IndexedDB gives it. */
export async function readStored(database: string, stores: readonly ('blocks' | 'log')[]): Promise<number> {
  const started = performance.now();
  const idb: IDBPDatabase = await openDB(indexedDbName(database));
  const all = await Promise.all(stores.map((store) => idb.getAll(store)));
  const readMs = performance.now() - started;
  idb.close();
  if (all.every(({ length }) => length === 0))
    throw new Error('The database that was opened again holds nothing');
  return readMs;
}
