/**
 * The vectors suite in a page: `path: api` is the real thing, `shibumi` over its worker and IndexedDB; `path: core` is the
 * same index in the page's own thread, which is what hnswlib-wasm and the JavaScript loop are to be compared with.
 */

import type { Database } from '../../../src/api/database.ts';
import { deleteDatabase, open } from '../../../src/index.ts';
import { type BuildName, compileCore } from '../../../src/kernel/module.ts';
import { wasmFile } from '../../../src/wasm-files.ts';
import { makeSpace } from '../../data/core-space.ts';
import { type DataSet, rowAt, rowCount, type SetMetric, truthK } from '../../data/data-set.ts';
import { measureBatches } from '../batches.ts';
import { measureBuilds } from '../builds.ts';
import { measureFilters } from '../filters.ts';
import { jsLoop } from '../js-loop.ts';
import { makeRow, median, type Row, type RowFrame } from '../row.ts';
import { measureCurves, type SearchSubject } from '../search-curve.ts';
import {
  apiSubject,
  coreSubject,
  efConstruction,
  fillDatabase,
  flatBeside,
  listsSubject,
  timeOpen,
} from '../shibumi-subject.ts';
import { m, type Scenario, scenariosOf, type VectorsPlan, vectorsPlan } from '../vectors-plan.ts';
import type { PagePeers } from './jobs.ts';

const builds: readonly BuildName[] = ['simd128', 'relaxed'];
/** Above it only the API is measured: a second graph in the page, and hnswlib-wasm's without SIMD, take minutes each. */
const coreRowsMost = 25_000;

export async function vectorsInPage(
  data: DataSet,
  { quick, only }: { quick: boolean; only: string },
  peers: PagePeers,
): Promise<Row[]> {
  const plan = vectorsPlan(quick, only);
  const scenarios = scenariosOf(data).filter(({ indexType }) => plan.wants(data, indexType, 'chromium'));
  const url = scenarios.some(({ kind }) => kind === 'graph') ? peers.hnswlibWasm : undefined;
  const peer =
    url !== undefined && rowCount(data) <= coreRowsMost ? await buildHnswlib(data, url) : undefined;
  const rows: Row[] = [];
  for (const scenario of scenarios) {
    const frame = frameOf(data, scenario.indexType);
    const beside: SearchSubject[] = [];
    if (scenario.kind === 'graph') {
      const shown = peer?.at(frame);
      rows.push(...(shown?.rows ?? []));
      if (shown !== undefined) beside.push(shown.subject);
    } else if (scenario.kind === 'lists') {
      for (const build of builds)
        beside.push(flatBeside(await compileCore(build, wasmFile(build)), data, frame));
    } else {
      beside.push(jsLoop(data, frame));
    }
    rows.push(...(await measureIndex(data, scenario, plan, beside)));
  }
  const core = await compileCore('relaxed', wasmFile('relaxed'));
  rows.push(...(await measureFilters(core, data, 'chromium', plan)));
  rows.push(...measureBatches(core, data, 'chromium', plan));
  const { scenario: _, ...frame } = frameOf(data, '');
  const openEmpty = async (threads: number): Promise<Database> => {
    await deleteDatabase(databaseName('relaxed'));
    return open(databaseName('relaxed'), { build: 'relaxed', threads });
  };
  const params = { build: 'relaxed', path: 'api' };
  rows.push(...(await measureBuilds(openEmpty, data, { ...frame, params }, plan)));
  await deleteDatabase(databaseName('relaxed'));
  return rows;
}

function frameOf(data: DataSet, scenario: string): Omit<RowFrame, 'subject' | 'params'> {
  return { suite: 'vectors', scenario, runtime: 'chromium', data: data.name };
}

async function measureIndex(
  data: DataSet,
  { indexType, lists }: Scenario,
  plan: VectorsPlan,
  peers: readonly SearchSubject[],
): Promise<Row[]> {
  const rows: Row[] = [];
  const subjects: SearchSubject[] = [];
  const databases: Database[] = [];
  for (const build of builds) {
    console.log(`${data.name} ${indexType} ${build}`);
    const frame: RowFrame = { ...frameOf(data, indexType), subject: 'shibumi', params: { build } };
    const name = databaseName(build);
    await deleteDatabase(name);
    // One thread, as the peers have: what more of them do is a scenario of its own.
    const empty = await open(name, { build, threads: 1 });
    rows.push(...(await fillDatabase(empty, data, indexType, frame)));
    await empty.close();
    const { db, openMs } = await reopen(() => open(name, { build, threads: 1 }), data, plan.opens);
    rows.push(makeRow(frame, 'openMs', openMs));
    databases.push(db);
    // One caller shows the way through the worker and back, eight what the worker can do.
    if (lists === undefined) subjects.push(apiSubject(db, frame), apiSubject(db, frame, 8));
    if (indexType.startsWith('HNSW') && rowCount(data) > coreRowsMost) continue;
    const core = await compileCore(build, wasmFile(build));
    if (lists !== undefined) subjects.push(listsSubject(makeSpace(core, data, indexType), lists, frame));
    else subjects.push(coreSubject(makeSpace(core, data, indexType, efConstruction), frame));
  }
  rows.push(...(await measureCurves(data, [...subjects, ...peers], plan.curve(indexType))));
  for (const db of databases) await db.close();
  for (const build of builds) await deleteDatabase(databaseName(build));
  return rows;
}

function databaseName(build: BuildName): string {
  return `vectors-${build}`;
}

async function reopen(
  openAgain: () => Promise<Database>,
  data: DataSet,
  times: number,
): Promise<{ db: Database; openMs: number }> {
  const took: number[] = [];
  for (;;) {
    const { db, openMs } = await timeOpen(openAgain, data);
    took.push(openMs);
    if (took.length >= times) return { db, openMs: median(took) };
    await db.close();
  }
}

/** What is used of hnswlib-wasm. */
interface HnswlibIndex {
  initIndex(maxElements: number, m: number, efConstruction: number, randomSeed: number): void;
  addPoint(point: Float32Array, label: number, replaceDeleted: boolean): void;
  setEfSearch(ef: number): void;
  searchKnn(query: Float32Array, k: number, filter: undefined): { neighbors: number[] };
}
interface Hnswlib {
  HierarchicalNSW: new (space: string, dimension: number, autoSaveFile: string) => HnswlibIndex;
}

const hnswlibSpaces: Record<SetMetric, string> = { L2: 'l2', InnerProduct: 'ip', Cosine: 'cosine' };

/** A peer as it is shown in a scenario. */
interface Peer {
  at(frame: Omit<RowFrame, 'subject' | 'params'>): { subject: SearchSubject; rows: Row[] };
}

async function buildHnswlib(data: DataSet, url: string): Promise<Peer> {
  console.log(`${data.name} hnswlib-wasm`);
  const module = (await import(/* @vite-ignore */ url)) as {
    __tla: Promise<void>;
    loadHnswlib(): Promise<Hnswlib>;
  };
  // Its build puts the exports in place only then.
  await module.__tla;
  const { HierarchicalNSW } = await module.loadHnswlib();
  const count = rowCount(data);
  const index = new HierarchicalNSW(hnswlibSpaces[data.metric], data.dimension, '');
  index.initIndex(count, m, efConstruction, 42);
  const started = performance.now();
  for (let row = 0; row < count; row++) index.addPoint(rowAt(data.base, data.dimension, row), row, false);
  const seconds = (performance.now() - started) / 1000;
  return {
    at(scenario) {
      const frame: RowFrame = { ...scenario, subject: 'hnswlib-wasm', params: {} };
      return {
        subject: {
          frame,
          search(query, efSearch) {
            index.setEfSearch(efSearch);
            return index.searchKnn(query, truthK, undefined).neighbors;
          },
        },
        rows: [makeRow(frame, 'buildPerSecond', count / seconds, { efConstruction })],
      };
    },
  };
}
