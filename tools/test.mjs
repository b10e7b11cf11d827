// Runs the tests: `npm test [-- <part of a path> ...]`.
//
// Sets up what they need (the WASM builds, a Chromium), runs every test/**/*.test.ts under node:test, prints one line
// a test, the failures again at the end, and as its last line `N passed, N failed, N skipped`.
// Light files run two at a time; then heavy ones (many processes, much memory) three at a time with more patience, because they wait
// for disks and other processes for much of their time; then those that need all processors or take the time of things, one at a time.

import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { run } from 'node:test';
import { parseArgs } from 'node:util';
import { ensureBrowser } from './browser.mjs';
import { buildWasm } from './build-wasm.mjs';
import { TestReport } from './test-report.mjs';

const root = path.dirname(import.meta.dirname);
/** Folders under test/ whose files have the machine to themselves, and one that asks whether all processors are used. */
const loneFolders = ['crash', 'tabs'];
const loneFiles = ['test/browser/threads.test.ts'].map(path.normalize);
/** Those whose files take long, beside another one. */
const heavyFolders = [
  'bench',
  'bridge',
  'browser',
  'bundlers',
  'cli',
  'conformance',
  'demo',
  'docs',
  'edge',
  'examples',
  'listeners',
  'native',
  'node',
  'package',
  'recall',
  'static',
  'upstreams',
];
const browserFolders = [
  ...loneFolders,
  ...[
    'bench',
    'bridge',
    'browser',
    'bundlers',
    'conformance',
    'demo',
    'docs',
    'edge',
    'examples',
    'package',
    'static',
  ],
];
/** Heavy files that begin first: one of them, begun last, would leave the other lanes without work. */
const longFiles = [
  'bench/',
  'browser/kill',
  'bundlers/',
  'conformance/browser',
  'demo/demo.browser',
  'edge/bridge',
  'edge/conformance',
  'native/sanitize',
  'node/conformance',
  'recall/hnsw',
];
/** A file that takes longer is stopped and fails; a test that hangs fails by name a little sooner. */
const fileTimeoutMs = {
  light: Number(process.env.SHIBUMI_TEST_FILE_TIMEOUT_MS ?? 2 * 60_000),
  heavy: Number(process.env.SHIBUMI_TEST_FILE_TIMEOUT_MS ?? 15 * 60_000),
};
const graceMs = 5_000;

const { positionals: filters } = parseArgs({ allowPositionals: true });
process.chdir(root);

const files = globSync('test/**/*.test.ts', { exclude: ['**/node_modules/**'] })
  .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
  .sort();
if (files.length === 0) {
  console.error(`No test file's path contains ${filters.join(' or ')}`);
  process.exit(1);
}

const report = new TestReport(root);
try {
  await buildWasm();
  if (files.some(needsBrowser)) process.env.SHIBUMI_BROWSER = ensureBrowser();
} catch (error) {
  // The tests that do without still run; the others then fail by themselves and say why.
  report.fail('set-up', /** @type {Error} */ (error).message);
}

const lone = files.filter((file) => loneFolders.includes(folderOf(file)) || loneFiles.includes(file));
const heavy = files
  .filter((file) => heavyFolders.includes(folderOf(file)) && !lone.includes(file))
  .sort((a, b) => Number(isLong(b)) - Number(isLong(a)));
const light = files.filter((file) => !lone.includes(file) && !heavy.includes(file));
const lanes = Math.min(2, availableParallelism());
// Every file is a process of its own, which would strip the types of all modules and compile them anew.
process.env.NODE_COMPILE_CACHE ??= path.resolve('build/compile-cache');
await runLanes(lanes, light, fileTimeoutMs.light);
await runLanes(lanes === 1 ? 1 : 3, heavy, fileTimeoutMs.heavy);
await runLanes(1, lone, fileTimeoutMs.heavy);
process.exitCode = report.finish();

/**
 * Runs files, `lanes` at a time. With more than one lane a file's results are printed together.
 * @param {number} lanes
 * @param {string[]} files
 * @param {number} timeoutMs
 */
async function runLanes(lanes, files, timeoutMs) {
  const waiting = [...files];
  const runLane = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const startedMs = performance.now();
      const kept = [];
      for await (const event of runFile(file, timeoutMs))
        if (lanes === 1) report.add(event);
        else kept.push(event);
      for (const event of kept) report.add(event);
      report.addFile(file, performance.now() - startedMs);
    }
  };
  await Promise.all(Array.from({ length: lanes }, runLane));
}

/**
 * @param {string} file
 * @param {number} timeoutMs
 */
function runFile(file, timeoutMs) {
  return run({
    files: [path.resolve(file)],
    timeout: timeoutMs - graceMs,
    // run()'s own timeout cannot stop a test that never yields.
    signal: AbortSignal.timeout(timeoutMs),
    // A file ends with its last test, even if one that timed out left something running.
    execArgv: ['--test-force-exit'],
  });
}

/**
 * The folder under test/ a file is in.
 * @param {string} file
 */
function folderOf(file) {
  return file.split(path.sep)[1] ?? '';
}

/** @param {string} file */
function isLong(file) {
  return longFiles.some((part) => file.includes(path.normalize(`test/${part}`)));
}

/** @param {string} file */
function needsBrowser(file) {
  return browserFolders.includes(folderOf(file));
}
