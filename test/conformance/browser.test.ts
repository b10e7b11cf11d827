/**
 * The conformance suite in a real Chromium: a page, the worker, and IndexedDB or memory; both builds. The page runs one case
 * at a time; here each is a test of its own.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { takesAllCases } from '../support/all-cases.ts';
import { Chromium, missingPart } from '../support/chromium.ts';
import { type PageServer, serveTestPage } from '../support/test-page.ts';
import { kernelCases, suite } from './suite.ts';

const timeoutMs = 90_000;
const skip = missingPart() ?? false;
let server: PageServer;
let browser: Chromium;

before(async () => {
  if (skip) return;
  server = await serveTestPage();
  browser = await Chromium.launch();
});

after(async () => {
  await browser?.discard();
  await server?.close();
});

// The builds differ in their kernels alone, and memory is the simplest of all storage: one run for both, in which every third of the
// other cases is for the page around it. `npm run test:tabs` takes all cases with everything.
const runs = [
  ['indexeddb', 'relaxed', suite],
  [
    'memory',
    'simd128',
    takesAllCases ? suite : suite.filter((entry, i) => i % 3 === 0 || kernelCases.includes(entry)),
  ],
  ...(takesAllCases
    ? ([
        ['indexeddb', 'simd128', suite],
        ['memory', 'relaxed', suite],
      ] as const)
    : []),
] as const;

for (const [storage, build, cases] of runs)
  test(`conformance in Chromium, ${storage}, ${build}`, { skip }, async (t) => {
    const page = await browser.newPage();
    const unhandled: string[] = [];
    page.on('pageerror', (error) => unhandled.push(error.message));
    await page.goto(`${server.url}?build=${build}&storage=${storage}`);
    await page.waitForFunction(() => window.tests !== undefined);
    for (const entry of cases) {
      // In memory nothing is kept for another opening.
      if (entry.reopens && storage === 'memory') continue;
      await t.test(entry.name, { timeout: timeoutMs }, async () => {
        assert.equal(await page.evaluate((name) => window.tests.runCase(name), entry.name), undefined);
      });
    }
    assert.deepEqual(unhandled, [], 'no error reached the page unhandled');
    await page.close();
  });
