/**
 * Two scenarios of the vectors suite about building an index behind a caller's back:
 *
 *   threads   how fast a graph over vectors that are there is linked, by one thread and by more
 *   training  what calls wait for while an index trains, which works in slices that none of them should notice
 *
 * Through the API, in Node and in a page.
 */

import type { Database, IndexType } from '../../src/api/database.ts';
import { type DataSet, rowCount } from '../data/data-set.ts';
import { makeRow, percentile, type Row, type RowFrame } from './row.ts';
import { efConstruction, spaceName } from './shibumi-subject.ts';
import { m, scenariosOf, type VectorsPlan } from './vectors-plan.ts';

/** Opens an empty database. */
export type OpenEmpty = (threads: number) => Promise<Database>;

const graphs: readonly IndexType[] = [`HNSW${m}`, `HNSW${m},SQ8`];
const threadCounts = [1, 2, 4] as const;

export async function measureBuilds(
  open: OpenEmpty,
  data: DataSet,
  frame: Omit<RowFrame, 'scenario' | 'subject'>,
  plan: VectorsPlan,
): Promise<Row[]> {
  const rows: Row[] = [];
  if (plan.wants(data, 'threads', frame.runtime)) {
    // No more threads than cores: they would only take turns.
    const cores = globalThis.navigator?.hardwareConcurrency ?? 1;
    const counts = threadCounts.filter((count) => count <= Math.max(2, cores));
    for (const indexType of graphs)
      for (const threads of counts) rows.push(await timeLinking(open, data, indexType, threads, frame));
  }
  if (plan.wants(data, 'training', frame.runtime)) rows.push(...(await timeCalls(open, data, frame)));
  return rows;
}

/** The vectors are in a Flat space already: what is timed is linking alone. */
async function timeLinking(
  open: OpenEmpty,
  data: DataSet,
  indexType: IndexType,
  threads: number,
  frame: Omit<RowFrame, 'scenario' | 'subject'>,
): Promise<Row> {
  const db = await open(threads);
  try {
    await fillFlat(db, data);
    const started = performance.now();
    await db.reindex({ indexType, efConstruction });
    await db.waitForIndex();
    const seconds = (performance.now() - started) / 1000;
    // What was really had: a set that is small is linked by one.
    const used = (await db.describeSpace(spaceName)).index?.threads ?? 1;
    return makeRow(
      { ...frame, scenario: 'threads', subject: 'shibumi' },
      'buildPerSecond',
      rowCount(data) / seconds,
      { indexType, threads, used, efConstruction },
    );
  } finally {
    await db.close();
  }
}

/** One small read after another from before training begins until the index is complete. */
async function timeCalls(
  open: OpenEmpty,
  data: DataSet,
  frame: Omit<RowFrame, 'scenario' | 'subject'>,
): Promise<Row[]> {
  const indexType = scenariosOf(data).findLast(({ kind }) => kind === 'lists')?.indexType;
  if (indexType === undefined) return [];
  const db = await open(1);
  try {
    await fillFlat(db, data);
    const waits: number[] = [];
    let complete = false;
    const built = db.reindex({ indexType }).then(async () => {
      await db.waitForIndex();
      complete = true;
    });
    do {
      const started = performance.now();
      if ((await db.getVector(0)) === undefined) throw new Error('Got no vector, expected the first one');
      waits.push(performance.now() - started);
      // Between two calls the engine has its turn, as it has between those of a page.
      await new Promise((resolve) => setTimeout(resolve, 0));
    } while (!complete);
    await built;
    const own: RowFrame = { ...frame, scenario: 'training', subject: 'shibumi' };
    const params = { indexType, calls: waits.length };
    return [
      makeRow(own, 'p99Ms', percentile(waits, 99), params),
      makeRow(own, 'mostMs', Math.max(...waits), params),
    ];
  } finally {
    await db.close();
  }
}

async function fillFlat(db: Database, data: DataSet): Promise<void> {
  const { dimension, metric, base } = data;
  await db.createSpace(spaceName, 'vector', { dimension, metric, durability: 'relaxed' });
  await db.useSpace(spaceName);
  await db.insertVectors(
    BigInt64Array.from({ length: rowCount(data) }, (_, i) => BigInt(i)),
    base,
  );
}
