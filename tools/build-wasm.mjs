// Builds the C++ core to WebAssembly: `node tools/build-wasm.mjs [--source wasm] [--out build/wasm] [--force]`.
//
// One module per variant, named for the instructions it needs: shibumi-simd128.wasm and shibumi-relaxed.wasm; beside each,
// kernels-<variant>.wasm, which also exports the kernels by themselves, for tests and benches alone. Both variants are made
// once more with threads, for instances that work in one shared memory (wasm/core/threads.h), and in two parts for pages, which
// download only what their spaces need (wasm/core/parts.h): shibumi-<variant>-key-value.wasm and shibumi-<variant>-vector.wasm.
// The compiler is clang from npm (@yowasp/clang), nothing of the machine's. Each variant is one translation unit
// that includes every .cc file outside test/: eight small files took 5.8 s this way and 16.6 s compiled apart, and
// it inlines across files. So names must be unique across files even in anonymous namespaces.
//
// A page downloads the module, so most of it is compiled for size: the files of `hotFiles` are not, and in them only what says so
// itself is inlined. Against -O3 for all, a module is 43% smaller gzipped (60 KB instead of 106), and in runs of both side by side
// graph builds and searches, exact scans and key-value calls were within the noise or up to 7% slower. -Oz for all costs
// searches through codes 5 to 15%; so does leaving the kernels' loops to it.
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
 * @typedef {{ name: string, flags: string[], linkFlags?: string[], without?: RegExp }} Variant `without`: sources it leaves out
 * @typedef {{ [name: string]: SourceTree | string }} SourceTree
 * @typedef {SourceTree | Record<string, Uint8Array>} Inputs sources, or objects to link
 * @typedef {{ shipped: Uint8Array, kernels: Uint8Array | undefined }} Modules `kernels` where the sources have them
 * @typedef {{ modules?: Modules, messages: string }} CompileResult
 * @typedef {{ source?: string, out?: string, force?: boolean, log?: (line: string) => void }} BuildOptions
 */

const simd128 = ['-msimd128'];
const relaxed = ['-msimd128', '-mrelaxed-simd', '-DSHIBUMI_RELAXED=1'];
const threads = ['-matomics', '-DSHIBUMI_THREADS=1'];
const threadsLinked = [
  '-Wl,--shared-memory',
  // The host gives every instance but the first a stack and thread-local memory of its own.
  ...['__stack_pointer', '__tls_size', '__wasm_init_tls'].map((name) => `-Wl,--export=${name}`),
];

/**
 * The cores for one kind of space: without the rest of the border, so that the linker drops what nothing calls.
 * @type {(build: string, flags: string[]) => Variant[]}
 */
const parts = (build, flags) => [
  // Compiling nothing that it would drop takes half as long.
  {
    name: `${build}-key-value`,
    flags,
    without: /^((codes|index|kernels|metadata|vector)\/|exports_(vector|salvage|threads)\.cc$)/,
  },
  {
    name: `${build}-vector`,
    flags: [...flags, '-DSHIBUMI_VECTOR_CORE=1'],
    without: /^exports_(kv|salvage|threads)\.cc$/,
  },
];

/** @type {Variant[]} */
const variants = [
  { name: 'shibumi-simd128', flags: simd128 },
  { name: 'shibumi-relaxed', flags: relaxed },
  ...parts('shibumi-simd128', simd128),
  ...parts('shibumi-relaxed', relaxed),
  { name: 'shibumi-simd128-threads', flags: [...simd128, ...threads], linkFlags: threadsLinked },
  { name: 'shibumi-relaxed-threads', flags: [...relaxed, ...threads], linkFlags: threadsLinked },
];

const pageBytes = 64 * 1024;
const flags = [
  '--target=wasm32-wasip1',
  '-std=c++20',
  '-O2',
  // Engines unroll by themselves; in the core it is a sixth of the module.
  '-fno-unroll-loops',
  // What has to be inlined says so itself (`SHIBUMI_HOT`); more than that is a seventh of the gzipped module, for nothing measurable.
  '-mllvm',
  '-inline-threshold=10',
  // Instantiations that come out alike are kept once.
  '-Xclang',
  '-fmerge-functions',
  '-fno-exceptions',
  '-fno-rtti',
  '-mbulk-memory',
  '-Wall',
  '-Wextra',
  '-Werror',
  // Without a start function nothing would run constructors of globals.
  '-Wglobal-constructors',
  '-I.',
];
const linkFlags = [
  '--target=wasm32-wasip1',
  '-nostartfiles',
  '-Wl,--no-entry',
  '-Wl,--strip-all',
  // Addresses and indexes in as few bytes as they need, not the five that a linker can patch.
  '-Wl,--compress-relocations',
  // Exported, although there are none: otherwise every export is wrapped in one that calls them first.
  '-Wl,--export=__wasm_call_ctors',
  // The stack below the data: an overflow traps instead of writing over it.
  '-Wl,--stack-first',
  `-Wl,-z,stack-size=${1024 * 1024}`,
  // The host makes the memory, so that it can ask for less address space where the browser grants little.
  '-Wl,--import-memory',
  // A ceiling only. 4 GiB less a page, so that an end address still fits 32 bits.
  `-Wl,--max-memory=${2 ** 32 - pageBytes}`,
];

/** Where a search or a call spends its time. Everything else is compiled for size. */
const hotFiles = [
  /^kernels\/.*simd128\.cc$/,
  /^kernels\/(products|centroids)\.cc$/,
  /^index\/hnsw\.cc$/,
  /^kv\/(btree|btree_page|kv_space)\.cc$/,
];
/** The part of the border that the engine never calls. */
const kernelsFile = 'exports_kernels.cc';

/**
 * One translation unit of them all. Headers come as their first includer has it, so hot files go first.
 * @param {string[]} names
 */
function unitOf(names) {
  /** @param {string[]} some */
  const include = (some) => some.map((name) => `#include "${name}"\n`).join('');
  /** @param {string} name */
  const isHot = (name) => hotFiles.some((pattern) => pattern.test(name));
  const shipped = names.filter((name) => name !== kernelsFile);
  return `${include(shipped.filter(isHot))}
#pragma clang attribute push(__attribute__((minsize)), apply_to = function)
${include(shipped.filter((name) => !isHot(name)))}
#pragma clang attribute pop
`;
}

/**
 * Brings all variants up to date.
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
  const names = listSources(files);
  if (names.length === 0) throw new Error(`No C++ sources (.cc) in ${source}`);
  mkdirSync(target, { recursive: true });
  const sourceHash = hash(compilerVersion(), JSON.stringify(files));
  // At once: the compiler is single-threaded, and most of the time is its warming up.
  await Promise.all(
    variants.map(async (variant) => {
      const module = path.join(target, `${variant.name}.wasm`);
      const stamp = `${module}.hash`;
      const unit = unitOf(names.filter((name) => variant.without?.test(name) !== true));
      const key = hash(
        sourceHash,
        unit,
        JSON.stringify([flags, linkFlags, variant, String(variant.without)]),
      );
      if (!force && readOrNothing(stamp) === key && readOrNothing(module) !== undefined) return;
      const withKernels = path.join(target, `${variant.name.replace(/^shibumi/, 'kernels')}.wasm`);
      const started = performance.now();
      const { shipped: wasm, kernels } = await compileInWorker({
        variant,
        files: { ...files, 'unit.cc': unit },
      });
      checkImports(variant.name, wasm);
      // Under another name first: a build that is stopped, or one beside it, never leaves half a module.
      if (kernels !== undefined) replaceFile(withKernels, kernels);
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
 * @returns {Promise<Modules>}
 */
function compileInWorker(job) {
  return new Promise((resolve, reject) => {
    // Its standard output carries the tool's own loading messages and is dropped.
    const worker = new Worker(new URL(import.meta.url), { workerData: job, stdout: true });
    worker.on('message', (/** @type {CompileResult} */ { modules, messages }) => {
      if (modules !== undefined) resolve(modules);
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
  const { commands } = await import('@yowasp/clang');
  let messages = '';
  const decoder = new TextDecoder();
  /**
   * @param {Inputs} tree
   * @param {string[]} inputs
   * @param {string} output
   * @returns {Promise<Uint8Array>}
   */
  const run = async (tree, inputs, output) => {
    const ownLinkFlags = [...linkFlags, ...(variant.linkFlags ?? [])];
    const step = output.endsWith('.o') ? ['-c', ...flags, ...variant.flags] : ownLinkFlags;
    // A copy: the tool hands back the tree it was given.
    const made = await commands['clang++']([...step, ...inputs, '-o', output], structuredClone(tree), {
      stderr(bytes) {
        if (bytes !== null) messages += decoder.decode(bytes);
      },
    });
    const file = made?.[output];
    if (file instanceof Uint8Array) return file;
    throw new Error(`${messages}\n${output} was not written.`);
  };
  try {
    const objects = { 'unit.o': await run(files, ['unit.cc'], 'unit.o') };
    const shipped = await run(objects, ['unit.o'], 'out.wasm');
    // The kernels of a build with threads, or of a part, are those of the one without.
    if (files[kernelsFile] === undefined || variant.linkFlags !== undefined || variant.without !== undefined)
      return { modules: { shipped, kernels: undefined }, messages };
    const tested = { ...objects, 'kernels.o': await run(files, [kernelsFile], 'kernels.o') };
    return { modules: { shipped, kernels: await run(tested, Object.keys(tested), 'out.wasm') }, messages };
  } catch (error) {
    return { messages: messages || /** @type {Error} */ (error).message };
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
