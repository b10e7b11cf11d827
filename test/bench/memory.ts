/**
 * The memory suite: what a database holds in memory when it need not hold everything, and what that costs.
 *
 *  * originals: an index over codes with its vectors in memory and in storage
 *  * key-value: a space four times as large as its budget, opened again from files; the files are in the system's cache
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Database } from '../../src/api/database.ts';
import { open } from '../../src/node.ts';
import { type DataSet, queryCount, recallAt10, rowAt, rowCount, truthK } from '../data/data-set.ts';
import { makeRow, median, percentile, type Row, type RowFrame } from './row.ts';
import { fillDatabase, spaceName } from './shibumi-subject.ts';

const indexType = 'HNSW16,SQ8';
const searches = 500;
const megabyte = 1024 * 1024;

export interface MemoryPlan {
  /** Bytes of the values of the key-value space. */
  readonly keyValueBytes: number;
  readonly memoryBudgetBytes: number;
  readonly opens: number;
}

export function memoryPlan(quick: boolean): MemoryPlan {
  return quick
    ? { keyValueBytes: 32 * megabyte, memoryBudgetBytes: 8 * megabyte, opens: 1 }
    : { keyValueBytes: 1024 * megabyte, memoryBudgetBytes: 256 * megabyte, opens: 5 };
}

export async function measureMemory(
  data: DataSet,
  plan: MemoryPlan,
  only: RegExp,
  log: (line: string) => void,
): Promise<Row[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'shibumi-bench-'));
  const rows: Row[] = [];
  try {
    for (const originals of only.test(indexType) ? (['memory', 'storage'] as const) : []) {
      log(`memory, ${data.name}: originals in ${originals}`);
      rows.push(...(await measureOriginals(path.join(folder, originals), data, originals)));
    }
    if (only.test('key-value')) {
      log(`memory: a key-value space of ${plan.keyValueBytes} bytes in ${plan.memoryBudgetBytes}`);
      rows.push(...(await measureKeyValue(path.join(folder, 'key-value'), plan)));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return rows;
}

/** `bytesPerVector`, `where: memory`: what the space uses; `linear memory`: all that its instance has taken, opened again. */
async function measureOriginals(
  place: string,
  data: DataSet,
  originals: 'memory' | 'storage',
): Promise<Row[]> {
  const frame: RowFrame = {
    suite: 'memory',
    scenario: indexType,
    subject: 'shibumi',
    runtime: 'node',
    data: data.name,
    params: { originals },
  };
  const filled = await open(place);
  const rows = await fillDatabase(filled, data, indexType, frame, { originals });
  await filled.close();
  const db = await open(place);
  await db.useSpace(spaceName);
  const took: number[] = [];
  const found: number[][] = [];
  for (let i = 0; i < Math.min(searches, queryCount(data)); i++) {
    const started = performance.now();
    const hits = await db.searchTopK(rowAt(data.queries, data.dimension, i), truthK);
    took.push(performance.now() - started);
    found.push(hits.map(({ id }) => id as number));
  }
  const { memoryBytes } = await db.stats();
  await db.close();
  return [
    ...rows,
    makeRow(frame, 'bytesPerVector', memoryBytes / rowCount(data), { where: 'linear memory' }),
    makeRow(frame, 'recall', recallAt10(data, found)),
    makeRow(frame, 'p50Ms', median(took)),
    makeRow(frame, 'p99Ms', percentile(took, 99)),
  ];
}

/** `openMs`: from `open` until the first key is answered. */
export async function measureKeyValue(
  place: string,
  { keyValueBytes, memoryBudgetBytes, opens }: MemoryPlan,
): Promise<Row[]> {
  const valueBytes = 1000;
  const count = Math.floor(keyValueBytes / valueBytes);
  const keyOf = (i: number): string => `key-${String(i).padStart(8, '0')}`;
  const value = new Uint8Array(valueBytes);
  const fresh = await open(place, { memoryBudgetBytes });
  await fresh.createSpace('kv', 'key-value', { durability: 'none' });
  await fresh.useSpace('kv');
  for (let from = 0; from < count; from += 2000) {
    const keys = Array.from({ length: Math.min(2000, count - from) }, (_, i) => keyOf(from + i));
    await fresh.putMany(keys.map((key, i) => ({ key, value: value.fill(from + i).slice() })));
  }
  const loadedBytes = (await fresh.stats()).memoryBytes;
  await fresh.close();

  const took: number[] = [];
  let db: Database | undefined;
  for (let i = 0; i < opens; i++) {
    await db?.close();
    const started = performance.now();
    db = await open(place, { memoryBudgetBytes });
    const first = await db.get(keyOf((i * 7919) % count), { space: 'kv' });
    took.push(performance.now() - started);
    if (!(first instanceof Uint8Array)) throw new Error('The first key that was asked for is not there');
  }
  if (db === undefined) throw new Error('Got no opens, expected at least one');
  await db.useSpace('kv');
  const gets = 2000;
  const started = performance.now();
  for (let i = 0; i < gets; i++) await db.get(keyOf((i * 104_729) % count));
  const seconds = (performance.now() - started) / 1000;
  const { memoryBytes } = await db.stats();
  await db.close();
  const frame: RowFrame = {
    suite: 'memory',
    scenario: 'key-value',
    subject: 'shibumi',
    runtime: 'node',
    data: `${count} x ${valueBytes} B`,
    params: { memoryBudgetBytes },
  };
  return [
    makeRow(frame, 'openMs', median(took)),
    makeRow(frame, 'getsPerSecond', gets / seconds, { keys: 'scattered' }),
    makeRow(frame, 'memoryBytes', memoryBytes, { when: 'after gets' }),
    makeRow(frame, 'memoryBytes', loadedBytes, { when: 'loaded' }),
  ];
}
