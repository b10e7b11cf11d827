/**
 * Goal: no benchmark rots. Method: a quick run of every suite there is, in Node and in Chromium; the JSON has the shape that
 * others read, with rows of Shibumi and of every peer that can be installed here. No figure is judged: the parameters are tiny.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { findBrowser } from '../../tools/browser.mjs';
import { packedPackage } from '../support/packed-package.ts';
import { slope } from './growth.ts';
import { ensurePeers, type PeerName } from './peers.ts';
import type { Row } from './row.ts';
import { suites } from './suites.ts';

const timeoutMs = 840_000;
const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-bench-test-'));
const out = path.join(folder, 'bench.json');
let rows: Row[] = [];

before(
  async () => {
    // The suite `api` measures what the package weighs.
    packedPackage();
    const { status, output } = await runBench(['all', '--quick', '--out', out]);
    assert.equal(status, 0, output);
    rows = JSON.parse(readFileSync(out, 'utf8')).rows;
  },
  { timeout: timeoutMs },
);
after(() => rmSync(folder, { recursive: true, force: true }));

test('the JSON says where, when and with what it was measured', () => {
  const { date, cpu, cores, versions } = JSON.parse(readFileSync(out, 'utf8'));
  assert.ok(Date.now() - Date.parse(date) < timeoutMs);
  assert.equal(typeof cpu, 'string');
  assert.ok(cores >= 1);
  for (const name of ['shibumi', 'node']) assert.match(versions[name], /^\d+\.\d+/);
});

test('every row has what a reader needs', () => {
  assert.ok(rows.length > 50, `only ${rows.length} rows`);
  for (const row of rows) {
    for (const field of ['suite', 'scenario', 'subject', 'runtime', 'data', 'metric', 'unit'] as const) {
      assert.ok(row[field].length > 0, `${field} is empty in ${JSON.stringify(row)}`);
    }
    assert.equal(typeof row.params, 'object');
    // A clock that is coarser than a search may give it no time at all.
    const least = row.unit === 'ms' ? 0 : row.metric === 'exponent' ? -10 : Number.MIN_VALUE;
    assert.ok(Number.isFinite(row.value) && row.value >= least, JSON.stringify(row));
    assert.ok(row.better === 'higher' || row.better === 'lower', JSON.stringify(row));
  }
});

test('every index type has speed, recall, build, size and latency, in Node and in Chromium', (t) => {
  const wanted = [
    'recall',
    'qps',
    'qps@0.95',
    'qps@0.99',
    'p50Ms',
    'p99Ms',
    'buildPerSecond',
    'bytesPerVector',
    'openMs',
  ];
  for (const runtime of findBrowser() === undefined ? ['node'] : ['node', 'chromium']) {
    for (const scenario of ['Flat', 'SQ8', 'BQ', 'HNSW16', 'HNSW16,SQ8', 'HNSW16,BQ']) {
      for (const build of ['simd128', 'relaxed']) {
        const found = new Set(
          rows
            .filter((row) => row.suite === 'vectors' && row.subject === 'shibumi' && row.runtime === runtime)
            .filter((row) => row.scenario === scenario && row.params.build === build)
            .map(({ metric }) => metric),
        );
        assert.deepEqual(
          wanted.filter((metric) => !found.has(metric)),
          [],
          `${runtime} ${scenario} ${build}`,
        );
      }
    }
  }
  if (findBrowser() === undefined) t.diagnostic('no Chromium was found: only Node was looked at');
});

test('filters, batches, lists, threads and training have their rows, in Node and in Chromium', () => {
  const wanted: readonly (readonly [scenario: string, metric: string])[] = [
    ...[50, 10, 1, 0.1].map((percent) => [`filter ${percent}%`, 'qps@0.95'] as const),
    ['filter none', 'qps@0.95'],
    ['batch', 'qps'],
    ['batch', 'recall'],
    ['IVF16', 'qps@0.9'],
    ['IVF16,PQ6', 'qps@0.9'],
    ['threads', 'buildPerSecond'],
    ['training', 'p99Ms'],
    ['training', 'mostMs'],
  ];
  for (const runtime of findBrowser() === undefined ? ['node'] : ['node', 'chromium']) {
    const own = rows.filter((row) => row.suite === 'vectors' && row.runtime === runtime);
    const found = own.filter(({ subject }) => subject === 'shibumi');
    for (const [scenario, metric] of wanted)
      assert.ok(
        found.some((row) => row.scenario === scenario && row.metric === metric),
        `${runtime}: no ${metric} of ${scenario}`,
      );
    assert.deepEqual(
      new Set(found.filter((row) => row.scenario === 'batch').map(({ params }) => params.queries)),
      new Set([1, 8, 32]),
    );
    assert.ok(own.some(({ subject, metric }) => subject === 'flat' && metric === 'qps@0.9'));
  }
});

test('growth has every size and its exponents, kernels every build beside a plain read', () => {
  const growth = rows.filter(({ suite }) => suite === 'growth');
  const runtimes = findBrowser() === undefined ? ['node'] : ['node', 'chromium'];
  for (const runtime of runtimes) {
    const own = growth.filter((row) => row.runtime === runtime);
    assert.equal(own.filter(({ metric }) => metric === 'buildPerSecond').length, 3);
    assert.equal(own.filter(({ metric }) => metric === 'exponent').length, 2);
    const sweeps = rows.filter((row) => row.suite === 'kernels' && row.runtime === runtime);
    for (const build of ['simd128', 'relaxed']) {
      const kernels = new Set(
        sweeps.filter(({ params }) => params.build === build).map(({ scenario }) => scenario),
      );
      for (const name of ['read', 'l2sq', 'SQ8 dot, 4 at a time', 'BQ difference'])
        assert.ok(kernels.has(name), `${runtime} ${build}: no ${name}`);
    }
  }
});

test('a slope is that of the power the values follow', () => {
  const points = [10, 1000, 4000].map((count) => [count, 7 * count ** -0.25] as const);
  assert.ok(Math.abs(slope(points) + 0.25) < 1e-9);
});

test('charts are drawn of recall against speed, and of growth', () => {
  const charts = readdirSync(path.join(folder, 'bench-charts'));
  for (const name of [/^recall-qps-node-/, /^growth-qps-0\.95/, /^growth-buildPerSecond/])
    assert.ok(
      charts.some((file) => name.test(file)),
      `no ${name} in ${charts}`,
    );
  for (const file of charts) {
    const svg = readFileSync(path.join(folder, 'bench-charts', file), 'utf8');
    assert.match(svg, /^<svg /);
    assert.ok(svg.includes('HNSW16,SQ8'), `${file} has no line of HNSW16,SQ8`);
  }
});

const peers: readonly [subject: string, suite: string, runtime: string, packaged?: PeerName][] = [
  ['js-loop', 'vectors', 'node'],
  ['js-loop', 'vectors', 'chromium'],
  ['hnswlib-node', 'vectors', 'node', 'hnswlib-node'],
  ['usearch', 'vectors', 'node', 'usearch'],
  ['hnswlib-wasm', 'vectors', 'chromium', 'hnswlib-wasm'],
  ['indexeddb', 'storage', 'chromium'],
  ['indexeddb-read', 'storage', 'chromium'],
  ['dexie', 'storage', 'chromium', 'dexie'],
  ['comlink', 'api', 'chromium'],
  ['idb-keyval', 'api', 'chromium', 'idb-keyval'],
  ['dexie', 'api', 'chromium', 'dexie'],
];
for (const [subject, suite, runtime, packaged] of peers) {
  test(`${subject} is measured beside shibumi in ${suite}, ${runtime}`, (t) => {
    const missing = packaged === undefined ? undefined : ensurePeers().missing.get(packaged);
    if (missing !== undefined) return t.skip(missing);
    if (runtime === 'chromium' && findBrowser() === undefined) return t.skip('no Chromium was found');
    const here = rows.filter((row) => row.suite === suite && row.runtime === runtime);
    const theirs = here.filter((row) => row.subject === subject);
    assert.ok(theirs.length > 0, `no row of ${subject}`);
    const shared = theirs.filter((row) =>
      here.some((ours) => ours.subject === 'shibumi' && ours.scenario === row.scenario),
    );
    assert.ok(shared.length > 0, `no row of shibumi beside ${subject}`);
  });
}

test('the calls of the API are measured one by one and in batches, with the engine alone and through the worker', () => {
  const found = new Set(
    rows
      .filter(({ suite, subject }) => suite === 'api' && subject === 'shibumi')
      .map(({ runtime, scenario, metric }) => `${runtime} ${scenario} ${metric}`),
  );
  const wanted = [
    'node engine gets getsPerSecond',
    'node engine puts putsPerSecond',
    'node engine puts bytesPerKey',
  ];
  if (findBrowser() !== undefined) {
    wanted.push(
      'chromium gets getsPerSecond',
      'chromium puts putsPerSecond',
      'chromium getMany getsPerSecond',
      'chromium putMany putsPerSecond',
      'chromium scan entriesPerSecond',
      'chromium load openMs',
    );
  }
  assert.deepEqual(
    wanted.filter((row) => !found.has(row)),
    [],
  );
});

for (const [name, suite] of Object.entries(suites)) {
  if (suite !== undefined) continue;
  test(`the suite ${name}, which has no scenarios yet, says so and fails`, async () => {
    const { status, output } = await runBench([name]);
    assert.equal(status, 1);
    assert.match(output, /has no scenarios yet/);
  });
}

test('an unknown suite is refused with the list of suites', async () => {
  const { status, output } = await runBench(['speed']);
  assert.equal(status, 2);
  assert.match(output, /vectors, growth, kernels, storage, api/);
});

function runBench(args: readonly string[]): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [path.join(import.meta.dirname, 'run.ts'), ...args]);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    child.on('close', (status) => resolve({ status, output }));
  });
}
