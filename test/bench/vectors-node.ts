/**
 * The vectors suite in Node: the engine in this process over the memory backend, beside hnswlib-node, usearch and a
 * JavaScript loop.
 *
 * The peers are synchronous calls, so the fair comparison is `path: core`: the VectorSpace, just as
 * synchronous. `path: api` is the same index through the public API. All of it is one thread's work, but for the scenario `threads`.
 */

import type { Database } from '../../src/api/database.ts';
import { DatabaseClient } from '../../src/client/database-client.ts';
import { DatabaseEngine } from '../../src/engine/database-engine.ts';
import { Session } from '../../src/engine/session.ts';
import { defaultSettings } from '../../src/engine/settings.ts';
import { type BuildName, oneCore } from '../../src/kernel/module.ts';
import { DirectTransport } from '../../src/local/direct-transport.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import type { DataSet } from '../data/data-set.ts';
import { nodeCore, nodeTestThreads } from '../support/node-database.ts';
import { measureBatches } from './batches.ts';
import { measureBuilds } from './builds.ts';
import { measureFilters } from './filters.ts';
import { buildGraphPeers, type GraphPeer, peerSubject } from './graph-peers.ts';
import { jsLoop } from './js-loop.ts';
import { makeRow, median, type Row, type RowFrame } from './row.ts';
import { measureCurves, type SearchSubject } from './search-curve.ts';
import {
  apiSubject,
  coreSubject,
  fillDatabase,
  flatBeside,
  listsSubject,
  spaceName,
  timeOpen,
} from './shibumi-subject.ts';
import { type Scenario, scenariosOf, type VectorsPlan } from './vectors-plan.ts';

const builds: readonly BuildName[] = ['simd128', 'relaxed'];

export async function vectorsInNode(data: DataSet, plan: VectorsPlan): Promise<Row[]> {
  const rows: Row[] = [];
  const scenarios = scenariosOf(data).filter(({ indexType }) => plan.wants(data, indexType, 'node'));
  const graphs = scenarios.some(({ kind }) => kind === 'graph') ? buildGraphPeers(data, plan.opens) : [];
  for (const scenario of scenarios) {
    const frame = frameOf(data, scenario.indexType);
    if (scenario.kind === 'graph') {
      for (const peer of graphs)
        rows.push(...peer.rows({ ...frame, subject: peer.name, params: peer.params }));
    }
    rows.push(...(await measureIndex(data, scenario, plan, besides(data, scenario, graphs))));
  }
  const core = nodeCore(builds.at(-1));
  rows.push(...(await measureFilters(core, data, 'node', plan)));
  rows.push(...measureBatches(core, data, 'node', plan));
  const { scenario: _, ...frame } = frameOf(data, '');
  const openEmpty = async (threads: number): Promise<Database> =>
    (await openDatabase(core.build, new MemoryDisk(), threads)).db;
  rows.push(
    ...(await measureBuilds(openEmpty, data, { ...frame, params: { build: core.build, path: 'api' } }, plan)),
  );
  return rows;
}

function besides(
  data: DataSet,
  { indexType, kind }: Scenario,
  graphs: readonly GraphPeer[],
): SearchSubject[] {
  const frame = frameOf(data, indexType);
  if (kind === 'graph') return graphs.map((peer) => peerSubject(peer, frame));
  return kind === 'lists'
    ? builds.map((build) => flatBeside(nodeCore(build), data, frame))
    : [jsLoop(data, frame)];
}

function frameOf(data: DataSet, scenario: string): Omit<RowFrame, 'subject' | 'params'> {
  return { suite: 'vectors', scenario, runtime: 'node', data: data.name };
}

async function measureIndex(
  data: DataSet,
  { indexType, lists }: Scenario,
  plan: VectorsPlan,
  peers: readonly SearchSubject[],
): Promise<Row[]> {
  const rows: Row[] = [];
  const subjects: SearchSubject[] = [];
  const databases: OpenDatabase[] = [];
  for (const build of builds) {
    const frame: RowFrame = { ...frameOf(data, indexType), subject: 'shibumi', params: { build } };
    const disk = new MemoryDisk();
    const first = await openDatabase(build, disk);
    rows.push(...(await fillDatabase(first.db, data, indexType, frame)));
    await first.db.close();
    const { opened, openMs } = await reopen(build, disk, data, plan.opens);
    rows.push(makeRow(frame, 'openMs', openMs));
    databases.push(opened);
    const resident = await opened.engine.resident(opened.engine.entryOf(spaceName));
    if (lists === undefined)
      subjects.push(coreSubject(resident.vectors, frame), apiSubject(opened.db, frame));
    else subjects.push(listsSubject(resident.vectors, lists, frame));
  }
  rows.push(...(await measureCurves(data, [...subjects, ...peers], plan.curve(indexType))));
  for (const { db } of databases) await db.close();
  return rows;
}

interface OpenDatabase {
  readonly db: DatabaseClient;
  readonly engine: DatabaseEngine;
}

async function openDatabase(build: BuildName, disk: MemoryDisk, threads = 1): Promise<OpenDatabase> {
  const engine = await DatabaseEngine.open({
    name: 'bench',
    cores: oneCore(nodeCore(build)),
    backend: new MemoryBackend(disk),
    now: () => performance.now(),
    settings: defaultSettings,
    ...(threads > 1 ? { threads: nodeTestThreads(threads, build) } : {}),
  });
  return {
    engine,
    db: new DatabaseClient(new DirectTransport(new Session(engine, () => engine.close()))),
  };
}

async function reopen(
  build: BuildName,
  disk: MemoryDisk,
  data: DataSet,
  times: number,
): Promise<{ opened: OpenDatabase; openMs: number }> {
  const took: number[] = [];
  for (;;) {
    let opened: OpenDatabase | undefined;
    const { db, openMs } = await timeOpen(async () => {
      opened = await openDatabase(build, disk);
      return opened.db;
    }, data);
    took.push(openMs);
    if (opened !== undefined && took.length >= times) return { opened, openMs: median(took) };
    await db.close();
  }
}
