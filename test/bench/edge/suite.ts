/**
 * The edge suite: one static snapshot, opened and searched in Node, Bun, Deno, workerd and Chromium. Speed is that of a batch of
 * searches, each awaited, seen from outside; all runtimes in turn within a round.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { IndexType } from '../../../src/api/database.ts';
import { exportStatic, open } from '../../../src/node.ts';
import { type DataSet, queryCount, recallAt10 } from '../../data/data-set.ts';
import { generateSet, loadLatent } from '../../data/sources.ts';
import { missingWorkerd } from '../../edge/workerd.ts';
import { StaticHost } from '../../static/static-host.ts';
import { makeRow, median, type Row, type RowFrame } from '../row.ts';
import { leastReaching } from '../search-curve.ts';
import { fillDatabase } from '../shibumi-subject.ts';
import type { SuiteRun } from '../suites.ts';
import { coldObject } from './own-storage.ts';
import { spaceName } from './probe.ts';
import { freshChromium, freshNode, freshWorkerd, type ProbedRuntime, startRuntimes } from './runtimes.ts';

const indexType: IndexType = 'HNSW16,SQ8';
const target = 0.95;
/** One waits for a hop to the worker and back in a page; what several ask for together goes over in one. */
const callerCounts = [1, 32] as const;
const efSearchRange = { least: 10, most: 2048 };

export async function edge({ quick, add, log }: SuiteRun): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-bench-edge-'));
  const host = new StaticHost(folder);
  await host.start();
  try {
    const data = quick ? generateSet(1500, 48, 50) : await loadLatent(20_000);
    await writeSnapshot(data, indexType, folder);
    add(await acrossRuntimes(data, host, quick, log));
    const cold = quick ? data : await loadLatent(50_000);
    add(await coldStart(cold, host, folder));
    add(await coldStartOfObject(cold, quick, log));
    add(await firstQuery(quick ? data : await loadLatent(100_000), host, folder, log));
  } finally {
    await host.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function writeSnapshot(data: DataSet, index: IndexType, folder: string): Promise<number> {
  await using db = await open(spaceName, { storage: 'memory' });
  await fillDatabase(db, data, index, frameOf('node', data, index));
  const { bytes } = await exportStatic(db, folder, { prune: true });
  writeFileSync(path.join(folder, 'queries.bin'), data.queries);
  return bytes;
}

function frameOf(runtime: Row['runtime'], data: DataSet, scenario: string): RowFrame {
  const params = { storage: 'static', path: 'api' };
  return { suite: 'edge', scenario, subject: 'shibumi', runtime, data: data.name, params };
}

async function acrossRuntimes(
  data: DataSet,
  host: StaticHost,
  quick: boolean,
  log: (line: string) => void,
): Promise<Row[]> {
  const runtimes = await startRuntimes(log);
  const rows: Row[] = [];
  try {
    const opens = quick ? 2 : 5;
    for (const runtime of runtimes) {
      log(`edge: ${runtime.name}`);
      await load(runtime, data, host);
      const took: number[] = [];
      for (let i = 0; i < opens; i++) took.push(await timeOpen(runtime, host, i < opens - 1));
      rows.push(makeRow(frameOf(runtime.name, data, indexType), 'openMs', median(took)));
    }
    rows.push(...(await speeds(data, runtimes, quick)));
    return rows;
  } finally {
    for (const runtime of runtimes) await runtime.end();
  }
}

async function load(runtime: ProbedRuntime, data: DataSet, host: StaticHost): Promise<void> {
  const queries = `${host.url}queries.bin`;
  await runtime.ask({ do: 'load', queries, dimension: data.dimension });
}

/** From asking for the database to its first answer. */
async function timeOpen(runtime: ProbedRuntime, host: StaticHost, closes: boolean): Promise<number> {
  const started = performance.now();
  await runtime.ask({ do: 'open', from: host.url });
  const tookMs = performance.now() - started;
  if (closes) await runtime.ask({ do: 'close' });
  return tookMs;
}

async function speeds(data: DataSet, runtimes: readonly ProbedRuntime[], quick: boolean): Promise<Row[]> {
  const all = queryCount(data);
  const reached: {
    runtime: ProbedRuntime;
    efSearch: number;
    recall: number;
    callers: number;
    perSecond: number[];
  }[] = [];
  for (const runtime of runtimes) {
    const recalls = new Map<number, number>();
    const recallAt = async (efSearch: number): Promise<number> => {
      const found = await runtime.ask({ do: 'search', efSearch, count: all, callers: 1, ids: true });
      const recall = recalls.get(efSearch) ?? recallAt10(data, found as number[][]);
      recalls.set(efSearch, recall);
      return recall;
    };
    const efSearch = await leastReaching(target, efSearchRange, recallAt);
    if (efSearch === undefined) continue;
    const recall = recalls.get(efSearch) ?? 0;
    for (const callers of callerCounts) reached.push({ runtime, efSearch, recall, callers, perSecond: [] });
  }
  const count = quick ? all : 20 * all;
  for (let round = 0; round < (quick ? 1 : 5); round++) {
    for (const { runtime, efSearch, callers, perSecond } of reached) {
      const started = performance.now();
      await runtime.ask({ do: 'search', efSearch, count, callers, ids: false });
      perSecond.push((1000 * count) / (performance.now() - started));
    }
  }
  return reached.map(({ runtime, efSearch, recall, callers, perSecond }) =>
    makeRow(frameOf(runtime.name, data, indexType), 'qps@0.95', median(perSecond), {
      callers,
      efSearch,
      recall: Math.round(recall * 10_000) / 10_000,
    }),
  );
}

/** A workerd that has just been started: its first request opens an SQ8 index and searches it. */
async function coldStart(data: DataSet, host: StaticHost, folder: string): Promise<Row[]> {
  await writeSnapshot(data, 'SQ8', folder);
  const workerd = await freshWorkerd();
  if (workerd === undefined) return [];
  try {
    await load(workerd, data, host);
    const before = host.bytes;
    const openMs = await timeOpen(workerd, host, false);
    const frame = frameOf('workerd', data, 'SQ8');
    return [
      makeRow(frame, 'openMs', openMs, { start: 'cold', megabytesFetched: megabytes(host.bytes - before) }),
    ];
  } finally {
    await workerd.end();
  }
}

/** The same of an object whose database lies in its own storage: with its originals there, 50,000 of 384 fit an isolate. */
async function coldStartOfObject(data: DataSet, quick: boolean, log: (line: string) => void): Promise<Row[]> {
  if (missingWorkerd()) return [];
  log(`edge: an object with ${data.name}`);
  const options = { indexType: 'SQ8', originals: 'storage' } as const;
  const params = { storage: 'durable-object', path: 'rpc', originals: options.originals };
  return coldObject(data, options, { ...frameOf('workerd', data, 'SQ8'), params }, quick ? 1 : 5);
}

/** What part of a snapshot is fetched before the first query of it is answered, where it is read from. */
async function firstQuery(
  data: DataSet,
  host: StaticHost,
  folder: string,
  log: (line: string) => void,
): Promise<Row[]> {
  const bytes = await writeSnapshot(data, indexType, folder);
  const rows: Row[] = [];
  for (const start of [freshNode, freshWorkerd, () => freshChromium(log)]) {
    const runtime = await start();
    if (runtime === undefined) continue;
    try {
      await load(runtime, data, host);
      const before = host.bytes;
      await timeOpen(runtime, host, false);
      const fetched = host.bytes - before;
      const params = { megabytes: megabytes(bytes), megabytesFetched: megabytes(fetched) };
      const frame = frameOf(runtime.name, data, `first query ${indexType}`);
      rows.push(makeRow(frame, 'fetchedShare', fetched / bytes, params));
    } finally {
      await runtime.end();
    }
  }
  return rows;
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e5) / 10;
}
