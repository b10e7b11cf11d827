// Compiles the C++ core with the machine's own compiler under the address and undefined-behaviour sanitizers and
// runs its tests (wasm/test/): `node tools/sanitize.mjs`; or those of threads under the thread sanitizer: `node
// tools/sanitize.mjs thread`. Objects are kept in build/native/ by a hash of the source, all headers, flags and compiler.

import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';

const root = path.dirname(import.meta.dirname);
/** @param {string} sanitizers */
const flagsFor = (sanitizers) => [
  '-std=c++20',
  '-O1',
  '-g',
  '-pthread',
  // With what only the builds with threads have: wasm/core/threads.h.
  '-DSHIBUMI_THREADS=1',
  `-fsanitize=${sanitizers}`,
  '-fno-sanitize-recover=all',
  '-fno-omit-frame-pointer',
  '-fno-exceptions',
  '-fno-rtti',
  '-Wall',
  '-Wextra',
  // No -Werror: the machine's compiler may be any, and every one has warnings of its own. build-wasm.mjs has it.
  // The attributes that name WASM exports mean nothing to a native compiler.
  '-Wno-attributes',
  '-Wno-unknown-pragmas',
  '-Iwasm',
];

/**
 * @typedef {{ outcome: 'passed' | 'failed' | 'skipped', output: string }} SanitizerResult
 * @param {string} [sanitizers] as the compiler is told
 * @param {string[]} [only] part of the names of the tests to run; default all
 * @returns {Promise<SanitizerResult>} `output`: what compiler and tests printed, or the reason of a skip.
 */
export async function runSanitized(sanitizers = 'address,undefined', only = []) {
  const flags = flagsFor(sanitizers);
  const compiler = findCompiler(flags);
  if (compiler === undefined) {
    return { outcome: 'skipped', output: 'no C++20 compiler with sanitizers found' };
  }
  const folder = path.join(root, 'build', 'native');
  mkdirSync(folder, { recursive: true });
  const base = hashOf(globSync('wasm/**/*.h', { cwd: root }).sort(), JSON.stringify([compiler, flags]));
  const jobs = unitsOf(globSync('wasm/**/*.cc', { cwd: root }).sort()).map(({ name, sources }) => {
    const hash = hashOf(sources, base);
    return {
      sources,
      source: path.join(folder, `${name}-${hash}.cc`),
      object: path.join(folder, `${name}-${hash}.o`),
    };
  });
  try {
    const waiting = jobs.filter(({ object }) => !existsSync(object));
    const lanes = Array.from({ length: availableParallelism() }, async () => {
      for (let job = waiting.pop(); job !== undefined; job = waiting.pop()) {
        writeFileSync(job.source, job.sources.map((file) => `#include "../../${file}"\n`).join(''));
        await compile(compiler.command, [...flags, '-c', job.source], job.object);
      }
    });
    await Promise.all(lanes);
    const binary = path.join(folder, `core-test-${sanitizers.replaceAll(',', '-')}`);
    await compile(compiler.command, [...flags, ...jobs.map(({ object }) => object).sort()], binary);
    return { outcome: 'passed', output: await run(binary, only) };
  } catch (error) {
    return { outcome: 'failed', output: /** @type {Error} */ (error).message };
  }
}

/**
 * What is compiled at once. A folder of the core is one unit, as all of the core is in build-wasm.mjs: most of what a compiler does for
 * a file is its headers. A test stays by itself, with names of its own.
 * @param {string[]} sources
 */
function unitsOf(sources) {
  /** @type {Map<string, string[]>} */
  const units = new Map();
  for (const source of sources) {
    const folder = path.basename(path.dirname(source));
    const name = folder === 'test' ? `test-${path.basename(source, '.cc')}` : folder;
    units.set(name, [...(units.get(name) ?? []), source]);
  }
  return [...units].map(([name, sources]) => ({ name, sources }));
}

/**
 * @param {string} command
 * @param {string[]} inputs
 * @param {string} output
 */
async function compile(command, inputs, output) {
  // Under another name first, so that a stopped compilation leaves nothing that looks finished.
  const unfinished = `${output}.${process.pid}`;
  await run(command, [...inputs, '-o', unfinished]);
  renameSync(unfinished, output);
}

/**
 * @param {string[]} files
 * @param {string} start
 */
function hashOf(files, start) {
  const hash = createHash('sha256').update(start);
  for (const file of files) hash.update(`${file}\n`).update(readFileSync(path.join(root, file)));
  return hash.digest('hex').slice(0, 16);
}

/**
 * The first compiler that builds and runs a sanitized C++20 program: some machines lack the sanitizers' library.
 * @param {string[]} flags
 */
function findCompiler(flags) {
  const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-probe-'));
  const probe = path.join(folder, 'probe');
  const source = '#include <concepts>\nint main() { return std::same_as<int, long>; }';
  try {
    for (const command of [process.env.CXX, 'c++', 'g++', 'clang++']) {
      if (!command) continue;
      const built = spawnSync(command, [...flags, '-x', 'c++', '-', '-o', probe], {
        input: source,
        cwd: root,
      });
      if (built.status !== 0 || spawnSync(probe).status !== 0) continue;
      return { command, version: spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout };
    }
    return undefined;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Runs a command and gives what it wrote.
 * @param {string} command
 * @param {string[]} args
 * @returns {Promise<string>}
 * @throws {Error} with the same where it failed
 */
function run(command, args) {
  const options = { cwd: root, maxBuffer: 2 ** 26, timeout: 300_000 };
  return new Promise((resolve, reject) => {
    execFile(command, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout + stderr);
      const ending = error.killed
        ? `stopped after ${options.timeout} ms`
        : `ended with ${error.signal ?? error.code}`;
      reject(new Error(`${stdout}${stderr}${command} ${ending}`));
    });
  });
}

if (import.meta.main) {
  const [sanitizers] = process.argv.slice(2);
  const { outcome, output } = await runSanitized(sanitizers, sanitizers === 'thread' ? ['threads'] : []);
  console.log(outcome === 'skipped' ? `skipped: ${output}` : `${output.trimEnd()}\n${outcome}`);
  process.exitCode = outcome === 'failed' ? 1 : 0;
}
