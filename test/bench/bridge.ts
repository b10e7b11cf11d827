/**
 * The suite `bridge`: the server in a process of its own, its clients in this one, over loopback.
 *
 * `query` is compared with a bare `ws` server that answers messages of the same sizes and searches nothing. The peer's figure
 * with `search: added` is what that one would reach if each message also took the time of a search in the engine: both sides
 * work on one thread, so times add up.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Database } from '../../src/api/database.ts';
import { encodeFrame, FrameType } from '../../src/bridge/protocol/frames.ts';
import { connect } from '../../src/bridge.ts';
import type { DatabaseClient } from '../../src/client/database-client.ts';
import { open } from '../../src/node.ts';
import { Random } from '../support/random.ts';
import { admin, BridgeChild } from './bridge-child.ts';
import {
  hasRedisBenchmark,
  hasRedisServer,
  type RedisLoad,
  RedisPeer,
  redisBenchmark,
} from './redis-peer.ts';
import { makeRow, median, type Row, type RowFrame } from './row.ts';
import type { SuiteRun } from './suites.ts';

const dimension = 384;
const depth = 32;
const k = 10;
const rounds = 5;

interface Sizes {
  readonly vectors: number;
  readonly roundMs: number;
  readonly requests: number;
  readonly strictRequests: number;
  readonly bulk: number;
  readonly idle: number;
  readonly busy: number;
}

const sizes: Sizes = {
  vectors: 20_000,
  roundMs: 2000,
  requests: 300_000,
  strictRequests: 50_000,
  bulk: 100_000,
  idle: 1000,
  busy: 200,
};
const quickSizes: Sizes = {
  vectors: 300,
  roundMs: 50,
  requests: 2000,
  strictRequests: 500,
  bulk: 500,
  idle: 10,
  busy: 4,
};

export async function bridge(run: SuiteRun): Promise<void> {
  const size = run.quick ? quickSizes : sizes;
  const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-bench-bridge-'));
  try {
    using server = await BridgeChild.start({ kind: 'serve', folder });
    const url = `ws://127.0.0.1:${server.ports.bridge}/`;
    await using db = await connect(url, admin);
    run.log('bridge: query');
    run.add(await query(db, size));
    run.log('bridge: resp');
    await resp(server.ports.resp ?? 0, size, run);
    run.log('bridge: bulk');
    run.add(await bulk(db, size));
    run.log('bridge: connections');
    run.add(await connections(server, db, url, size));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function frame(scenario: string, subject: string, data: string, params: RowFrame['params']): RowFrame {
  return { suite: 'bridge', scenario, subject, runtime: 'node', data, params };
}

// --- query --------------------------------------------------------------------------------------------------------

/** Calls a second with `depth` of them under way. */
async function ratePerSecond(call: (i: number) => Promise<unknown>, roundMs: number): Promise<number> {
  const end = performance.now() + roundMs;
  const startedAt = performance.now();
  let done = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() < end) await call(done++);
  };
  await Promise.all(Array.from({ length: depth }, caller));
  return (done * 1000) / (performance.now() - startedAt);
}

async function query(db: Database, { vectors, roundMs }: Sizes): Promise<Row[]> {
  const random = new Random(1);
  const options = { dimension, indexType: 'HNSW16', durability: 'none' } as const;
  const ids = Array.from({ length: vectors }, (_, i) => i);
  const packed = random.vectors(vectors * dimension);
  await db.createSpace('query', 'vector', options);
  await db.insertVectors(ids, packed, { space: 'query' });
  await db.waitForIndex({ space: 'query' });
  await using local = await open('bench', { storage: 'memory' });
  await local.createSpace('query', 'vector', options);
  await local.insertVectors(ids, packed, { space: 'query' });
  await local.waitForIndex({ space: 'query' });
  const queries = Array.from({ length: 256 }, () => random.vectors(dimension));
  const queryAt = (i: number): Float32Array => queries[i % queries.length] as Float32Array;
  const search = (i: number): Promise<unknown> => db.searchTopK(queryAt(i), k, { space: 'query' });

  const args = { space: 'query', query: queryAt(0), k };
  const call = encodeFrame(FrameType.Call, 1, 0, 'searchTopK', args);
  const answer = encodeFrame(
    FrameType.Reply,
    1,
    0,
    await local.searchTopK(queryAt(0), k, { space: 'query' }),
  );
  using echo = await BridgeChild.start({ kind: 'echo', answerBytes: answer.length });
  const socket = new WebSocket(`ws://127.0.0.1:${echo.ports.echo}/`);
  socket.binaryType = 'arraybuffer';
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  const waiting: (() => void)[] = [];
  socket.onmessage = () => waiting.shift()?.();
  const ask = (): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      socket.send(call);
    });

  const ours: number[] = [];
  const echoed: number[] = [];
  const withSearch: number[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(await ratePerSecond(search, roundMs));
    const bare = await ratePerSecond(ask, roundMs);
    const startedAt = performance.now();
    let searched = 0;
    for (; performance.now() - startedAt < roundMs / 2; searched++)
      await local.searchTopK(queryAt(searched), k, { space: 'query' });
    const searchMs = (performance.now() - startedAt) / searched;
    echoed.push(bare);
    withSearch.push(1000 / (1000 / bare + searchMs));
  }
  socket.close();
  await db.deleteSpace('query');
  const params = { depth, k, callBytes: call.length, answerBytes: answer.length };
  const data = `random ${vectors} x ${dimension}`;
  return [
    makeRow(frame('query', 'shibumi', data, params), 'opsPerSecond', median(ours)),
    makeRow(
      frame('query', 'ws-echo', data, { ...params, search: 'added' }),
      'opsPerSecond',
      median(withSearch),
    ),
    makeRow(frame('query', 'ws-echo', data, { ...params, search: 'none' }), 'opsPerSecond', median(echoed)),
  ];
}

// --- resp ---------------------------------------------------------------------------------------------------------

async function resp(port: number, { requests, strictRequests }: Sizes, run: SuiteRun): Promise<void> {
  if (!hasRedisBenchmark) {
    run.log('resp is left out: there is no redis-benchmark here (Debian: redis-tools)');
    return;
  }
  if (!hasRedisServer) run.log('redis-server is left out: it is not here (Debian: redis-server)');
  using relaxed = hasRedisServer ? await RedisPeer.start('--appendonly', 'no') : undefined;
  using strict = hasRedisServer
    ? await RedisPeer.start('--appendonly', 'yes', '--appendfsync', 'always')
    : undefined;
  const loads = [
    { command: 'SET', requests, database: 0, peer: relaxed, durability: 'relaxed' },
    { command: 'GET', requests, database: 0, peer: relaxed, durability: 'relaxed' },
    { command: 'SET', requests: strictRequests, database: 1, peer: strict, durability: 'strict' },
  ] as const;
  for (const { command, requests: count, database, peer, durability } of loads) {
    const load: RedisLoad = { command, requests: count, pipeline: 16, database };
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < 3; round++) {
      ours.push(await redisBenchmark(port, load));
      if (peer !== undefined) theirs.push(await redisBenchmark(peer.port, { ...load, database: 0 }));
    }
    const params = { command, durability, pipeline: 16, connections: 50 };
    run.add([makeRow(frame('resp', 'shibumi', '100 B values', params), 'opsPerSecond', median(ours))]);
    if (theirs.length > 0)
      run.add([
        makeRow(frame('resp', 'redis-server', '100 B values', params), 'opsPerSecond', median(theirs)),
      ]);
  }
}

// --- bulk ---------------------------------------------------------------------------------------------------------

/** Until everything is durable and found by an exact search; what the index still has to link follows behind. */
async function bulk(db: Database, { bulk: count }: Sizes): Promise<Row[]> {
  const random = new Random(2);
  const packed = random.vectors(count * dimension);
  const ids = BigInt64Array.from({ length: count }, (_, i) => BigInt(i));
  const megabytes = packed.byteLength / 1e6;
  const rows: Row[] = [];
  for (const indexType of ['Flat', 'HNSW16'] as const) {
    const rates: number[] = [];
    for (let round = 0; round < 3; round++) {
      await db.createSpace('bulk', 'vector', { dimension, indexType });
      const startedAt = performance.now();
      await db.insertVectors(ids, packed, { space: 'bulk' });
      rates.push(megabytes / ((performance.now() - startedAt) / 1000));
      const last = packed.subarray((count - 1) * dimension);
      const [hit] = await db.searchTopK(last, 1, { space: 'bulk' });
      if (hit?.id !== count - 1) throw new Error('the last vector was acknowledged and is not found');
      await db.deleteSpace('bulk');
    }
    const params = { indexType, durability: 'strict' };
    const data = `random ${count} x ${dimension}`;
    rows.push(makeRow(frame('bulk', 'shibumi', data, params), 'megabytesPerSecond', median(rates)));
  }
  return rows;
}

// --- connections --------------------------------------------------------------------------------------------------

async function connections(
  server: BridgeChild,
  db: Database,
  url: string,
  { idle, busy, roundMs }: Sizes,
): Promise<Row[]> {
  await db.put('key', 'x'.repeat(100), { space: 'relaxed' });
  const before = await server.rssBytes();
  const all: Database[] = [];
  try {
    // Nobody who is idle need have signed in, and the others do so by a token: what a password costs is not what is measured.
    for (let i = 0; i < idle; i++) all.push(await connect(url));
    await db.authenticate(admin.username, admin.password);
    const { token } = (db as DatabaseClient).sessionControl();
    const callers: Database[] = [];
    for (let i = 0; i < busy; i++) {
      const caller = await connect(url);
      callers.push(caller);
      await (caller as DatabaseClient).sessionControl().resume(token === undefined ? {} : { token });
    }
    all.push(...callers);
    const end = performance.now() + roundMs;
    let done = 0;
    const startedAt = performance.now();
    await Promise.all(
      callers.map(async (caller) => {
        while (performance.now() < end) {
          await caller.get('key', { space: 'relaxed' });
          done++;
        }
      }),
    );
    const rate = (done * 1000) / (performance.now() - startedAt);
    const params = { idle, busy };
    const row = frame('connections', 'shibumi', '100 B values', params);
    const rss = await server.rssBytes();
    return [
      makeRow(row, 'opsPerSecond', rate),
      makeRow(row, 'rssBytes', rss),
      makeRow(row, 'rssBytes', before, { idle: 0, busy: 0 }),
    ];
  } finally {
    await Promise.all(all.map((connection) => connection.close()));
  }
}
