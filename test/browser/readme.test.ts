/** The README's example runs as it stands, in a real browser, and finds what it says. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { createServer } from 'vite';
import { findBrowser, launchFlags } from '../../tools/browser.mjs';

const root = path.resolve(import.meta.dirname, '../..');

test("the README's example runs", async (t) => {
  const browserPath = findBrowser();
  assert.ok(browserPath, 'no browser found; npm test installs one');
  const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  assert.match(example, /from 'shibumi'/);

  const folder = mkdtempSync(path.join(root, 'build/readme-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(path.join(folder, 'index.html'), '<script type="module" src="./example.ts"></script>');
  writeFileSync(path.join(folder, 'example.ts'), example);
  const server = await createServer({
    configFile: false,
    root: folder,
    logLevel: 'error',
    resolve: { alias: [{ find: /^shibumi$/, replacement: path.join(root, 'src/index.ts') }] },
    optimizeDeps: { include: ['comlink', 'idb'] },
    worker: { format: 'es' },
    server: { host: '127.0.0.1', port: 0, fs: { allow: [root] } },
  });
  await server.listen();
  t.after(() => server.close());
  const address = server.httpServer?.address();
  assert.ok(typeof address === 'object' && address !== null);

  const browser = await chromium.launch({ executablePath: browserPath, args: launchFlags });
  t.after(() => browser.close());
  const page = await browser.newPage();
  const printed = page.waitForEvent('console', {
    predicate: (message) => message.type() === 'log',
    timeout: 30_000,
  });
  const failed = new Promise<never>((_, reject) => page.once('pageerror', reject));
  await page.goto(`http://127.0.0.1:${address.port}/`);
  const line = (await Promise.race([printed, failed])).text();
  const [distance, ...title] = line.split(' ');
  assert.ok(Math.abs(Number(distance) - (1 - 0.9 / Math.hypot(0.9, 0.1, 0.2))) < 1e-6, line);
  assert.equal(title.join(' '), 'A Field Guide to Lichens');
});
