/** A static snapshot in a page of another origin: what was read once is read without the host, what was not is an error. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { exportStatic, open } from '../../src/node.ts';
import { Chromium, missingPart } from '../support/chromium.ts';
import { type PageServer, serveTestPage } from '../support/test-page.ts';
import { StaticHost } from './static-host.ts';

const skip = missingPart() ?? false;
const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-static-page-'));
let server: PageServer;
let browser: Chromium;

before(async () => {
  if (skip) return;
  [server, browser] = await Promise.all([serveTestPage(), Chromium.launch()]);
});

after(async () => {
  await browser?.discard();
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function newPage(): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => window.tests !== undefined);
  return page;
}

/** Opens the snapshot in the page, and tells the nearest to vector 5 and the value of a key, or why there is none. */
function read(page: Page, from: string): Promise<{ nearest: unknown; value: unknown }> {
  return page.evaluate(async (address) => {
    const told = async (work: Promise<unknown>): Promise<unknown> =>
      work.catch((error: { code?: string }) => String(error.code));
    const db = await window.tests.open({ from: address });
    const query = Float32Array.from({ length: 16 }, (_, i) => Math.sin((80 + i) ** 2));
    const nearest = await told(db.searchTopK(query, 1, { space: 'docs' }).then(([hit]) => hit?.id));
    // Long enough that everything fetched is kept: nobody waits for that.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const value = address.includes('#') ? await told(db.get('a', { space: 'texts' })) : undefined;
    await db.close();
    return { nearest, value };
  }, from);
}

test('a page reads a snapshot, again from what it kept, and again when the host is gone', {
  skip,
  timeout: 120_000,
}, async () => {
  {
    await using source = await open('source', { storage: 'memory' });
    await source.createSpace('docs', 'vector', { dimension: 16, indexType: 'HNSW8,SQ8' });
    const vectors = Float32Array.from({ length: 4000 * 16 }, (_, i) => Math.sin(i * i));
    await source.insertVectors([...Array(4000).keys()], vectors, { space: 'docs' });
    await source.createSpace('texts', 'key-value');
    await source.put('a', 'b', { space: 'texts' });
    await exportStatic(source, folder);
  }
  const host = new StaticHost(folder);
  const from = await host.start();
  const page = await newPage();
  assert.deepEqual(await read(page, from), { nearest: 5, value: undefined });
  const first = host.bytes;
  assert.deepEqual((await read(page, from)).nearest, 5);
  assert.ok(host.bytes - first < 2000, `${host.bytes - first} bytes were fetched again`);
  await host.stop();
  await assert.rejects(fetch(from), 'nobody may answer here');
  const later = await newPage();
  assert.deepEqual(await read(later, `${from}#texts`), { nearest: 5, value: 'STORAGE_UNAVAILABLE' });
  // One that was never read is not there.
  const failure = await later.evaluate(
    (address) => window.tests.open({ from: address, cache: false }).then(String, (error) => error.code),
    from,
  );
  assert.equal(failure, 'STORAGE_UNAVAILABLE');
});
