/**
 * Goal: a page that is cross-origin isolated links with several threads, whatever happens to them, and no other page pays for it.
 * Method: real Chromium, the page served with and without the headers; which files it fetches the server tells.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { Chromium, missingPart } from '../support/chromium.ts';
import { type PageServer, serveTestPage } from '../support/test-page.ts';

const skip = missingPart() ?? false;
const timeout = 120_000;
let isolated: PageServer;
let ordinary: PageServer;
let browser: Chromium;

before(async () => {
  if (skip) return;
  [isolated, ordinary] = await Promise.all([serveTestPage({}, { isolated: true }), serveTestPage()]);
  browser = await Chromium.launch();
});

after(async () => {
  await browser?.discard();
  await isolated?.close();
  await ordinary?.close();
});

async function newPage(server: PageServer): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => window.tests !== undefined);
  return page;
}

/** How often the build with threads was fetched. */
const fetches = ({ asked }: PageServer): number => asked.filter((path) => path.includes('-threads')).length;

interface Outcome {
  readonly threads: number | undefined;
  readonly failure: string | undefined;
  readonly linkedBy: number | undefined;
  readonly pending: number | undefined;
  readonly count: number;
  readonly recall: number;
  readonly unreachable: number;
  readonly deletedFound: number;
  readonly progress: number[];
  readonly pendingAfterOpen: number | undefined;
}

/** Fills a space, lets it be linked while some vectors are deleted, and looks at what searches know afterwards. */
function build(page: Page, options: { threads?: number; kill?: boolean }): Promise<Outcome> {
  return page.evaluate(async ({ threads, kill }): Promise<Outcome> => {
    const [dimension, rows, deleted] = [48, 6000, 300];
    let seed = 7;
    const next = (): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return seed / 2 ** 32 - 0.5;
    };
    const centres = Float32Array.from({ length: 60 * dimension }, next);
    const vectors = Float32Array.from({ length: rows * dimension }, (_, i) => {
      const row = Math.floor(i / dimension);
      return (centres[((row * 31) % 60) * dimension + (i % dimension)] as number) + 0.6 * next();
    });
    const rowOf = (row: number): Float32Array => vectors.subarray(row * dimension, (row + 1) * dimension);
    const open = window.tests.open;
    const name = `threads-${crypto.randomUUID()}`;
    const given = {
      ...(threads === undefined ? {} : { threads }),
      ...(kill ? { worker: await workerWhoseFirstHelperDies() } : {}),
    };
    const db = await open(name, given);
    await db.createSpace('v', 'vector', { dimension, durability: 'relaxed' });
    await db.useSpace('v');
    await db.insertVectors(
      Array.from({ length: rows }, (_, i) => i),
      vectors,
    );
    const truth = [];
    // A helper that is to be ended after 200 ms must not be through by then.
    await db.reindex({ indexType: 'HNSW16', efConstruction: kill ? 400 : 128 });
    const progress: number[] = [];
    const linked = db.waitForIndex({ onProgress: ({ done }) => progress.push(done) });
    for (let row = 0; row < deleted; row++) await db.deleteVector(row);
    await linked;
    const { index, count } = await db.describeSpace('v');
    const stats = await db.stats();
    let [unreachable, deletedFound, right] = [0, 0, 0];
    for (let row = 0; row < rows; row += 3) {
      const [hit] = await db.searchTopK(rowOf(row), 1, { efSearch: 64 });
      if (row < deleted && hit !== undefined && Number(hit.id) < deleted) deletedFound++;
      if (row >= deleted && hit?.id !== row) unreachable++;
    }
    const queries = Array.from({ length: 50 }, (_, q) =>
      rowOf(deleted + q * 100).map((x) => x + 0.2 * next()),
    );
    for (const query of queries) {
      const distance = (row: number): number =>
        query.reduce((sum, x, i) => sum + (x - (rowOf(row)[i] as number)) ** 2, 0);
      const all = Array.from({ length: rows - deleted }, (_, i) => i + deleted);
      const distances = all.map(distance).sort((a, b) => a - b);
      truth.push(distances[9] as number);
      const hits = await db.searchTopK(query, 10, { efSearch: 64 });
      right += hits.filter(({ id }) => distance(Number(id)) <= (distances[9] as number) + 1e-5).length;
    }
    await db.checkpoint();
    await db.close();
    const again = await open(name, { threads: 1 });
    const pendingAfterOpen = (await again.describeSpace('v')).index?.pending;
    await again.close();
    await window.tests.deleteDatabase(name);
    return {
      threads: stats.threads,
      failure: stats.threadsFailure,
      linkedBy: index?.threads,
      pending: index?.pending,
      count,
      recall: right / 500,
      unreachable,
      deletedFound,
      progress,
      pendingAfterOpen,
    };

    /** The worker's own script behind a few lines that end the first worker it makes, without a word to anybody. */
    async function workerWhoseFirstHelperDies(): Promise<() => Worker> {
      const RealWorker = globalThis.Worker;
      let script = '';
      globalThis.Worker = class extends RealWorker {
        constructor(url: string | URL, options?: WorkerOptions) {
          super(url, options);
          script = String(new URL(url, location.href));
        }
      };
      window.tests.spawnWorker().terminate();
      globalThis.Worker = RealWorker;
      const module = (code: string): string =>
        URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
      const trap = module(`
        let made = 0;
        const RealWorker = self.Worker;
        self.Worker = class extends RealWorker {
          constructor(url, options) {
            super(url, options);
            if (made++ === 0) setTimeout(() => this.terminate(), 200);
          }
        };`);
      const whole = module(`import '${trap}'; import '${script}';`);
      return () => new RealWorker(whole, { type: 'module' });
    }
  }, options);
}

function expectGood(outcome: Outcome): void {
  assert.equal(outcome.pending, 0);
  assert.equal(outcome.count, 5700);
  assert.ok(outcome.recall >= 0.95, `recall@10 is ${outcome.recall}`);
  // A graph of one thread leaves one or the other behind as well.
  assert.ok(outcome.unreachable <= 10, `${outcome.unreachable} of 1900 vectors do not lead to themselves`);
  assert.equal(outcome.deletedFound, 0, 'deleted vectors are answered');
  assert.deepEqual(
    outcome.progress,
    [...outcome.progress].sort((a, b) => a - b),
    'progress goes forward',
  );
  assert.equal(outcome.pendingAfterOpen, 0, 'what was stored is the graph that was linked');
}

test('an isolated page links with three threads: as good a graph, everything in it, deletes meanwhile count', {
  skip,
  timeout,
}, async () => {
  const page = await newPage(isolated);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  const outcome = await build(page, { threads: 3 });
  assert.deepEqual([outcome.threads, outcome.failure, outcome.linkedBy], [3, undefined, 3]);
  expectGood(outcome);
  assert.equal(fetches(isolated), 1);
  await page.close();
});

test('a helper that is killed in its work leaves the rest to the thread that is there', {
  skip,
  timeout,
}, async () => {
  const page = await newPage(isolated);
  const outcome = await build(page, { threads: 2, kill: true });
  assert.deepEqual([outcome.threads, outcome.linkedBy], [1, undefined]);
  assert.match(outcome.failure ?? '', /ended from outside|has given no sign/);
  expectGood(outcome);
  await page.close();
});

test('threads: 1 turns them off, and so does a page that is not isolated: the build with threads is not even fetched', {
  skip,
  timeout,
}, async () => {
  for (const [server, options] of [
    [isolated, { threads: 1 }],
    [ordinary, { threads: 4 }],
  ] as const) {
    const before = fetches(server);
    const page = await newPage(server);
    const outcome = await build(page, options);
    assert.deepEqual([outcome.threads, outcome.failure, outcome.linkedBy], [1, undefined, undefined]);
    expectGood(outcome);
    assert.equal(fetches(server), before, 'the build with threads was fetched');
    await page.close();
  }
});
