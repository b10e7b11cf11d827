/**
 * The vectors suite in Node: the engine in this process over the memory backend, beside hnswlib-node, usearch and a
 * JavaScript loop.
 *
 * The peers are synchronous calls, so the fair comparison is `path: core`: the VectorSpace, just as
 * synchronous. `path: api` is the same index through the public API.
 */

import type { IndexType } from '../../src/api/database.ts';
import { DatabaseClient } from '../../src/client/database-client.ts';
import { DatabaseEngine } from '../../src/engine/database-engine.ts';
import { Session } from '../../src/engine/session.ts';
import { defaultSettings } from '../../src/engine/settings.ts';
import type { BuildName } from '../../src/kernel/module.ts';
import { DirectTransport } from '../../src/local/direct-transport.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import type { DataSet } from '../data/data-set.ts';
import { nodeCore } from '../support/node-database.ts';
import { buildGraphPeers, peerSubject } from './graph-peers.ts';
import { jsLoop } from './js-loop.ts';
import { makeRow, median, type Row, type RowFrame } from './row.ts';
import { measureCurves, type SearchSubject } from './search-curve.ts';
import { apiSubject, coreSubject, fillDatabase, spaceName, timeOpen } from './shibumi-subject.ts';
import { scenarios, type VectorsPlan } from './vectors-plan.ts';

const builds: readonly BuildName[] = ['simd128', 'relaxed'];

export async function vectorsInNode(data: DataSet, plan: VectorsPlan): Promise<Row[]> {
  const rows: Row[] = [];
  const graphs = buildGraphPeers(data, plan.opens);
  for (const { indexType, graph } of scenarios) {
    const frame = frameOf(data, indexType);
    if (graph) {
      for (const peer of graphs)
        rows.push(...peer.rows({ ...frame, subject: peer.name, params: peer.params }));
    }
    const peers = graph ? graphs.map((peer) => peerSubject(peer, frame)) : [jsLoop(data, frame)];
    rows.push(...(await measureIndex(data, indexType, plan, peers)));
  }
  return rows;
}

function frameOf(data: DataSet, scenario: string): Omit<RowFrame, 'subject' | 'params'> {
  return { suite: 'vectors', scenario, runtime: 'node', data: data.name };
}

async function measureIndex(
  data: DataSet,
  indexType: IndexType,
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
    subjects.push(coreSubject(resident.vectors, frame), apiSubject(opened.db, frame));
  }
  rows.push(...(await measureCurves(data, [...subjects, ...peers], plan.curve(indexType))));
  for (const { db } of databases) await db.close();
  return rows;
}

interface OpenDatabase {
  readonly db: DatabaseClient;
  readonly engine: DatabaseEngine;
}

async function openDatabase(build: BuildName, disk: MemoryDisk): Promise<OpenDatabase> {
  const engine = await DatabaseEngine.open({
    name: 'bench',
    core: nodeCore(build),
    backend: new MemoryBackend(disk),
    now: () => performance.now(),
    settings: defaultSettings,
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
