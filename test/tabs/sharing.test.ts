/**
 * Several pages on one database: they see each other's writes at once, whoever owns it, and go on when the owner goes.
 *
 * Real Chromium, a page as an application would build it, with every way from page to page.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { BrowserSuite } from '../support/browser-suite.ts';
import { openDatabaseTab } from '../support/database-tab.ts';

const suite = new BrowserSuite();
const { skip } = suite;
const timeout = 120_000;
const openTab = (name: string, without = ''): Promise<Page> =>
  openDatabaseTab(suite.browser, `${suite.url}?without=${without}`, name);

for (const [without, way] of [
  ['', 'port'],
  ['SharedWorker', 'channel'],
] as const)
  test(`three pages read each other's writes over a ${way}, and go on when the owner's page closes`, {
    skip,
    timeout,
  }, async () => {
    const name = `shared by ${way}`;
    const first = await openTab(name, without);
    const [second, third] = [await openTab(name, without), await openTab(name, without)];
    await first.evaluate(() => window.db.createSpace('kv', 'key-value'));
    await second.evaluate(() => window.db.useSpace('kv'));
    await second.evaluate(() => window.db.put('k', new Uint8Array([1, 2, 3])));
    assert.deepEqual(
      await third.evaluate(async () => [...((await window.db.get('k', { space: 'kv' })) as Uint8Array)]),
      [1, 2, 3],
    );
    const handedOver = await third.evaluate(async () => {
      const space = { space: 'vectors' };
      await window.db.createSpace('vectors', 'vector', { dimension: 2 });
      const vectors = new Float32Array([1, 2, 3, 4]);
      await window.db.insertVectors([1, 2], vectors, { ...space, transfer: true });
      return [vectors.length, await window.db.countVectors(space)];
    });
    assert.deepEqual(handedOver, [0, 2]);
    const tabs = await Promise.all(
      [first, second, third].map((page) => page.evaluate(() => window.db.stats())),
    );
    assert.deepEqual(
      tabs.map(({ tabs }) => `${tabs?.role} ${tabs?.way} ${tabs?.epoch}`),
      ['owner worker 1', `client ${way} 1`, `client ${way} 1`],
    );
    await first.close();
    // Reads are repeated, a write that was on its way would not be.
    assert.equal(await second.evaluate(() => window.db.get('n')), undefined);
    assert.equal(await third.evaluate(() => window.db.get('n', { space: 'kv' })), undefined);
    assert.equal(await second.evaluate(() => window.db.increment('n')), 1);
    assert.equal(await third.evaluate(() => window.db.increment('n', 1, { space: 'kv' })), 2);
    const after = await Promise.all([second, third].map((page) => page.evaluate(() => window.db.stats())));
    assert.deepEqual(after.map(({ tabs }) => tabs?.role).sort(), ['client', 'owner']);
    assert.deepEqual(
      after.map(({ tabs }) => tabs?.epoch),
      [2, 2],
    );
    await Promise.all([second.close(), third.close()]);
  });

test('a page that only listens hears of the next owner, and what happens there', {
  skip,
  timeout,
}, async () => {
  const name = 'listened to';
  const owner = await openTab(name);
  const [listener, writer] = [await openTab(name), await openTab(name)];
  await owner.evaluate(() => window.db.createSpace('kv', 'key-value'));
  await listener.evaluate(() => {
    const heard: string[] = [];
    Object.assign(window, { heard });
    window.db.addEventListener('ownerchange', ({ detail }) => heard.push(`owner ${detail.epoch}`));
    window.db.addEventListener('checkpoint', ({ detail }) => heard.push(`checkpoint of ${detail.space}`));
  });
  const heard = (what: string): Promise<unknown> =>
    listener.waitForFunction(
      (text) => (window as unknown as { heard: string[] }).heard.includes(text),
      what,
      { timeout: 60_000 },
    );
  const checkpoint = async (value: string): Promise<void> => {
    await writer.evaluate((text) => window.db.put('k', text, { space: 'kv' }), value);
    await writer.evaluate(() => window.db.checkpoint());
  };
  await checkpoint('by the first owner');
  await heard('checkpoint of kv');
  await listener.evaluate(() => {
    (window as unknown as { heard: string[] }).heard.length = 0;
  });
  await owner.close();
  // The listener calls nothing: it follows by itself. A read is repeated, should it still go to the one that is gone.
  await writer.evaluate(() => window.db.get('k', { space: 'kv' }));
  await writer.evaluate(() => window.db.put('k', 'by the next one', { space: 'kv' }));
  await heard('owner 2');
  await checkpoint('once more');
  await heard('checkpoint of kv');
  await Promise.all([listener.close(), writer.close()]);
});
