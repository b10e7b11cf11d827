// The package as it is published, in a page that a bundler made, without configuration: built by esbuild (which leaves worker
// and core behind, so that the inlined ones are used), webpack and Vite, and a plain page under a strict policy.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { findBrowser, howToInstall, launchFlags } from '../../tools/browser.mjs';
import { missingPackage } from '../support/npm-install.ts';

const root = path.resolve(import.meta.dirname, '../..');
const require = createRequire(path.join(import.meta.dirname, 'package.json'));
const project = mkdtempSync(path.join(tmpdir(), 'shibumi-bundlers-'));
const executablePath = findBrowser();
const missing = executablePath === undefined ? howToInstall : missingPackage(import.meta.dirname, 'webpack');
const options = { skip: missing };

const page = `
  import { open } from 'shibumi';
  globalThis.run = async (options) => {
    const db = await open('bundled', options);
    await db.createSpace('kv', 'key-value');
    await db.put('colour', 'green', { space: 'kv' });
    await db.createSpace('points', 'vector', { dimension: 2 });
    await db.insertVectors([1, 2], new Float32Array([0, 0, 3, 4]), { space: 'points' });
    const [hit] = await db.searchTopK([0, 1], 1, { space: 'points' });
    const colour = await db.get('colour', { space: 'kv' });
    const { storage } = await db.stats();
    await db.close();
    return { colour, hit, storage };
  };`;
const expected = { colour: 'green', hit: { id: 1, distance: 1 }, storage: 'indexeddb' };

before(() => {
  if (missing !== false) return;
  const installed = path.join(project, 'node_modules/shibumi');
  mkdirSync(installed, { recursive: true });
  const report = run('npm', ['pack', '--json', '--pack-destination', project], root);
  // The build prints before it.
  const [tarball] = JSON.parse(report.slice(report.indexOf('[\n'))) as [{ filename: string }];
  run(
    'tar',
    ['-xzf', path.join(project, tarball.filename), '--strip-components=1', '-C', installed],
    project,
  );
  for (const name of ['@noble', 'comlink', 'idb', 'ws'])
    symlinkSync(path.join(root, 'node_modules', name), path.join(project, 'node_modules', name));
  writeFileSync(path.join(project, 'package.json'), '{ "type": "module" }');
  writeFileSync(path.join(project, 'main.js'), page);
  writeFileSync(
    path.join(project, 'index.html'),
    '<!doctype html><script type="module" src="/main.js"></script>',
  );
});

after(() => rmSync(project, { recursive: true, force: true }));

test('esbuild: what it leaves behind comes inlined', options, async () => {
  const { build } = require('esbuild') as { build(options: object): Promise<unknown> };
  const outdir = path.join(project, 'esbuild');
  await build({
    absWorkingDir: project,
    entryPoints: ['main.js'],
    bundle: true,
    format: 'esm',
    splitting: true,
    outdir,
  });
  assert.deepEqual(await runPage(outdir, pageOf('main.js')), expected);
});

test('webpack 5', options, async () => {
  const webpack = require('webpack') as (
    config: object,
    done: (error: unknown, stats: unknown) => void,
  ) => void;
  const outdir = path.join(project, 'webpack');
  await new Promise<void>((resolve, reject) => {
    const config = { context: project, mode: 'production', entry: './main.js', output: { path: outdir } };
    webpack(config, (error, stats) => {
      const report = stats as { hasErrors(): boolean; toString(): string } | undefined;
      if (error != null || report?.hasErrors()) reject(error ?? new Error(String(report)));
      else resolve();
    });
  });
  assert.deepEqual(await runPage(outdir, '<!doctype html><script src="/main.js"></script>'), expected);
});

test('Vite, built', options, async () => {
  const { build } = await import('vite');
  const outDir = path.join(project, 'vite');
  await build({ root: project, configFile: false, logLevel: 'error', build: { outDir } });
  assert.deepEqual(await runPage(outDir, readFileSync(path.join(outDir, 'index.html'), 'utf8')), expected);
});

test('Vite, in development', options, async () => {
  const { createServer: createVite } = await import('vite');
  const server = await createVite({
    root: project,
    configFile: false,
    logLevel: 'error',
    server: { port: 0 },
  });
  try {
    await server.listen();
    assert.deepEqual(await runAt(server.resolvedUrls?.local[0] ?? ''), expected);
  } finally {
    await server.close();
  }
});

test('a plain page under script-src self, wasm-unsafe-eval and worker-src self', options, async () => {
  const dist = path.join(project, 'node_modules/shibumi/dist');
  const html = `<!doctype html><script type="module" src="/main.js"></script>`;
  const main = page.replace("'shibumi'", "'./index.js'");
  const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";
  assert.deepEqual(await runPage(dist, html, { 'main.js': main }, policy), expected);
});

function pageOf(script: string): string {
  return `<!doctype html><script type="module" src="/${script}"></script>`;
}

/** Serves a folder and runs its page. */
async function runPage(
  folder: string,
  html: string,
  files: Readonly<Record<string, string>> = {},
  policy = '',
): Promise<unknown> {
  const server = createServer((request, response) => {
    const name = (request.url ?? '/').slice(1).split('?')[0] as string;
    if (policy !== '') response.setHeader('content-security-policy', policy);
    if (name === '') return response.setHeader('content-type', 'text/html').end(html);
    const file = path.join(folder, name);
    if (files[name] === undefined && !existsSync(file)) return response.writeHead(404).end();
    const type = name.endsWith('.wasm') ? 'application/wasm' : 'text/javascript';
    response.setHeader('content-type', type).end(files[name] ?? readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await runAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    server.close();
  }
}

async function runAt(address: string): Promise<unknown> {
  const browser = await chromium.launch({ executablePath: executablePath as string, args: launchFlags });
  try {
    const tab = await browser.newPage();
    const errors: string[] = [];
    tab.on('pageerror', (error) => errors.push(String(error)));
    await tab.goto(address);
    await tab
      .waitForFunction(() => 'run' in globalThis, undefined, { timeout: 120_000 })
      .catch((error) => {
        throw new Error(`the page did not load: ${errors.join(', ')}`, { cause: error });
      });
    return await tab.evaluate(() => (globalThis as unknown as { run(): Promise<unknown> }).run());
  } finally {
    await browser.close();
  }
}

/** Runs a command to its end and returns what it wrote. @throws with its messages where it failed */
function run(command: string, args: string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  assert.ok(status === 0, `${command} ${args.join(' ')} failed: ${error?.message ?? ''}\n${stdout}${stderr}`);
  return stdout;
}
