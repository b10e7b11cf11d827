// Builds the package into dist/: `npm run build`.
//
//   index.js              and its chunks: what a page loads
//   page-worker.js        the worker that a page has by itself, and worker-*.js, parts of its script for what most pages never
//                         do (worker-parts.mjs)
//   worker.js, broker.js  one file each, sharing nothing: for whoever names a worker, with all of its script in it
//   inline-worker.js      the worker and the core as texts, for pages whose bundler leaves those files out
//   in-process.js         the engine for the calling thread, for service workers
//   bridge.js             for browsers, edge runtimes and Node; shares nothing with the others: a page loads one or the other
//   edge.js               for Workers, with the engine in it; the core is imported beside it, since Workers compile nothing
//   node.js, cli.js, server.js
//                         for Node, Bun and Deno, the command `shibumi`, and the bridge's server; they share nothing with
//                         the ones above, so that those stay as small as they are
//   licenses.txt          of the packages inside them: comlink and idb are bundled, because a page without a bundler
//                         has no way to resolve a worker's imports (import maps do not reach workers)
//   helper.js             the worker threads of node.js
//   *.d.ts                by tsc
//   shibumi-*.wasm        the core; the worker fetches the one that the browser can run
//
// All of it lies in one folder, so that `new URL('./worker.js', import.meta.url)` and the same for the WASM hold in
// the browser as they are, and bundlers that know this pattern carry the files along.

import { spawnSync } from 'node:child_process';
import { copyFileSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { buildWasm } from './build-wasm.mjs';
import { fileOfPart, partsBeside, partsInside } from './worker-parts.mjs';

const root = path.dirname(import.meta.dirname);
const dist = path.join(root, 'dist');
/** @type {import('rolldown').Plugin} */
const filesBeside = { name: 'files-beside', transform: pointBeside };
const { dependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

try {
  rmSync(dist, { recursive: true, force: true });
  await buildWasm();
  await bundleEntries({ index: 'src/index.ts' }, 'browser', [inlining(await bundleWorker())]);
  await bundleEntries({ worker: 'src/worker.ts' }, 'browser');
  await bundlePageWorker();
  await bundleEntries({ broker: 'src/broker.ts' }, 'browser');
  await bundleEntries({ bridge: 'src/bridge.ts' }, 'browser');
  // A service worker may not import anything later on: one file, and nothing to fall back to.
  await bundleEntries({ 'in-process': 'src/in-process.ts' }, 'browser', [inlining(undefined)], false);
  await bundleEntries({ edge: 'src/edge.ts' }, 'browser');
  const nodeEntries = {
    node: 'src/node.ts',
    cli: 'src/cli.ts',
    server: 'src/server.ts',
    helper: 'src/helper.ts',
  };
  await bundleEntries(nodeEntries, 'node');
  writeDeclarations();
  writeLicenses();
  for (const module of globSync('build/wasm/shibumi-*.wasm', { cwd: root })) {
    copyFileSync(path.join(root, module), path.join(dist, path.basename(module)));
  }
  printSizes();
} catch (error) {
  console.error(/** @type {Error} */ (error).message);
  process.exitCode = 1;
}

/**
 * @param {Record<string, string>} input
 * @param {'browser' | 'node'} platform
 * @param {import('rolldown').Plugin[]} [plugins]
 * @param {boolean} [codeSplitting] whether what is imported later has files of its own
 */
async function bundleEntries(input, platform, plugins = [], codeSplitting = true) {
  const bundle = await rolldown({
    cwd: root,
    input,
    platform,
    // The runtimes find these themselves, where pages find nothing.
    external: platform === 'node' ? ['ws'] : ['cloudflare:workers'],
    transform: { target: 'es2022' },
    plugins: [...plugins, partsInside(root), filesBeside],
  });
  await bundle.write({
    dir: dist,
    format: 'esm',
    codeSplitting,
    chunkFileNames: '[name].js',
    // What is sent to a browser or a runtime's store is minified, with its source beside it for debuggers; what a bundler
    // is to read in it (`@vite-ignore`) stays.
    ...(platform === 'browser'
      ? {
          minify: true,
          // Nobody imports anything from the script of a worker: there is nothing to say to a bundler.
          comments: { legal: false, annotation: !('worker' in input), jsdoc: false },
          sourcemap: true,
        }
      : { comments: true }),
  });
  await bundle.close();
}

/** The worker that loads its parts, and those. */
async function bundlePageWorker() {
  const { plugin, group } = partsBeside('page-worker.js');
  const bundle = await rolldown({
    cwd: root,
    input: 'src/page-worker.ts',
    platform: 'browser',
    transform: { target: 'es2022' },
    plugins: [filesBeside, plugin],
  });
  await bundle.write({
    dir: dist,
    format: 'esm',
    codeSplitting: { groups: [group] },
    entryFileNames: 'page-worker.js',
    chunkFileNames: ({ name }) => fileOfPart(name),
    minify: true,
    comments: { legal: false, annotation: true, jsdoc: false },
    sourcemap: true,
  });
  await bundle.close();
}

/** The worker as one file, without imports. */
async function bundleWorker() {
  const bundle = await rolldown({
    cwd: root,
    input: 'src/worker.ts',
    platform: 'browser',
    transform: { target: 'es2022' },
    plugins: [partsInside(root), filesBeside],
  });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  await bundle.close();
  const [worker, ...rest] = output;
  if (rest.some(({ type }) => type === 'chunk'))
    throw new Error('The inlined worker needs more than one file');
  return worker.code;
}

/**
 * Writes the worker and the core into src/tabs/inline-worker.ts.
 * @param {string | undefined} worker without one there is nothing to fall back to
 * @returns {import('rolldown').Plugin}
 */
function inlining(worker) {
  /** @param {string} build */
  const core = (build) =>
    gzipSync(readFileSync(path.join(root, `build/wasm/shibumi-${build}.wasm`)), { level: 9 }).toString(
      'base64',
    );
  const inlined =
    worker === undefined
      ? undefined
      : { worker, cores: { simd128: core('simd128'), relaxed: core('relaxed') } };
  return {
    name: 'inline-worker',
    load: (id) =>
      id.endsWith('inline-worker.ts')
        ? { code: `export const inlined = ${JSON.stringify(inlined)};`, moduleType: 'js' }
        : undefined,
  };
}

/**
 * Files named by URL lie elsewhere in the repository than in dist/: `./worker.ts`, `../build/wasm/x.wasm`.
 * @param {string} code
 */
function pointBeside(code) {
  const pointed = code
    .replace(
      /new URL\((['"])[^'"]*\/([\w-]+)\.ts\1, import\.meta\.url\)/g,
      "new URL('./$2.js', import.meta.url)",
    )
    .replace(
      /new URL\((['"])[^'"]*\/([\w-]+\.wasm)\1, import\.meta\.url\)/g,
      "new URL('./$2', import.meta.url)",
    );
  // Text without a map would cost its whole chunk the source map; `null` says that the lines stay where they are.
  return pointed === code ? undefined : { code: pointed, map: null };
}

function writeDeclarations() {
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  for (const project of ['tsconfig.build.json', 'tsconfig.node.json']) {
    const { status } = spawnSync(process.execPath, [tsc, '-p', project], { cwd: root, stdio: 'inherit' });
    if (status !== 0) throw new Error(`tsc could not write the declarations of ${project}`);
  }
  // tsc rewrites the extension of imports in JavaScript only.
  for (const file of globSync('**/*.d.ts', { cwd: dist }).map((name) => path.join(dist, name))) {
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace(/((?:from|import)\s*\(?\s*)(['"])(\.[^'"]*)\.ts\2/g, '$1$2$3.js$2'));
  }
}

function writeLicenses() {
  const texts = Object.keys(dependencies).map((name) => {
    const [license] = globSync('LICENSE*', { cwd: path.join(root, 'node_modules', name) });
    if (license === undefined) throw new Error(`${name} has no licence file`);
    return `${name}\n\n${readFileSync(path.join(root, 'node_modules', name, license), 'utf8')}`;
  });
  writeFileSync(path.join(dist, 'licenses.txt'), texts.join('\n'));
}

function printSizes() {
  for (const file of globSync('*.{js,wasm}', { cwd: dist }).sort()) {
    const bytes = readFileSync(path.join(dist, file));
    console.log(`dist/${file}: ${bytes.length} bytes, ${gzipSync(bytes).length} gzipped`);
  }
}
