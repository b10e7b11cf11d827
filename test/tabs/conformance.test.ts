/**
 * The whole conformance suite from a tab that does not own the database: every call, over every way from tab to tab. It takes
 * a minute or two, so it is part of `npm run test:tabs`; what tabs add to calls is tested beside it, always.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { suite } from '../conformance/suite.ts';
import { Chromium, missingPart } from '../support/chromium.ts';
import { serveTestPage } from '../support/test-page.ts';

const skip =
  missingPart() ??
  (process.env.SHIBUMI_TEST_TABS_BLOWS === undefined ? 'npm run test:tabs runs it: it takes minutes' : false);
const timeoutMs = 120_000;

for (const [without, way] of [
  ['', 'port'],
  ['SharedWorker', 'channel'],
] as const)
  test(`conformance of a tab that is a client over a ${way}`, { skip }, async (t) => {
    const server = await serveTestPage();
    const browser = await Chromium.launch();
    try {
      const page = await browser.newPage();
      const unhandled: string[] = [];
      page.on('pageerror', (error) => unhandled.push(error.message));
      await page.goto(`${server.url}?build=simd128&storage=indexeddb&as=client&without=${without}`);
      await page.waitForFunction(() => window.tests !== undefined);
      for (const entry of suite)
        await t.test(entry.name, { timeout: timeoutMs }, async () => {
          assert.equal(await page.evaluate((name) => window.tests.runCase(name), entry.name), undefined);
        });
      assert.deepEqual(unhandled, [], 'no error reached the page unhandled');
    } finally {
      await browser.discard();
      await server.close();
    }
  });
