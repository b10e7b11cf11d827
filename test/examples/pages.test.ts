/** examples/static and examples/offline-first as their READMEs use them, in Chromium; the network is off when it says so. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { serve } from '../../src/server.ts';
import { StaticHost } from '../static/static-host.ts';
import { Chromium, missingPart } from '../support/chromium.ts';
import { buildExample } from './built-example.ts';

const skip = missingPart() ?? false;
const timeout = 180_000;
const root = path.resolve(import.meta.dirname, '../..');
const scratch = mkdtempSync(path.join(tmpdir(), 'shibumi-examples-'));
let browser: Chromium;

before(async () => {
  if (!skip) browser = await Chromium.launch();
});

after(async () => {
  await browser?.discard();
  rmSync(scratch, { recursive: true, force: true });
});

const status = (page: Page, text: RegExp): Promise<unknown> =>
  page.waitForFunction(
    (source) => new RegExp(source).test(document.querySelector('output')?.value ?? ''),
    text.source,
  );

async function fill(page: Page, form: string, fields: Record<string, string>): Promise<void> {
  for (const [name, value] of Object.entries(fields)) await page.fill(`${form} [name=${name}]`, value);
  await page.locator(`${form} [name=${Object.keys(fields).at(-1)}]`).press('Enter');
}

test('examples/static: an index built by the script is searched from plain files', {
  skip,
  timeout,
}, async () => {
  const folder = path.join(scratch, 'static');
  await buildExample('static', folder);
  // The script as it stands, on the sources.
  const source = readFileSync(path.join(root, 'examples/static/build-index.ts'), 'utf8')
    .replace("'shibumi/node'", `'${pathToFileURL(path.join(root, 'src/node.ts')).href}'`)
    .replace("'../../demo", `'${pathToFileURL(path.join(root, 'demo')).href}`);
  mkdirSync(path.join(root, 'build'), { recursive: true });
  const script = path.join(root, `build/build-index-${process.pid}.ts`);
  writeFileSync(script, source);
  try {
    const { buildIndex } = (await import(pathToFileURL(script).href)) as {
      buildIndex(folder: string, index: string): Promise<number>;
    };
    assert.ok((await buildIndex(path.join(root, 'demo/sample'), path.join(folder, 'index'))) >= 3);
  } finally {
    rmSync(script);
  }
  const host = new StaticHost(folder);
  const page = await browser.newPage();
  await page.goto(await host.start());
  await status(page, /^\d+ passages are indexed$/);
  await fill(page, 'form', { question: 'how do I feed my sourdough starter' });
  await status(page, /^[1-5] passages$/);
  assert.match((await page.locator('li').first().textContent()) ?? '', /^sourdough\.md \d+: /);
  assert.ok(host.answered.some(({ file, range }) => file.startsWith('index/pack-') && range !== undefined));
  await page.close();
  await host.stop();
});

test('examples/offline-first: written and searched without a network, shared when it is back', {
  skip,
  timeout,
}, async () => {
  const folder = path.join(scratch, 'offline');
  await buildExample('offline-first', folder);
  let host = new StaticHost(folder);
  const url = await host.start();
  const { port } = host;
  const admin = { username: 'root', password: 'a password of the bridge' };
  const at = { admin, origins: [url.slice(0, -1)] };
  const data = path.join(scratch, 'bridge');
  let bridge = await serve(data, at);
  const bridgePort = Number(new URL(bridge.url).port);
  const { connect } = await import('../../src/bridge.ts');
  const direct = await connect(bridge.url, admin);
  await direct.createSpace('notes', 'key-value');
  await direct.put('theirs', JSON.stringify({ text: 'The compost wants turning', atMs: 1 }), {
    space: 'notes',
  });
  await direct.close();

  let page = await browser.newPage();
  await page.goto(url);
  await status(page, /not connected, 0/);
  await fill(page, '#write', { text: 'Bicycle chains like oil' });
  await status(page, /not connected, 1/);
  await fill(page, '#bridge', { url: bridge.url, ...admin });
  await status(page, /all shared/);
  await page.waitForFunction(() => document.querySelectorAll('li').length === 2);

  // The network is off: both servers are gone.
  await host.stop();
  await bridge.close();
  await assert.rejects(fetch(url), 'nobody may answer here');
  await fill(page, '#write', { text: 'Sourdough rests overnight' });
  await status(page, /1 to be shared/);
  // A new page, from nothing but what is in this browser.
  await page.close();
  page = await browser.newPage();
  await page.goto(url);
  await status(page, /not connected, 1/);
  assert.equal(await page.locator('li').count(), 3);
  await fill(page, '#search', { question: 'sourdough' });
  await page.waitForFunction(() => document.querySelectorAll('li').length === 1);
  assert.equal(await page.locator('li').textContent(), 'Sourdough rests overnight');

  // And on again, at the same addresses.
  host = new StaticHost(folder);
  await host.start(port);
  bridge = await serve(data, { ...at, port: bridgePort });
  await fill(page, '#bridge', { url: bridge.url, ...admin });
  await status(page, /all shared/);
  const again = await connect(bridge.url, admin);
  const texts: string[] = [];
  for await (const { value } of again.scan({ space: 'notes' }))
    texts.push((JSON.parse(String(value)) as { text: string }).text);
  assert.deepEqual(texts.sort(), [
    'Bicycle chains like oil',
    'Sourdough rests overnight',
    'The compost wants turning',
  ]);
  await again.close();
  await page.close();
  await host.stop();
  await bridge.close();
});
