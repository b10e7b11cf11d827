/**
 * The vectors suite in Node: the engine in this process over the memory backend, beside hnswlib-node and a JavaScript loop.
 *
 * hnswlib-node is a synchronous call into native code, so the fair comparison is `path: core`: the VectorSpace, just as
 * synchronous. `path: api` is the same index through the public API.
 */

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { IndexType } from '../../src/api/database.ts';
import { DatabaseClient } from '../../src/client/database-client.ts';
import { DatabaseEngine } from '../../src/engine/database-engine.ts';
import { Session } from '../../src/engine/session.ts';
import { defaultSettings } from '../../src/engine/settings.ts';
import type { BuildName } from '../../src/kernel/module.ts';
import { DirectTransport } from '../../src/local/direct-transport.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { type DataSet, rowAt, rowCount, type SetMetric, truthK } from '../data/data-set.ts';
import { nodeCore } from '../support/node-database.ts';
import { jsLoop } from './js-loop.ts';
import { ensurePeers, requirePeer } from './peers.ts';
import { makeRow, median, type Row, type RowFrame } from './row.ts';
import { measureCurves, type SearchSubject } from './search-curve.ts';
import {
  apiSubject,
  coreSubject,
  efConstruction,
  fillDatabase,
  spaceName,
  timeOpen,
} from './shibumi-subject.ts';
import type { VectorsPlan } from './vectors-plan.ts';

const builds: readonly BuildName[] = ['simd128', 'relaxed'];
const m = 16;

export async function vectorsInNode(data: DataSet, plan: VectorsPlan): Promise<Row[]> {
  return [
    ...(await measureIndex(data, 'Flat', plan, [jsLoop(data, { ...frameOf(data, 'Flat') })])),
    ...(await measureHnsw(data, plan)),
  ];
}

function frameOf(data: DataSet, scenario: string): Omit<RowFrame, 'subject' | 'params'> {
  return { suite: 'vectors', scenario, runtime: 'node', data: data.name };
}

async function measureHnsw(data: DataSet, plan: VectorsPlan): Promise<Row[]> {
  if (!ensurePeers().folders.has('hnswlib-node')) return measureIndex(data, `HNSW${m}`, plan, []);
  const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-bench-'));
  try {
    const peer = buildHnswlib(data, path.join(folder, 'index'), plan.opens);
    return [...peer.rows, ...(await measureIndex(data, `HNSW${m}`, plan, [peer.subject]))];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
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

/** What is used of hnswlib-node. It takes plain arrays only, so those are made outside the measured time. */
interface HnswlibIndex {
  initIndex(options: { maxElements: number; m: number; efConstruction: number; randomSeed: number }): void;
  addPoint(point: number[], label: number): void;
  setEf(ef: number): void;
  searchKnn(query: number[], k: number): { neighbors: number[] };
  writeIndexSync(file: string): void;
  readIndexSync(file: string): void;
}
type Hnswlib = { HierarchicalNSW: new (space: string, dimension: number) => HnswlibIndex };

const hnswlibSpaces: Record<SetMetric, string> = { L2: 'l2', InnerProduct: 'ip', Cosine: 'cosine' };

function buildHnswlib(data: DataSet, file: string, opens: number): { subject: SearchSubject; rows: Row[] } {
  const { HierarchicalNSW } = requirePeer('hnswlib-node') as Hnswlib;
  const { dimension } = data;
  const count = rowCount(data);
  const frame: RowFrame = { ...frameOf(data, `HNSW${m}`), subject: 'hnswlib-node', params: {} };
  const space = hnswlibSpaces[data.metric];
  const index = new HierarchicalNSW(space, dimension);
  index.initIndex({ maxElements: count, m, efConstruction, randomSeed: 42 });
  let buildMs = 0;
  for (let row = 0; row < count; row++) {
    const point = Array.from(rowAt(data.base, dimension, row));
    const from = performance.now();
    index.addPoint(point, row);
    buildMs += performance.now() - from;
  }
  index.writeIndexSync(file);

  const queries = new Map<Float32Array, number[]>();
  const plainArray = (query: Float32Array): number[] => {
    const known = queries.get(query);
    if (known !== undefined) return known;
    const made = Array.from(query);
    queries.set(query, made);
    return made;
  };
  const firstQuery = Array.from(rowAt(data.queries, dimension, 0));
  const openings = Array.from({ length: opens }, () => {
    const from = performance.now();
    const opened = new HierarchicalNSW(space, dimension);
    opened.readIndexSync(file);
    opened.setEf(64);
    opened.searchKnn(firstQuery, truthK);
    return performance.now() - from;
  });
  return {
    subject: {
      frame,
      search(query, efSearch) {
        index.setEf(efSearch);
        return index.searchKnn(plainArray(query), truthK).neighbors;
      },
    },
    rows: [
      makeRow(frame, 'buildPerSecond', (count * 1000) / buildMs, { efConstruction }),
      makeRow(frame, 'bytesPerVector', statSync(file).size / count, { where: 'stored' }),
      makeRow(frame, 'openMs', median(openings)),
    ],
  };
}
