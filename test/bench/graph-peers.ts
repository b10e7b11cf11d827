/**
 * Native graphs that are measured beside ours in Node: hnswlib-node and usearch, one graph a data set, judged in every scenario
 * that has a graph. One thread.
 */

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type DataSet, rowAt, rowCount, type SetMetric, truthK } from '../data/data-set.ts';
import { ensurePeers, requirePeer } from './peers.ts';
import { makeRow, median, type Params, type Row, type RowFrame } from './row.ts';
import type { SearchSubject } from './search-curve.ts';
import { efConstruction } from './shibumi-subject.ts';
import { m } from './vectors-plan.ts';

/** A peer's index over a data set. */
export interface GraphPeer {
  readonly name: 'hnswlib-node' | 'usearch';
  readonly params: Params;
  search(query: Float32Array, efSearch: number): number[];
  /** What building, keeping and opening it took, under the names of the scenario it is shown in. */
  rows(frame: RowFrame): Row[];
}

/** The peers that are installed and can hold the data. */
export function buildGraphPeers(data: DataSet, opens: number): GraphPeer[] {
  const { folders } = ensurePeers();
  const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-bench-'));
  try {
    const peers: GraphPeer[] = [];
    if (folders.has('hnswlib-node')) peers.push(buildHnswlib(data, path.join(folder, 'index'), opens));
    if (folders.has('usearch')) {
      peers.push(buildUsearch(data, 'f32'));
      // Its i8 is for components within -1 .. 1: pixels and SIFT's counts would all be cut off.
      if (data.metric !== 'L2') peers.push(buildUsearch(data, 'i8'));
    }
    return peers;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function peerSubject(peer: GraphPeer, frame: Omit<RowFrame, 'subject' | 'params'>): SearchSubject {
  return {
    frame: { ...frame, subject: peer.name, params: peer.params },
    search: (query, efSearch) => peer.search(query, efSearch),
  };
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

function buildHnswlib(data: DataSet, file: string, opens: number): GraphPeer {
  const { HierarchicalNSW } = requirePeer('hnswlib-node') as Hnswlib;
  const { dimension } = data;
  const count = rowCount(data);
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
  const storedBytes = statSync(file).size;

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
    name: 'hnswlib-node',
    params: {},
    search(query, efSearch) {
      index.setEf(efSearch);
      return index.searchKnn(plainArray(query), truthK).neighbors;
    },
    rows: (frame) => [
      makeRow(frame, 'buildPerSecond', (count * 1000) / buildMs, { efConstruction }),
      makeRow(frame, 'bytesPerVector', storedBytes / count, { where: 'stored' }),
      makeRow(frame, 'openMs', median(openings)),
    ],
  };
}

/** What is used of usearch. */
interface UsearchIndex {
  add(key: bigint, vector: Float32Array, threads: number): void;
  search(query: Float32Array, k: number, threads: number): { keys: BigUint64Array };
}
interface Usearch {
  Index: new (options: {
    dimensions: number;
    metric: string;
    quantization: 'f32' | 'i8';
    connectivity: number;
    expansion_add: number;
    expansion_search: number;
    multi: boolean;
  }) => UsearchIndex;
}

const usearchMetrics: Record<SetMetric, string> = { L2: 'l2sq', InnerProduct: 'ip', Cosine: 'cos' };

function buildUsearch(data: DataSet, quantization: 'f32' | 'i8'): GraphPeer {
  const { Index } = requirePeer('usearch') as Usearch;
  const { dimension, metric } = data;
  const count = rowCount(data);
  const index = new Index({
    dimensions: dimension,
    metric: usearchMetrics[metric],
    quantization,
    connectivity: m,
    expansion_add: efConstruction,
    expansion_search: truthK,
    multi: false,
  });
  const started = performance.now();
  for (let row = 0; row < count; row++) index.add(BigInt(row), rowAt(data.base, dimension, row), 1);
  const buildMs = performance.now() - started;
  return {
    name: 'usearch',
    params: { quantization },
    search(query, efSearch) {
      // Its binding sets expansion_search at construction only, but looks at no fewer candidates than it is asked for.
      const { keys } = index.search(query, Math.max(truthK, efSearch), 1);
      return Array.from(keys.subarray(0, truthK), Number);
    },
    rows: (frame) => [makeRow(frame, 'buildPerSecond', (count * 1000) / buildMs, { efConstruction })],
  };
}
