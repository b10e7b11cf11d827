// Runs the tests: `npm test [-- <part of a path> ...]`.
//
// Sets up what they need (the WASM builds, a Chromium), runs every test/**/*.test.ts under node:test, prints one line
// a test, the failures again at the end, and as its last line `N passed, N failed, N skipped`.
// Light files run side by side; heavy ones (a browser, many processes, timing, much memory) one at a time after them.

import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { run } from 'node:test';
import { parseArgs } from 'node:util';
import { ensureBrowser } from './browser.mjs';
import { buildWasm } from './build-wasm.mjs';
import { TestReport } from './test-report.mjs';

const root = path.dirname(import.meta.dirname);
/** Folders under test/ whose files need a browser; those and a few others have the machine to themselves. */
const browserFolders = [
  'bench',
  'bridge',
  'browser',
  'conformance',
  'crash',
  'demo',
  'package',
  'runtimes',
  'tabs',
];
const heavyFolders = [
  ...browserFolders,
  'cli',
  'docs',
  'edge',
  'examples',
  'listeners',
  'native',
  'node',
  'recall',
  'upstreams',
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

const light = files.filter((file) => !isHeavy(file));
const lanes = Math.min(2, availableParallelism());
await Promise.all(Array.from({ length: lanes }, () => runLane(light)));
for (const file of files.filter(isHeavy)) {
  for await (const event of runFile(file, fileTimeoutMs.heavy)) report.add(event);
}
process.exitCode = report.finish();

/**
 * Runs files off the front of `waiting` until none is left. A file's results are printed together.
 * @param {string[]} waiting shared by all lanes
 */
async function runLane(waiting) {
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    const events = await Array.fromAsync(runFile(file, fileTimeoutMs.light));
    for (const event of events) report.add(event);
  }
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

/** @param {string} file */
function isHeavy(file) {
  return heavyFolders.includes(file.split(path.sep)[1] ?? '');
}

/** @param {string} file */
function needsBrowser(file) {
  return browserFolders.includes(file.split(path.sep)[1] ?? '');
}
