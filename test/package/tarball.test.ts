// The package as it is published: packed, unpacked into an empty project, and used there. By a page that has no
// bundler, by a strict compiler, and by a server that only imports it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { chromium } from 'playwright-core';
import type { Database } from '../../src/api/database.ts';
import { findBrowser, howToInstall, launchFlags } from '../../tools/browser.mjs';
import { packedPackage } from '../support/packed-package.ts';
import { totalBytes, type Use, uses, workerLoads } from '../support/worker-loads.ts';

const root = path.resolve(import.meta.dirname, '../..');
const project = mkdtempSync(path.join(tmpdir(), 'shibumi-package-'));
const installed = path.join(project, 'node_modules/shibumi');
let packed: readonly string[] = [];

/** What a worker may load, gzipped, and which files, beside its own. */
const workerLoadsMax: Record<Use, { kibibytes: number; files: string[] }> = {
  open: { kibibytes: 38, files: [] },
  'key-value': { kibibytes: 66, files: ['worker-key-value.js', 'shibumi-*-key-value.wasm'] },
  vector: { kibibytes: 90, files: ['worker-vectors.js', 'shibumi-*-vector.wasm'] },
  filter: { kibibytes: 96, files: ['worker-vectors.js', 'worker-metadata.js', 'shibumi-*-vector.wasm'] },
  reindex: { kibibytes: 94, files: ['worker-vectors.js', 'worker-indexing.js', 'shibumi-*-vector.wasm'] },
  users: { kibibytes: 51, files: ['worker-secrets.js'] },
  export: {
    kibibytes: 72,
    files: ['worker-maintenance.js', 'worker-key-value.js', 'worker-vectors.js', 'worker-metadata.js'],
  },
  encryption: { kibibytes: 51, files: ['worker-secrets.js'] },
  memory: { kibibytes: 43, files: ['worker-private.js'] },
};
/** All that there is of a page's worker, the parts that few load too, but for cores. */
const scriptKibibytesMax = 92;

before(() => {
  const { tarball, files } = packedPackage();
  packed = files;
  mkdirSync(installed, { recursive: true });
  run('tar', ['-xzf', tarball, '--strip-components=1', '-C', installed], project);
  for (const name of ['comlink', 'idb', 'ws']) {
    symlinkSync(path.join(root, 'node_modules', name), path.join(project, 'node_modules', name));
  }
  writeFileSync(path.join(project, 'package.json'), '{ "type": "module" }');
});

after(() => rmSync(project, { recursive: true }));

test('the tarball carries entries, types, all WASM builds and licences, and no sources of the project', () => {
  for (const file of [
    'dist/index.js',
    'dist/index.d.ts',
    'dist/worker.js',
    'dist/worker.d.ts',
    'dist/page-worker.js',
    'dist/shibumi-simd128.wasm',
    'dist/shibumi-relaxed.wasm',
    'dist/shibumi-simd128-key-value.wasm',
    'dist/shibumi-relaxed-key-value.wasm',
    'dist/shibumi-simd128-vector.wasm',
    'dist/shibumi-relaxed-vector.wasm',
    'dist/shibumi-simd128-threads.wasm',
    'dist/shibumi-relaxed-threads.wasm',
    'dist/helper.js',
    'dist/licenses.txt',
    'LICENSE',
    'package.json',
  ]) {
    assert.ok(packed.includes(file), `${file} is missing from ${packed.join(', ')}`);
  }
  for (const file of packed) assert.doesNotMatch(file, /^(src|test|wasm|tools|demo|build)\//);
});

/** Files of dist/ that come with `entry` before anything is called: it and what it imports, and so on. */
function loadedWith(entry: string): Map<string, string> {
  const loaded = new Map<string, string>();
  const waiting = [entry];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (loaded.has(file)) continue;
    const text = readFileSync(path.join(installed, 'dist', file), 'utf8');
    loaded.set(file, text);
    // Minified: `import{a as b}from"./c.js"`, `export{a}from"./c.js"`, `import"./c.js"`.
    for (const [, specifier = ''] of text.matchAll(
      /(?:^|[;}\n])(?:import|export)(?:[\w\s{},*$]*from)?\s*["']([^"']+)["']/g,
    )) {
      assert.match(
        specifier,
        /^\.\//,
        `${file} imports ${specifier}, which a page without a bundler cannot resolve`,
      );
      waiting.push(path.basename(specifier));
    }
  }
  return loaded;
}

function gzipBytes(files: Iterable<string | Uint8Array>): number {
  let bytes = 0;
  for (const file of files) bytes += gzipSync(file).length;
  return bytes;
}

test('the main entry, as built, loads neither engine nor WASM', () => {
  const loaded = loadedWith('index.js');
  assert.ok(loaded.size > 1, 'the imports of index.js were not found');
  for (const [file, text] of loaded) {
    // A file's name; `...wasm` spreads an option.
    assert.doesNotMatch(text, /[\w-]+-(?:simd128|relaxed)(?:-threads)?\.wasm|indexedDB/, file);
  }
});

test('a page loads 12 KiB before open()', () => {
  const page = gzipBytes(loadedWith('index.js').values());
  assert.ok(page <= 12 * 1024, `Got ${page} bytes gzipped for a page that imports shibumi, expected 12 KiB`);
});

for (const build of ['simd128', 'relaxed'] as const)
  test(`a worker loads what is needed and when it is, and no more bytes than it did (${build})`, async (t) => {
    const executablePath = findBrowser();
    if (executablePath === undefined) return t.skip(howToInstall);
    const loads = await workerLoads(path.join(installed, 'dist'), build, executablePath);
    for (const use of uses) {
      const { kibibytes, files } = workerLoadsMax[use];
      const loaded = [...loads[use]].map(([file, bytes]) => `${file} ${bytes}`).join(', ');
      const expected = ['page-worker.js', ...files.map((file) => file.replace('*', build))];
      assert.deepEqual([...loads[use].keys()].sort(), expected.sort(), use);
      const bytes = totalBytes(loads[use]);
      t.diagnostic(`${use}: ${bytes} bytes (${loaded})`);
      assert.ok(
        bytes <= kibibytes * 1024,
        `Got ${bytes} bytes gzipped in the worker for ${use} (${loaded}), expected ${kibibytes} KiB`,
      );
    }
  });

/** The parts of the page worker's script. */
function partFiles(): string[] {
  return packed.map((file) => path.basename(file)).filter((file) => /^worker-\w+(-\w+)*\.js$/.test(file));
}

test('parts of the worker are files that bundlers carry along as they are, and all together no larger than they were', () => {
  const parts = partFiles();
  const worker = readFileSync(path.join(installed, 'dist/page-worker.js'), 'utf8');
  let bytes = gzipBytes([worker]);
  for (const part of parts) {
    const text = readFileSync(path.join(installed, 'dist', part));
    bytes += gzipBytes([text]);
    // Vite writes smaller ones into the script as `data:`, which a policy of 'self' refuses.
    assert.ok(text.length > 4096, `${part} has ${text.length} bytes, expected more than 4,096`);
    assert.ok(
      worker.includes(`new URL(\`./${part}\`,import.meta.url)`),
      `the worker names ${part} in the form that bundlers know`,
    );
    assert.equal(loadedWith(part).size, 1, `${part} imports nothing`);
  }
  assert.equal(parts.length, 7);
  const named = [...worker.matchAll(/new URL\(`\.\/(worker-[\w-]+\.js)`/g)].map(([, name]) => name);
  assert.deepEqual(named.sort(), parts.sort());
  assert.ok(
    bytes <= scriptKibibytesMax * 1024,
    `Got ${bytes} bytes gzipped in the worker and its parts, expected ${scriptKibibytesMax} KiB`,
  );
});

test('what is minified has its sources beside it', () => {
  for (const file of [
    ...loadedWith('index.js').keys(),
    ...loadedWith('worker.js').keys(),
    'page-worker.js',
    ...partFiles(),
  ]) {
    assert.ok(packed.includes(`dist/${file}.map`), `${file} has no source map`);
    const map = JSON.parse(readFileSync(path.join(installed, `dist/${file}.map`), 'utf8')) as {
      sourcesContent: unknown[];
    };
    assert.ok(map.sourcesContent.length > 0 && map.sourcesContent.every((text) => typeof text === 'string'));
  }
});

test('a strict consumer compiles against the declarations', () => {
  writeFileSync(
    path.join(project, 'consumer.ts'),
    `import { open, type Database, type SearchHit } from 'shibumi';
     import 'shibumi/worker';
     const db: Database = await open('notes');
     await db.createSpace('words', 'vector', { dimension: 3 });
     const hits: SearchHit[] = await db.searchTopK(new Float32Array(3), 5, { space: 'words' });
     export const nearest: number | undefined = hits[0]?.distance;
     // @ts-expect-error a space's engine is one of two words
     await db.createSpace('wrong', 'graph');\n`,
  );
  const options = [
    '--noEmit',
    '--strict',
    '--exactOptionalPropertyTypes',
    '--skipLibCheck',
    'false',
    '--types',
    '',
  ];
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  for (const resolution of [
    ['--module', 'nodenext'],
    ['--module', 'esnext', '--moduleResolution', 'bundler'],
  ]) {
    run(process.execPath, [tsc, ...options, ...resolution, '--target', 'esnext', 'consumer.ts'], project);
  }
});

test('importing the main entry outside a browser does nothing, and open() says what is missing', () => {
  writeFileSync(
    path.join(project, 'server.js'),
    `import { open, ShibuDbError } from 'shibumi';
     try { await open('notes'); } catch (error) { console.log(error instanceof ShibuDbError, error.code); }\n`,
  );
  assert.equal(run(process.execPath, ['server.js'], project), 'true UNSUPPORTED\n');
});

/** An empty page beside the files of the package, but for those in `missing`. `asked`: by name, in order. */
async function servePackage(
  missing: ReadonlySet<string> = new Set(),
): Promise<{ server: Server; site: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const name = path.basename(request.url ?? '');
    asked.push(name);
    if (name === '') return response.setHeader('content-type', 'text/html').end('<!doctype html>');
    if (missing.has(name) || !packed.includes(`dist/${name}`)) return response.writeHead(404).end();
    const type = name.endsWith('.wasm') ? 'application/wasm' : 'text/javascript';
    response.setHeader('content-type', type).end(readFileSync(path.join(installed, 'dist', name)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, site: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

test('a page without a bundler opens a database, stores and searches', async (t) => {
  const executablePath = findBrowser();
  if (executablePath === undefined) return t.skip(howToInstall);
  const { server, site, asked } = await servePackage();
  const browser = await chromium.launch({ executablePath, args: launchFlags });
  try {
    const page = await browser.newPage();
    await page.goto(site);
    await page.evaluate(async () => {
      const main = '/index.js';
      const { open } = (await import(main)) as typeof import('../../src/index.ts');
      Object.assign(globalThis, { opened: await open('packed') });
    });
    assertFirstOpen(asked.filter((name) => packed.includes(`dist/${name}`)));
    const result = await page.evaluate(async () => {
      const db = (globalThis as unknown as { opened: Database }).opened;
      await db.createSpace('settings', 'key-value');
      await db.put('colour', 'green', { space: 'settings' });
      await db.createSpace('points', 'vector', { dimension: 2 });
      await db.insertVectors([1, 2], new Float32Array([0, 0, 3, 4]), { space: 'points' });
      const hits = await db.searchTopK([0, 1], 2, { space: 'points' });
      const colour = await db.get('colour', { space: 'settings' });
      await db.close();
      return { colour, hits: hits.map(({ id, distance }) => ({ id, distance })) };
    });
    assert.deepEqual(result, {
      colour: 'green',
      hits: [
        { id: 1, distance: 1 },
        { id: 2, distance: 18 },
      ],
    });
  } finally {
    await browser.close();
    server.close();
  }
});

test('a part of the worker that cannot be had: a typed error that names it, nothing changed, and the next call tries again', async (t) => {
  const executablePath = findBrowser();
  if (executablePath === undefined) return t.skip(howToInstall);
  const missing = new Set<string>();
  const { server, site } = await servePackage(missing);
  const browser = await chromium.launch({ executablePath, args: launchFlags });
  try {
    const page = await browser.newPage();
    await page.goto(site);
    const prepare = `import('/index.js').then(({ open }) => {
      globalThis.open = open;
      globalThis.told = (promise) => promise.then(() => 'done', ({ code, details, message }) => [code, details?.url, message]);
      globalThis.sink = () => new WritableStream();
      globalThis.admin = { username: 'root', password: 'long enough', role: 'admin' };
    })`;
    await page.evaluate(prepare);
    const told = async (call: string, part: string): Promise<void> => {
      missing.add(part);
      const url = `${site}/${part}`;
      for (const attempt of [1, 2]) {
        const [code, found, message] = (await page.evaluate(`told(${call})`)) as [string, string, string];
        assert.equal(code, 'SCRIPT_UNAVAILABLE', `${attempt}: ${call}: ${message}`);
        assert.equal(found, url);
        assert.ok(message.includes(url), message);
      }
      missing.delete(part);
    };
    const done = async (call: string): Promise<void> => {
      assert.equal(await page.evaluate(`told(${call})`), 'done', call);
    };
    await done(`open('parts').then((db) => (globalThis.db = db))`);
    await done(`db.createSpace('kv', 'key-value')`);
    await told(`db.put('colour', 'red', { space: 'kv' })`, 'worker-key-value.js');
    await done(`db.put('colour', 'green', { space: 'kv' })`);
    await told(`db.createSpace('points', 'vector', { dimension: 2 })`, 'worker-vectors.js');
    await done(`db.createSpace('points', 'vector', { dimension: 2 })`);
    await done(`db.insertVector(1, [0, 1], { space: 'points' })`);
    const fields = `metadataFields: [{ name: 'colour', type: 'string' }]`;
    await told(`db.createSpace('more', 'vector', { dimension: 2, ${fields} })`, 'worker-metadata.js');
    await told(`db.reindex({ space: 'points', indexType: 'HNSW16' })`, 'worker-indexing.js');
    await done(`db.space('points').insertVector(2, [1, 1])`);
    await told(`db.exportTo(sink())`, 'worker-maintenance.js');
    await told(`db.verify()`, 'worker-maintenance.js');
    await told(`db.createUser(admin)`, 'worker-secrets.js');
    await told(`open('parts', { admin })`, 'worker-secrets.js');
    await told(`open('other', { storage: 'memory' })`, 'worker-private.js');
    await told(`open('sealed', { encryption: { password: 'long enough' } })`, 'worker-secrets.js');
    // Without users: whoever was to be the first is not there.
    await done(`db.put('size', 'small', { space: 'kv' })`);
    await done(`db.exportTo(sink())`);
    await done(`db.verify()`);
    await done(`db.createSpace('more', 'vector', { dimension: 2, ${fields} })`);
    await done(`db.reindex({ space: 'points', indexType: 'HNSW16' })`);
    await done(`db.createUser(admin)`);
    await done(`db.authenticate('root', 'long enough')`);
    await done(`open('other', { storage: 'memory' }).then((db) => db.close())`);
    await done(`open('sealed', { encryption: { password: 'long enough' } }).then((db) => db.close())`);
    await done(`db.close()`);
    // One that has users needs their part when it is opened.
    await page.reload();
    await page.evaluate(prepare);
    await told(`open('parts')`, 'worker-secrets.js');
    await done(`open('parts').then(async (db) => {
      await db.authenticate('root', 'long enough');
      const { length } = (await db.listSpaces()).map(({ name }) => name);
      const found = [await db.get('colour', { space: 'kv' }), await db.get('size', { space: 'kv' }), length];
      if (found.join() !== 'green,small,3') throw new Error('Got ' + found);
      await db.close();
    })`);
    // What was called before is done before it closes, although its part has to come first.
    await page.reload();
    await page.evaluate(prepare);
    await done(`open('late').then(async (db) => {
      await db.createSpace('kv', 'key-value');
      const put = db.put('colour', 'green', { space: 'kv' });
      await db.close();
      await put;
      const again = await open('late');
      if ((await again.get('colour', { space: 'kv' })) !== 'green') throw new Error('it is not there');
      await again.close();
    })`);
  } finally {
    await browser.close();
    server.close();
  }
});

/** What a page asks for until its first database is open: itself, what brings tabs together, and the worker. */
function assertFirstOpen(asked: readonly string[]): void {
  const loaded = new Set(asked.filter((name) => name !== 'broker.js'));
  // `open` itself comes when it is called.
  const page = [...loadedWith('index.js').keys(), ...loadedWith('page.js').keys()];
  // What brings tabs together is there at once where the page has time for it, else a little later.
  const workers = loadedWith('page-worker.js').keys();
  assert.deepEqual([...loaded].sort(), [...new Set([...page, ...workers])].sort());
  for (const worker of ['page-worker.js', 'worker.js'])
    assert.equal(loadedWith(worker).size, 1, 'a worker starts after one request');
}

/** Runs a command to its end and returns what it wrote. @throws with its messages where it failed */
function run(command: string, args: string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  assert.ok(status === 0, `${command} ${args.join(' ')} failed: ${error?.message ?? ''}\n${stdout}${stderr}`);
  return stdout;
}
