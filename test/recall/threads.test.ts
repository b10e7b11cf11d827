/**
 * Linking by several threads in one shared memory: the graph is as good as one that a single thread made, everything is in it,
 * what was deleted or replaced while it was made is treated as such, and a helper that dies costs time, nothing else.
 *
 * Here the helpers are Node's worker threads; test/browser/threads.test.ts has those of a real page. Which node is linked when is
 * up to the machine, so every run tries other orders.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, IndexType } from '../../src/api/database.ts';
import type { Helper, Threads } from '../../src/engine/helper.ts';
import { supportedBuild } from '../../src/kernel/module.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { type DataSet, recallAt10, rowAt, rowCount, truthK } from '../data/data-set.ts';
import { generateSet } from '../data/sources.ts';
import { nodeTestThreads, openNodeDatabase } from '../support/node-database.ts';

const efSearch = 64;
const build = supportedBuild() ?? 'simd128';
const timeout = 120_000;

/** Threads from the first vector on. */
const settings = { threadedLinksMin: 100, helperStallMs: 300, threadedBatchGainMin: 0 };

function open(threads: Threads | undefined, disk: MemoryDisk = new MemoryDisk()): Promise<Database> {
  return openNodeDatabase('threads', { backend: new MemoryBackend(disk), build, settings, threads });
}

async function fill(db: Database, data: DataSet, indexType: IndexType): Promise<void> {
  const { dimension, metric, base } = data;
  // All of it is there before anything is linked.
  await db.createSpace('v', 'vector', { dimension, metric, indexType: 'Flat' });
  await db.useSpace('v');
  await db.insertVectors(
    Array.from({ length: rowCount(data) }, (_, row) => row),
    base,
  );
  await db.reindex({ indexType });
}

async function recallOf(db: Database, data: DataSet): Promise<number> {
  const found = [];
  for (let q = 0; q < data.queries.length / data.dimension; q++) {
    const hits = await db.searchTopK(rowAt(data.queries, data.dimension, q), truthK, { efSearch });
    found.push(hits.map(({ id }) => Number(id)));
  }
  return recallAt10(data, found);
}

/** Every vector there is leads to itself. */
async function unreachable(db: Database, data: DataSet, rows: readonly number[]): Promise<number> {
  const queries = Float32Array.from(rows.flatMap((row) => [...rowAt(data.base, data.dimension, row)]));
  const hits = await db.searchTopKBatch(queries, 1, { efSearch });
  return hits.filter(([hit], i) => hit?.id !== rows[i]).length;
}

const sets = [
  ['HNSW16', 5000, 64],
  ['HNSW16,SQ8', 5000, 64],
  ['HNSW16,BQ', 3000, 64],
  // So many that it is trained.
  ['HNSW16,PQ4', 10_000, 16],
] as const;
for (const [indexType, count, dimension] of sets)
  test(`${indexType}: a graph linked by three threads finds as much as one thread's, and all that is in it`, {
    timeout,
  }, async (t) => {
    const data = generateSet(count, dimension, 200);
    const rows = Array.from({ length: rowCount(data) }, (_, row) => row);
    const recalls: number[] = [];
    for (const threads of [undefined, nodeTestThreads(3, build)]) {
      const disk = new MemoryDisk();
      const db = await open(threads, disk);
      await fill(db, data, indexType);
      await db.waitForIndex();
      const { index } = await db.describeSpace('v');
      assert.equal(index?.pending, 0);
      assert.equal(index?.threads, threads === undefined ? undefined : 3);
      assert.equal((await db.stats()).threadsFailure, undefined);
      recalls.push(await recallOf(db, data));
      assert.ok(
        (await unreachable(db, data, rows)) <= rowCount(data) / 500,
        'vectors that lead to themselves',
      );
      await db.checkpoint();
      assert.deepEqual((await db.verify({ deep: true })).spaces[0]?.faults, []);
      await db.close();
      // What was stored is the graph that was linked: nothing is pending when it is opened again.
      const again = await open(undefined, disk);
      await again.useSpace('v');
      assert.equal((await again.describeSpace('v')).index?.pending, 0);
      await again.close();
    }
    const [one = 0, several = 0] = recalls;
    t.diagnostic(`recall@10 ${one.toFixed(4)} by one thread, ${several.toFixed(4)} by three`);
    assert.ok(several >= Math.min(0.95, one - 0.01), `recall@10 is ${several}, one thread's ${one}`);
  });

test('what is deleted, replaced and added while threads link is what searches know afterwards', {
  timeout,
}, async () => {
  const data: DataSet = { ...generateSet(6000, 64, 50), metric: 'L2' };
  const { dimension, base } = data;
  const db = await open(nodeTestThreads(2, build));
  await fill(db, data, 'HNSW16');
  const deleted = [];
  for (let row = 0; row < 600; row++) {
    await db.deleteVector(row);
    deleted.push(row);
    // Its slot is used again, by another vector.
    if (row % 2 === 0)
      await db.insertVector(
        10_000 + row,
        rowAt(base, dimension, row).map((x) => x + 1),
      );
    if (row % 3 === 0)
      await db.insertVector(
        3000 + row,
        rowAt(base, dimension, 3000 + row).map((x) => x - 1),
      );
  }
  await db.waitForIndex();
  const { index, count } = await db.describeSpace('v');
  assert.equal(index?.threads, 2);
  assert.equal(count, 6000 - 600 + 300);
  for (const row of deleted) {
    const hits = await db.searchTopK(rowAt(base, dimension, row), 10, { efSearch: 200 });
    assert.equal(hits.length, 10);
    assert.ok(
      hits.every(({ id }) => Number(id) >= 600),
      'a deleted vector is answered',
    );
  }
  for (let row = 0; row < 600; row += 6) {
    const added = await db.searchTopK(
      rowAt(base, dimension, row).map((x) => x + 1),
      1,
      { efSearch: 200 },
    );
    assert.equal(added[0]?.id, 10_000 + row);
    const replaced = await db.searchTopK(
      rowAt(base, dimension, 3000 + row).map((x) => x - 1),
      1,
      { efSearch: 200 },
    );
    assert.equal(replaced[0]?.id, 3000 + row);
  }
  await db.checkpoint();
  assert.deepEqual((await db.verify({ deep: true })).spaces[0]?.faults, []);
  await db.close();
});

test('copies of one vector that threads link at the same time are all found', { timeout }, async () => {
  const data = generateSet(600, 16, 1);
  const base = new Float32Array(3000 * 16);
  for (let row = 0; row < 3000; row++) base.set(rowAt(data.base, 16, row % 600), row * 16);
  const db = await open(nodeTestThreads(4, build));
  await fill(db, { ...data, metric: 'L2', base }, 'HNSW8');
  await db.waitForIndex();
  assert.equal((await db.describeSpace('v')).index?.threads, 4);
  let found = 0;
  for (let row = 0; row < 600; row++) {
    const hits = await db.searchTopK(rowAt(base, 16, row), 5, { efSearch });
    found += hits.filter(({ id }) => Number(id) % 600 === row).length;
  }
  // The few that were linked in the same moment are nodes of their own, near their copies.
  assert.ok(found >= 0.99 * 3000, `${found} of 3000 copies were found`);
  await db.close();
});

for (const indexType of ['Flat', 'HNSW16,SQ8', 'IVF16,SQ8'] as const)
  test(`${indexType}: a large batch that threads answer has the answers of one thread, ids, metadata and all`, {
    timeout,
  }, async () => {
    const data = generateSet(3000, 48, 500);
    const { dimension, metric, base, queries } = data;
    const answers = [];
    for (const threads of [undefined, nodeTestThreads(3, build)]) {
      const db = await openNodeDatabase('batches', {
        backend: new MemoryBackend(new MemoryDisk()),
        build,
        settings: { ...settings, threadedLinksMin: 1e9 },
        threads,
      });
      const metadataFields = [{ name: 'parity', type: 'int' }] as const;
      await db.createSpace('v', 'vector', { dimension, metric, indexType, ids: 'string', metadataFields });
      await db.useSpace('v');
      const rows = Array.from({ length: rowCount(data) }, (_, row) => row);
      await db.insertVectors(
        // Long and not ASCII: what is decoded in shared memory.
        rows.map((row) => `ключ-${'ö'.repeat(12)}-${row}`),
        base,
        { metadata: rows.map((row) => ({ parity: row % 2, note: `näher als ${row}` })) },
      );
      await db.waitForIndex();
      const all = await db.searchTopKBatch(queries, 5, { includeMetadata: true, includeVectors: true });
      const filtered = await db.searchTopKBatch(queries, 5, { where: 'parity = 1' });
      assert.equal((await db.stats()).threadsFailure, undefined);
      answers.push([all, filtered]);
      // What is written while threads search does not disturb them, and an aborted search leaves them ready.
      const progress: number[] = [];
      const [later] = await Promise.all([
        db.searchTopKBatch(queries, 5, { onProgress: ({ done }) => progress.push(done) }),
        db.insertVector('later', base.subarray(0, dimension)),
      ]);
      assert.equal(later.length, 500);
      assert.equal(progress.at(-1), 500);
      const aborted = db.searchTopKBatch(queries, 5, { signal: AbortSignal.timeout(1) });
      await aborted.then(
        () => {},
        (error) => assert.ok(['ABORTED', 'TIMEOUT'].includes(error.code), error),
      );
      assert.equal((await db.searchTopKBatch(queries, 5)).length, 500);
      await db.close();
    }
    assert.deepEqual(answers[1], answers[0]);
  });

for (const death of ['killed', 'silent', 'not to be had'] as const)
  test(`a helper that is ${death} leaves the linking to this thread`, { timeout }, async () => {
    const data = generateSet(5000, 64, 50);
    const threads = nodeTestThreads(2, build);
    assert.ok(threads !== undefined);
    let spawned = 0;
    const doomed: Threads = {
      ...threads,
      load: () => (death === 'not to be had' ? Promise.reject(new Error('no such file')) : threads.load()),
      spawn: () => {
        const helper = threads.spawn();
        if (spawned++ > 0 || death === 'not to be had') return helper;
        return death === 'killed' ? killedSoon(helper) : silentSoon(helper);
      },
    };
    const db = await open(doomed);
    await fill(db, data, 'HNSW16');
    await db.deleteVector(17);
    await db.waitForIndex();
    const { index } = await db.describeSpace('v');
    assert.deepEqual([index?.pending, index?.threads], [0, undefined]);
    const { threads: left, threadsFailure } = await db.stats();
    assert.equal(left, 1);
    assert.match(
      threadsFailure ?? '',
      { killed: /ended/, silent: /no sign/, 'not to be had': /no such file/ }[death],
    );
    assert.ok((await recallOf(db, data)) >= 0.95);
    await db.close();
  });

function killedSoon(helper: Helper): Helper {
  return {
    run: async (job) => {
      const run = helper.run(job);
      await sleep(20);
      helper.end();
      return run;
    },
    end: () => helper.end(),
  };
}

/** As one whose worker was ended from outside: nobody is told. */
function silentSoon(helper: Helper): Helper {
  return {
    run: async (job) => {
      helper.run(job).catch(() => {});
      await sleep(20);
      helper.end();
      return new Promise(() => {});
    },
    end: () => helper.end(),
  };
}
