/**
 * A store that the browser itself drops. Its files are damaged while it is dead; what it then makes of them must not look like
 * an empty database. And the damage that two kills can do to Chromium's LevelDB by themselves is mended before it counts.
 */

import assert from 'node:assert/strict';
import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { Chromium, missingPart } from '../support/chromium.ts';
import { type PageServer, serveTestPage } from '../support/test-page.ts';

const skip = missingPart() ?? false;
let server: PageServer;

before(async () => {
  if (!skip) server = await serveTestPage();
});
after(() => server?.close());

test('a store that the browser found corrupt and dropped is a loss, until it is accepted', {
  skip,
  timeout: 180_000,
}, async (t) => {
  const profile = await profileWithDatabase();
  const files = await levelDbFiles(profile);
  if (files === undefined) return t.skip('this Chromium keeps IndexedDB in another store than LevelDB');
  const log = await readFile(files.log);
  log.fill(0x5a, 1000, 2000);
  await writeFile(files.log, log);
  await withPage(profile, true, async (page) => {
    // The first open may fail with the browser's own error: it is the next that gets a new store.
    const codes = [
      await codeOfOpen(page, 'fail'),
      await codeOfOpen(page, 'fail'),
      await codeOfOpen(page, 'fail'),
    ];
    assert.deepEqual(codes.slice(1), ['DATA_LOST', 'DATA_LOST']);
    assert.ok(codes[0] === 'DATA_LOST' || codes[0] === 'STORAGE_UNAVAILABLE', codes[0]);
    assert.equal(await codeOfOpen(page, 'salvage'), 'opened with 0 spaces');
    assert.equal(await codeOfOpen(page, 'fail'), 'opened with 0 spaces');
  });
});

test('a store whose files are gone is a loss; deleting the database ends it', {
  skip,
  timeout: 180_000,
}, async () => {
  const profile = await profileWithDatabase();
  await rm(path.join(profile, 'Default', 'IndexedDB'), { recursive: true });
  await withPage(profile, true, async (page) => {
    assert.equal(await codeOfOpen(page, 'fail'), 'DATA_LOST');
    assert.equal(await codeOfOpen(page, 'fail'), 'DATA_LOST');
    await page.evaluate(() => window.tests.deleteDatabase('loss'));
    assert.equal(await codeOfOpen(page, 'fail'), 'opened with 0 spaces');
  });
});

test('a record torn by one kill does not make the browser drop the store after the next', {
  skip,
  timeout: 240_000,
}, async (t) => {
  const profile = await profileWithDatabase();
  const files = await levelDbFiles(profile);
  if (files === undefined) return t.skip('this Chromium keeps IndexedDB in another store than LevelDB');
  // As a kill leaves it that comes while the last record is being written.
  await truncate(files.log, (await stat(files.log)).size - 10);
  await withPage(profile, false, async (page) => {
    await page.evaluate(async () => {
      const db = await window.tests.open('loss');
      for (let i = 0; i < 20; i++) await db.put(`later ${i}`, 'x'.repeat(500), { space: 'things' });
    });
    // The log is changed in the background.
    const deadline = Date.now() + 60_000;
    while ((await levelDbFiles(profile))?.log === files.log) {
      assert.ok(Date.now() < deadline, 'the browser still writes to the log with the torn record');
      await page.waitForTimeout(50);
    }
  });
  await withPage(profile, true, async (page) => {
    const values = await page.evaluate(async () => {
      await using db = await window.tests.open('loss');
      return [await db.size({ space: 'things' }), await db.get('later 19', { space: 'things' })];
    });
    // Of the first session the torn record is gone, as its kill would have taken it.
    assert.ok(Number(values[0]) >= 20, `${values[0]} entries`);
    assert.equal(values[1], 'x'.repeat(500));
  });
});

/** A profile whose browser was killed after 30 strict puts. */
async function profileWithDatabase(): Promise<string> {
  const browser = await Chromium.launch();
  const page = await openPage(browser);
  await page.evaluate(async () => {
    const db = await window.tests.open('loss');
    await db.createSpace('things', 'key-value');
    for (let i = 0; i < 30; i++) await db.put(`key ${i}`, 'x'.repeat(500), { space: 'things' });
  });
  await browser.kill();
  return browser.profile;
}

async function withPage(profile: string, last: boolean, work: (page: Page) => Promise<void>): Promise<void> {
  const browser = await Chromium.launch(profile);
  try {
    await work(await openPage(browser));
  } finally {
    await (last ? browser.discard() : browser.kill());
  }
}

async function openPage(browser: Chromium): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => window.tests !== undefined);
  return page;
}

function codeOfOpen(page: Page, onCorruption: 'fail' | 'salvage'): Promise<string> {
  return page.evaluate(async (choice) => {
    try {
      await using db = await window.tests.open('loss', { onCorruption: choice });
      return `opened with ${(await db.listSpaces()).length} spaces`;
    } catch (error) {
      return (error as { code: string }).code;
    }
  }, onCorruption);
}

/** The newest log of the profile's LevelDB; `undefined` where there is none. */
async function levelDbFiles(profile: string): Promise<{ log: string } | undefined> {
  const root = path.join(profile, 'Default', 'IndexedDB');
  const folder = (await readdir(root)).find((name) => name.endsWith('.leveldb'));
  if (folder === undefined) return undefined;
  const logs = (await readdir(path.join(root, folder))).filter((name) => name.endsWith('.log')).sort();
  return { log: path.join(root, folder, logs.at(-1) ?? '') };
}
