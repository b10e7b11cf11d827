/**
 * The cold start of an object: a runtime that has just been started, and a database in the object's own SQLite storage. From
 * the first request to its answer, in which the database is opened, its space brought in from rows, and searched.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { SpaceDescription, VectorSpaceOptions } from '../../../src/api/database.ts';
import { type DataSet, recallAt10, rowAt, rowCount } from '../../data/data-set.ts';
import { startWorkerd, type Workerd } from '../../edge/workerd.ts';
import { makeRow, median, type Row, type RowFrame } from '../row.ts';

/** Rows of a request: a message of RPC has 32 MiB at most. */
const rowsAtOnce = 4096;

/** @param starts of which the median counts */
export async function coldObject(
  data: DataSet,
  options: Pick<VectorSpaceOptions, 'indexType' | 'originals'>,
  frame: RowFrame,
  starts: number,
): Promise<Row[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-bench-object-'));
  try {
    const { storedBytes, memoryBytes } = await withWorkerd(folder, (workerd) => fill(workerd, data, options));
    const took: number[] = [];
    for (let i = 0; i < starts; i++)
      took.push(await withWorkerd(folder, (workerd) => firstAnswer(workerd, data)));
    const params = {
      start: 'cold',
      megabytesStored: megabytes(storedBytes),
      megabytesInMemory: megabytes(memoryBytes),
    };
    return [makeRow(frame, 'openMs', median(took), params)];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function withWorkerd<Result>(
  folder: string,
  work: (workerd: Workerd) => Promise<Result>,
): Promise<Result> {
  const workerd = await startWorkerd({
    script: 'test/bench/edge/worker.ts',
    objects: { VECTORS: 'Vectors' },
    persist: folder,
  });
  try {
    await workerd.ready;
    return await work(workerd);
  } finally {
    await workerd.dispose();
  }
}

async function fill(
  workerd: Workerd,
  data: DataSet,
  options: Pick<VectorSpaceOptions, 'indexType' | 'originals'>,
): Promise<SpaceDescription> {
  const { dimension, metric, base } = data;
  await ask(workerd, 'make', JSON.stringify({ dimension, metric, durability: 'relaxed', ...options }));
  for (let from = 0; from < rowCount(data); from += rowsAtOnce) {
    const rows = base.slice(from * dimension, (from + rowsAtOnce) * dimension);
    await ask(workerd, `insert?from=${from}&dimension=${dimension}`, rows);
  }
  return (await ask(workerd, 'finish', '')) as SpaceDescription;
}

async function firstAnswer(workerd: Workerd, data: DataSet): Promise<number> {
  const query = rowAt(data.queries, data.dimension, 0).slice();
  const started = performance.now();
  const ids = (await ask(workerd, 'search', query)) as number[];
  const tookMs = performance.now() - started;
  const recall = recallAt10({ ...data, queries: query }, [ids]);
  if (recall < 0.5) throw new Error(`The first answer has a recall of ${recall}`);
  return tookMs;
}

async function ask(workerd: Workerd, call: string, body: string | Float32Array): Promise<unknown> {
  const response = await workerd.dispatchFetch(`http://edge.test/object/${call}`, { method: 'POST', body });
  const text = await response.text();
  if (!response.ok) throw new Error(`workerd answered ${response.status}: ${text.slice(0, 500)}`);
  return JSON.parse(text);
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e5) / 10;
}
