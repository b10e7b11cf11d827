// The package as it is published, in a page that a bundler made, without configuration: built by esbuild (which leaves worker
// and core behind, so that the inlined ones are used), by webpack and Vite, from the development servers of both; in a plain
// page under a strict policy, in service workers and in an extension. And what linters of packages say about it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  globSync,
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
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { findBrowser, howToInstall, launchFlags } from '../../tools/browser.mjs';
import { missingPackages } from '../support/npm-install.ts';
import { packedPackage } from '../support/packed-package.ts';

const root = path.resolve(import.meta.dirname, '../..');
const require = createRequire(path.join(import.meta.dirname, 'package.json'));
const project = mkdtempSync(path.join(tmpdir(), 'shibumi-bundlers-'));
const installedDist = path.join(project, 'node_modules/shibumi/dist');
let tarball = '';
const executablePath = findBrowser();
const missing = executablePath === undefined ? howToInstall : missingPackages(import.meta.dirname);
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
    // Of a part of the worker's script that comes when it is needed.
    let exported = 0;
    await db.exportTo(new WritableStream({ write: ({ length }) => void (exported += length) }));
    await db.close();
    return { colour, hit, storage, exported: exported > 100 };
  };`;
const expected = { colour: 'green', hit: { id: 1, distance: 1 }, storage: 'indexeddb', exported: true };

before(() => {
  if (missing !== false) return;
  const installed = path.join(project, 'node_modules/shibumi');
  mkdirSync(installed, { recursive: true });
  tarball = packedPackage().tarball;
  run('tar', ['-xzf', tarball, '--strip-components=1', '-C', installed], project);
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
  assertCarried(outdir);
});

test('webpack 5, in development', options, async () => {
  const webpack = require('webpack') as (config: object) => object;
  const DevServer = require('webpack-dev-server') as new (
    options: object,
    compiler: object,
  ) => { start(): Promise<void>; stop(): Promise<void>; server: { address(): AddressInfo } };
  const compiler = webpack({
    context: project,
    mode: 'development',
    entry: './main.js',
    output: { publicPath: '/bundle/' },
    stats: 'none',
    infrastructureLogging: { level: 'none' },
  });
  const server = new DevServer({ host: '127.0.0.1', port: 'auto', static: project, open: false }, compiler);
  // Its pages take the bundle by this name; the file of that name in the folder is what it was made of.
  writeFileSync(path.join(project, 'dev.html'), '<!doctype html><script src="/bundle/main.js"></script>');
  await server.start();
  try {
    const { port } = server.server.address();
    assert.deepEqual(await runAt(`http://127.0.0.1:${port}/dev.html`), expected);
  } finally {
    await server.stop();
  }
});

test('Vite, built', options, async () => {
  const { build } = await import('vite');
  const outDir = path.join(project, 'vite');
  await build({ root: project, configFile: false, logLevel: 'error', build: { outDir } });
  assert.deepEqual(await runPage(outDir, readFileSync(path.join(outDir, 'index.html'), 'utf8')), expected);
  assertCarried(outDir);
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

const strictPolicy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";

/** The page that ran last took parts of the worker's script from files of their own, as many as the package has. */
function assertCarried(folder: string): void {
  const isPart = (file: string): boolean => {
    const text = readFileSync(path.join(folder, file), 'utf8');
    return text.includes('another build of the worker') && text.includes('MaintenanceCalls');
  };
  const parts = globSync('**/*.js', { cwd: folder }).filter(isPart);
  assert.equal(parts.length, 1, `found ${parts.join(', ')}`);
  assert.ok(askedLast.includes(parts[0] as string), `asked for ${askedLast.join(', ')}`);
}

test('a plain page under script-src self, wasm-unsafe-eval and worker-src self', options, async () => {
  const html = `<!doctype html><script type="module" src="/main.js"></script>`;
  const main = page.replace("'shibumi'", "'./index.js'");
  assert.deepEqual(await runPage(installedDist, html, { 'main.js': main }, strictPolicy), expected);
  assertCarried(installedDist);
});

/** Answers a message with what the database says. */
const serviceWorker = page.replace("'shibumi'", "'shibumi/in-process'").replace(
  'globalThis.run =',
  `globalThis.addEventListener('message', (event) => {
    event.waitUntil(
      globalThis.run(event.data ?? {}).then(
        (answer) => event.ports[0].postMessage(answer),
        (error) => event.ports[0].postMessage({ code: error.code, message: error.message }),
      ),
    );
  });
  globalThis.run =`,
);
/** Registers `/service.js` and asks it. */
const askingPage = `
  globalThis.run = async () => {
    const { active, installing, waiting } = await navigator.serviceWorker.register(...globalThis.registration);
    await navigator.serviceWorker.ready;
    const { port1, port2 } = new MessageChannel();
    const answer = new Promise((resolve) => port1.addEventListener('message', ({ data }) => resolve(data)));
    port1.start();
    (active ?? installing ?? waiting).postMessage(globalThis.options, [port2]);
    return answer;
  };`;

test('a service worker, as a module, holds a database', options, async () => {
  const files = {
    'asking.js': `globalThis.registration = ['/service.js', { type: 'module' }]; globalThis.options = {};${askingPage}`,
    'service.js': serviceWorker.replace("'shibumi/in-process'", "'./in-process.js'"),
  };
  assert.deepEqual(await runPage(installedDist, pageOf('asking.js'), files), expected);
});

test('a page and a service worker share a database, whoever has it', options, async () => {
  const sharing = `globalThis.registration = ['/service.js', { type: 'module' }]; globalThis.options = {};${askingPage}
    const ask = globalThis.run;
    delete globalThis.run;
    import('./index.js').then(({ open }) => {
      globalThis.run = async () => {
        const db = await open('bundled');
        await db.createSpace('page', 'key-value');
        const answer = await ask();
        const spaces = (await db.listSpaces()).map(({ name }) => name).sort();
        const { role } = (await db.stats()).tabs;
        await db.close();
        return { answer, spaces, role };
      };
    });`;
  const files = {
    'asking.js': sharing,
    'service.js': serviceWorker.replace("'shibumi/in-process'", "'./in-process.js'"),
  };
  assert.deepEqual(await runPage(installedDist, pageOf('asking.js'), files), {
    answer: expected,
    spaces: ['kv', 'page', 'points'],
    role: 'owner',
  });
});

test(
  'a service worker that esbuild made a classic script of is told where the core is',
  options,
  async () => {
    const { build } = require('esbuild') as { build(options: object): Promise<unknown> };
    writeFileSync(path.join(project, 'service.js'), serviceWorker);
    const outdir = path.join(project, 'service');
    await build({
      absWorkingDir: project,
      entryPoints: ['service.js'],
      bundle: true,
      outdir,
      logLevel: 'error',
    });
    const core = readFileSync(path.join(installedDist, 'shibumi-simd128.wasm'));
    writeFileSync(path.join(outdir, 'core.wasm'), core);
    const asking = `globalThis.registration = ['/service.js'];
    globalThis.options = { wasm: '/core.wasm', build: 'simd128' };${askingPage}`;
    assert.deepEqual(await runPage(outdir, pageOf('asking.js'), { 'asking.js': asking }), expected);
  },
);

test('the main entry says in a service worker which one is for it', options, async () => {
  const files = {
    'asking.js': `globalThis.registration = ['/service.js', { type: 'module' }]; globalThis.options = {};${askingPage}`,
    'service.js': serviceWorker.replace("'shibumi/in-process'", "'./index.js'"),
  };
  const { code, message } = (await runPage(installedDist, pageOf('asking.js'), files)) as {
    code: string;
    message: string;
  };
  assert.equal(code, 'UNSUPPORTED');
  assert.match(message, /shibumi\/in-process/);
});

test('an extension: its page, and its service worker', options, async () => {
  const folder = path.join(project, 'extension');
  mkdirSync(folder);
  cpSync(installedDist, path.join(folder, 'shibumi'), { recursive: true });
  const manifest = {
    manifest_version: 3,
    name: 'Shibumi in an extension',
    version: '1.0',
    background: { service_worker: 'service.js', type: 'module' },
    // Extensions may compile WASM only where they say so.
    content_security_policy: { extension_pages: "script-src 'self' 'wasm-unsafe-eval'; object-src 'self'" },
  };
  writeFileSync(path.join(folder, 'manifest.json'), JSON.stringify(manifest));
  writeFileSync(path.join(folder, 'index.html'), pageOf('main.js'));
  writeFileSync(path.join(folder, 'main.js'), page.replace("'shibumi'", "'./shibumi/index.js'"));
  writeFileSync(
    path.join(folder, 'service.js'),
    serviceWorker.replace("'shibumi/in-process'", "'./shibumi/in-process.js'"),
  );
  const profile = mkdtempSync(path.join(tmpdir(), 'shibumi-extension-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: executablePath as string,
    ignoreDefaultArgs: ['--disable-extensions'],
    args: [...launchFlags, `--disable-extensions-except=${folder}`, `--load-extension=${folder}`],
  });
  try {
    const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent('serviceworker'));
    const run = (): Promise<unknown> => (globalThis as unknown as { run(): Promise<unknown> }).run();
    assert.deepEqual(await worker.evaluate(run), expected);
    const tab = await context.newPage();
    await tab.goto(new URL('index.html', worker.url()).href);
    await tab.waitForFunction(() => 'run' in globalThis, undefined, { timeout: 120_000 });
    const again = await tab.evaluate(async () => {
      const { open } = (await import('./shibumi/index.js' as string)) as typeof import('../../src/index.ts');
      const db = await open('bundled');
      const colour = await db.get('colour', { space: 'kv' });
      const hits = await db.searchTopK([0, 1], 1, { space: 'points' });
      let exported = 0;
      await db.exportTo(
        new WritableStream({
          write: ({ length }) => {
            exported += length;
          },
        }),
      );
      await db.close();
      return { colour, hit: hits[0], storage: 'indexeddb', exported: exported > 100 };
    });
    assert.deepEqual(again, expected, 'what the service worker stored is there for the page');
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
});

test('publint has nothing to say', options, async () => {
  const { publint } = (await import(pathToFileURL(require.resolve('publint')).href)) as {
    publint(options: object): Promise<{ messages: unknown[] }>;
  };
  const pkgDir = path.join(project, 'node_modules/shibumi');
  const { messages } = await publint({ pkgDir, strict: true, level: 'suggestion', pack: false });
  assert.deepEqual(messages, []);
});

test('Are the Types Wrong? has nothing to say of a package of modules', options, () => {
  const bin = path.join(import.meta.dirname, 'node_modules/.bin/attw');
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, unknown>;
  };
  // Files that nobody imports as a module have no types.
  const files = Object.keys(manifest.exports).filter((name) => name.endsWith('.wasm'));
  const { status, stdout, stderr } = spawnSync(
    bin,
    [
      tarball,
      '--format',
      'ascii',
      '--profile',
      'esm-only',
      '--exclude-entrypoints',
      ...files.map((name) => path.basename(name)),
    ],
    { encoding: 'utf8', env: { ...process.env, FORCE_COLOR: '0' } },
  );
  assert.ok(status === 0, `${stdout}${stderr}`);
  for (const entry of ['shibumi', 'shibumi/worker', 'shibumi/in-process', 'shibumi/node'])
    assert.match(stdout, new RegExp(`"${entry}"\\n\\nnode16 \\(from ESM\\): 🟢`), stdout);
});

test('a server renders a page that imports it, through the bundler too', options, async () => {
  writeFileSync(
    path.join(project, 'render.js'),
    `import { open } from 'shibumi';
     export const render = () => '<p>' + typeof open + '</p>';`,
  );
  const { createServer: createVite } = await import('vite');
  const server = await createVite({
    root: project,
    configFile: false,
    logLevel: 'error',
    server: { middlewareMode: true },
    appType: 'custom',
  });
  try {
    const { render } = (await server.ssrLoadModule('/render.js')) as { render(): string };
    assert.equal(render(), '<p>function</p>');
  } finally {
    await server.close();
  }
});

function pageOf(script: string): string {
  return `<!doctype html><script type="module" src="/${script}"></script>`;
}

let askedLast: string[] = [];

/** Serves a folder and runs its page. */
async function runPage(
  folder: string,
  html: string,
  files: Readonly<Record<string, string>> = {},
  policy = '',
): Promise<unknown> {
  askedLast = [];
  const server = createServer((request, response) => {
    const name = (request.url ?? '/').slice(1).split('?')[0] as string;
    askedLast.push(name);
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
