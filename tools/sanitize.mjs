// Compiles the C++ core with the machine's own compiler under the address and undefined-behaviour sanitizers and
// runs its tests (wasm/test/): `node tools/sanitize.mjs`. The binary is kept by a hash of sources, flags and compiler.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.dirname(import.meta.dirname);
const flags = [
  '-std=c++20',
  '-O1',
  '-g',
  '-fsanitize=address,undefined',
  '-fno-sanitize-recover=all',
  '-fno-omit-frame-pointer',
  '-fno-exceptions',
  '-fno-rtti',
  '-Wall',
  '-Wextra',
  '-Werror',
  // The attributes that name WASM exports mean nothing to a native compiler.
  '-Wno-attributes',
  '-Wno-unknown-pragmas',
  '-Iwasm',
];

/**
 * @typedef {{ outcome: 'passed' | 'failed' | 'skipped', output: string }} SanitizerResult
 * @returns {SanitizerResult} `output`: what compiler and tests printed, or the reason of a skip.
 */
export function runSanitized() {
  const compiler = findCompiler();
  if (compiler === undefined)
    return { outcome: 'skipped', output: 'no C++20 compiler with sanitizers found' };
  const sources = globSync('wasm/**/*.cc', { cwd: root }).sort();
  const key = createHash('sha256').update(JSON.stringify([compiler, flags]));
  for (const file of globSync('wasm/**/*.{cc,h}', { cwd: root }).sort()) {
    key.update(file).update(readFileSync(path.join(root, file)));
  }
  const binary = path.join(root, 'build', 'native', `core-test-${key.digest('hex').slice(0, 16)}`);
  if (!existsSync(binary)) {
    mkdirSync(path.dirname(binary), { recursive: true });
    // Under another name first, so that a stopped compilation leaves nothing that looks finished.
    const built = run(compiler.command, [...flags, ...sources, '-o', `${binary}.${process.pid}`]);
    if (built.status !== 0)
      return { outcome: 'failed', output: `${compiler.command} failed:\n${built.output}` };
    renameSync(`${binary}.${process.pid}`, binary);
  }
  const tested = run(binary, []);
  return { outcome: tested.status === 0 ? 'passed' : 'failed', output: tested.output };
}

/** The first compiler that builds and runs a sanitized C++20 program: some machines lack the sanitizers' library. */
function findCompiler() {
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
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    timeout: 300_000,
  });
  const ending = result.error?.message ?? (result.signal === null ? '' : `stopped by ${result.signal}`);
  return { status: result.status, output: result.stdout + result.stderr + ending };
}

if (import.meta.main) {
  const { outcome, output } = runSanitized();
  console.log(outcome === 'skipped' ? `skipped: ${output}` : `${output.trimEnd()}\n${outcome}`);
  process.exitCode = outcome === 'failed' ? 1 : 0;
}
