// Builds the C++ core to WebAssembly: `node tools/build-wasm.mjs [--source wasm] [--out build/wasm] [--force]`.
//
// One module per variant, named for the instructions it needs: shibumi-simd128.wasm and shibumi-relaxed.wasm.
// The compiler is clang from npm (@yowasp/clang), nothing of the machine's. Each variant is one translation unit
// that includes every .cc file outside test/: eight small files took 5.8 s this way and 16.6 s compiled apart, and
// it inlines across files. So names must be unique across files even in anonymous namespaces.
//
// A variant is built again only when its sources, flags or compiler changed: a hash of those is kept beside it.
// A module may import its memory and nothing else: the core must not come to depend on WASI or on JavaScript.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';

const root = path.dirname(import.meta.dirname);

/**
 * @typedef {{ name: string, flags: string[] }} Variant
 * @typedef {{ [name: string]: SourceTree | string }} SourceTree
 * @typedef {{ wasm?: Uint8Array, messages: string }} CompileResult
 * @typedef {{ source?: string, out?: string, force?: boolean, log?: (line: string) => void }} BuildOptions
 */

/** @type {Variant[]} */
const variants = [
  { name: 'shibumi-simd128', flags: ['-msimd128'] },
  { name: 'shibumi-relaxed', flags: ['-msimd128', '-mrelaxed-simd', '-DSHIBUMI_RELAXED=1'] },
];

const pageBytes = 64 * 1024;
const flags = [
  '--target=wasm32-wasip1',
  '-std=c++20',
  '-O3',
  '-fno-exceptions',
  '-fno-rtti',
  '-mbulk-memory',
  '-Wall',
  '-Wextra',
  '-Werror',
  // Without a start function nothing would run constructors of globals.
  '-Wglobal-constructors',
  '-I.',
  '-nostartfiles',
  '-Wl,--no-entry',
  '-Wl,--strip-all',
  // The stack below the data: an overflow traps instead of writing over it.
  '-Wl,--stack-first',
  `-Wl,-z,stack-size=${1024 * 1024}`,
  // The host makes the memory, so that it can ask for less address space where the browser grants little.
  '-Wl,--import-memory',
  // A ceiling only. 4 GiB less a page, so that an end address still fits 32 bits.
  `-Wl,--max-memory=${2 ** 32 - pageBytes}`,
];

/**
 * Brings both variants up to date.
 * @param {BuildOptions} [options] `source`: folder of the C++ (default wasm/); `out`: folder of the modules
 *   (default build/wasm/); `force`: compile even when nothing changed.
 * @throws {Error} with the compiler's messages.
 */
export async function buildWasm({
  source = path.join(root, 'wasm'),
  out,
  force = false,
  log = console.log,
} = {}) {
  const target = out ?? path.join(root, 'build', 'wasm');
  const files = readSources(source);
  const unit = listSources(files)
    .map((name) => `#include "${name}"\n`)
    .join('');
  if (unit === '') throw new Error(`No C++ sources (.cc) in ${source}`);
  mkdirSync(target, { recursive: true });
  const sourceHash = hash(compilerVersion(), JSON.stringify(files));
  // At once: the compiler is single-threaded, and most of the time is its warming up.
  await Promise.all(
    variants.map(async (variant) => {
      const module = path.join(target, `${variant.name}.wasm`);
      const stamp = `${module}.hash`;
      const key = hash(sourceHash, JSON.stringify([flags, variant]));
      if (!force && readOrNothing(stamp) === key && readOrNothing(module) !== undefined) return;
      const started = performance.now();
      const wasm = await compileInWorker({ variant, files: { ...files, 'unit.cc': unit } });
      checkImports(variant.name, wasm);
      // Under another name first: a build that is stopped, or one beside it, never leaves half a module.
      replaceFile(module, wasm);
      replaceFile(stamp, key);
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      log(
        `${variant.name}.wasm: ${wasm.length} bytes, ${gzipSync(wasm).length} gzipped, built in ${seconds} s`,
      );
    }),
  );
}

/**
 * @param {{ variant: Variant, files: SourceTree }} job
 * @returns {Promise<Uint8Array>}
 */
function compileInWorker(job) {
  return new Promise((resolve, reject) => {
    // Its standard output carries the tool's own loading messages and is dropped.
    const worker = new Worker(new URL(import.meta.url), { workerData: job, stdout: true });
    worker.on('message', (/** @type {CompileResult} */ { wasm, messages }) => {
      if (wasm !== undefined) resolve(wasm);
      else
        reject(
          new Error(`${job.variant.name}.wasm does not compile:\n${messages}${uniqueNamesHint(messages)}`),
        );
    });
    worker.on('error', reject);
    worker.on('exit', (code) =>
      reject(new Error(`The compiler of ${job.variant.name}.wasm stopped with ${code}`)),
    );
  });
}

/** @param {string} messages */
function uniqueNamesHint(messages) {
  if (!/ambiguous|redefinition/.test(messages)) return '';
  return 'All .cc files are one translation unit: names must be unique across files, also in anonymous namespaces.\n';
}

/**
 * @param {{ variant: Variant, files: SourceTree }} job
 * @returns {Promise<CompileResult>}
 */
async function compile({ variant, files }) {
  const { commands, Exit } = await import('@yowasp/clang');
  let messages = '';
  const decoder = new TextDecoder();
  try {
    const tree = await commands['clang++'](
      [...flags, ...variant.flags, 'unit.cc', '-o', 'out.wasm'],
      // A copy: the tool hands back the tree it was given.
      structuredClone(files),
      {
        stderr(bytes) {
          if (bytes !== null) messages += decoder.decode(bytes);
        },
      },
    );
    const wasm = tree?.['out.wasm'];
    return wasm instanceof Uint8Array
      ? { wasm, messages }
      : { messages: `${messages}\nNo module was written.` };
  } catch (error) {
    if (error instanceof Exit) return { messages: messages || error.message };
    throw error;
  }
}

/**
 * The tree of C++ files, tests left out.
 * @param {string} folder
 * @returns {SourceTree}
 */
function readSources(folder) {
  /** @type {SourceTree} */
  const tree = {};
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory() && entry.name !== 'test') {
      const subtree = readSources(file);
      if (Object.keys(subtree).length > 0) tree[entry.name] = subtree;
    } else if (/\.(cc|h)$/.test(entry.name)) tree[entry.name] = readFileSync(file, 'utf8');
  }
  return tree;
}

/**
 * @param {SourceTree} tree
 * @returns {string[]}
 */
function listSources(tree, prefix = '') {
  return Object.entries(tree)
    .flatMap(([name, entry]) =>
      typeof entry === 'string' ? [prefix + name] : listSources(entry, `${prefix}${name}/`),
    )
    .filter((name) => name.endsWith('.cc'))
    .sort();
}

/**
 * @param {string} name
 * @param {Uint8Array} wasm
 */
function checkImports(name, wasm) {
  // A copy, because the compiler's array may be typed over shared memory.
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(Uint8Array.from(wasm))).filter(
    (entry) => entry.kind !== 'memory',
  );
  if (imports.length === 0) return;
  const names = imports.map((entry) => `${entry.module}.${entry.name}`).join(', ');
  throw new Error(`${name}.wasm imports ${names}; a module of the core may import its memory alone`);
}

function compilerVersion() {
  const manifest = path.join(root, 'node_modules', '@yowasp', 'clang', 'package.json');
  return JSON.parse(readFileSync(manifest, 'utf8')).version;
}

/** @param {string[]} parts */
function hash(...parts) {
  const sha = createHash('sha256');
  for (const part of parts) sha.update(`${part.length}:`).update(part);
  return sha.digest('hex');
}

/** @param {string} file */
function readOrNothing(file) {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
}

/**
 * @param {string} file
 * @param {Uint8Array | string} content
 */
function replaceFile(file, content) {
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, content);
  renameSync(temporary, file);
}

if (!isMainThread && parentPort !== null && workerData?.variant !== undefined) {
  parentPort.postMessage(await compile(workerData));
} else if (import.meta.main) {
  const { values } = parseArgs({
    options: { source: { type: 'string' }, out: { type: 'string' }, force: { type: 'boolean' } },
  });
  await buildWasm(values).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
