// `connect` in a page of a real Chromium, to real servers on loopback: the conformance suite, as in Node. Ordinarily every eighth
// case, since the way through the protocol is the same for all and Node goes it with each; `SHIBUMI_LONG=1`: all of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { suite } from '../conformance/suite.ts';
import { Chromium, missingPart } from '../support/chromium.ts';
import { serveTestPage } from '../support/test-page.ts';
import { BridgeServers } from './bridge-platform.ts';

const timeoutMs = 60_000;
const every = process.env.SHIBUMI_LONG === '1' ? 1 : 8;

test('conformance over the bridge, Chromium', { skip: missingPart() ?? false }, async (t) => {
  const pages = await serveTestPage();
  t.after(() => pages.close());
  await using servers = new BridgeServers('simd128', [new URL(pages.url).origin]);
  const browser = await Chromium.launch();
  t.after(() => browser.discard());
  const page = await browser.newPage();
  const unhandled: string[] = [];
  page.on('pageerror', (error) => unhandled.push(error.message));
  await page.exposeFunction('bridgeUrlOf', (name: string) => servers.urlOf(name));
  await page.exposeFunction('bridgeRemove', (name: string) => servers.remove(name));
  await page.goto(`${pages.url}?as=bridge`);
  await page.waitForFunction(() => window.tests !== undefined);
  for (const entry of suite.filter((_, i) => i % every === 0))
    await t.test(entry.name, { timeout: timeoutMs }, async () => {
      assert.equal(await page.evaluate((name) => window.tests.runCase(name), entry.name), undefined);
    });
  assert.deepEqual(unhandled, [], 'no error reached the page unhandled');
  await page.close();
});
