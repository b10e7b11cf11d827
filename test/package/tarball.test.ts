// The package as it is published: packed, unpacked into an empty project, and used there. By a page that has no
// bundler, by a strict compiler, and by a server that only imports it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
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

/**
 * What a worker may load, script and core, gzipped: until an empty database is open, until a key-value space is in use, until a vector
 * space of HNSW16,SQ8 is. 90 KiB is what the last is to come down to as well.
 */
const workerBytesMax: Record<Use, number> = {
  open: 82 * 1024,
  'key-value': 100 * 1024,
  vector: 123 * 1024,
};

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
    const expected: Record<Use, string[]> = {
      open: ['worker.js'],
      'key-value': ['worker.js', `shibumi-${build}-key-value.wasm`],
      vector: ['worker.js', `shibumi-${build}-vector.wasm`],
    };
    for (const use of uses) {
      const files = [...loads[use]].map(([file, bytes]) => `${file} ${bytes}`).join(', ');
      assert.deepEqual([...loads[use].keys()].sort(), expected[use].sort(), use);
      const bytes = totalBytes(loads[use]);
      t.diagnostic(`${use}: ${bytes} bytes (${files})`);
      const most = workerBytesMax[use];
      assert.ok(
        bytes <= most,
        `Got ${bytes} bytes gzipped in the worker for ${use} (${files}), expected ${most}`,
      );
    }
  });

test('what is minified has its sources beside it', () => {
  for (const file of [...loadedWith('index.js').keys(), ...loadedWith('worker.js').keys()]) {
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

test('a page without a bundler opens a database, stores and searches', async (t) => {
  const executablePath = findBrowser();
  if (executablePath === undefined) return t.skip(howToInstall);
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const name = path.basename(request.url ?? '');
    asked.push(name);
    if (name === '') return response.setHeader('content-type', 'text/html').end('<!doctype html>');
    if (!packed.includes(`dist/${name}`)) return response.writeHead(404).end();
    const type = name.endsWith('.wasm') ? 'application/wasm' : 'text/javascript';
    response.setHeader('content-type', type).end(readFileSync(path.join(installed, 'dist', name)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const browser = await chromium.launch({ executablePath, args: launchFlags });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
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

/** What a page asks for until its first database is open: itself, what brings tabs together, and the worker. */
function assertFirstOpen(asked: readonly string[]): void {
  const loaded = new Set(asked.filter((name) => name !== 'broker.js'));
  // `open` itself comes when it is called.
  const page = [...loadedWith('index.js').keys(), ...loadedWith('page.js').keys()];
  // What brings tabs together is there at once where the page has time for it, else a little later.
  const workers = loadedWith('worker.js').keys();
  assert.deepEqual([...loaded].sort(), [...new Set([...page, ...workers])].sort());
  assert.equal(loadedWith('worker.js').size, 1, 'a worker starts after one request');
}

/** Runs a command to its end and returns what it wrote. @throws with its messages where it failed */
function run(command: string, args: string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  assert.ok(status === 0, `${command} ${args.join(' ')} failed: ${error?.message ?? ''}\n${stdout}${stderr}`);
  return stdout;
}
