/**
 * What befalls the connection to IndexedDB under two tabs that use it: the browser closes it, clears its data, or does not
 * open it; another page deletes the database. What can go on goes on, and the rest says why.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { BrowserSuite } from '../support/browser-suite.ts';
import { openDatabaseTab, placeOf } from '../support/database-tab.ts';

const suite = new BrowserSuite();
const { skip } = suite;
const timeout = 120_000;
/** The owner and another tab, with a space `kv` that both use; each notes its events. */
async function twoTabs(name: string): Promise<[owner: Page, other: Page]> {
  const owner = await openDatabaseTab(suite.browser, suite.url, name);
  await owner.evaluate(() => window.db.createSpace('kv', 'key-value'));
  const other = await openDatabaseTab(suite.browser, suite.url, name);
  for (const page of [owner, other])
    await page.evaluate(async () => {
      await window.db.useSpace('kv');
      const events: string[] = [];
      window.db.addEventListener('connection', ({ detail }) => events.push(detail.state));
      window.db.addEventListener('ownerchange', ({ detail }) =>
        events.push(`owner ${detail.epoch} ${detail.here ? 'here' : 'elsewhere'}`),
      );
      Object.assign(window, { events });
    });
  return [owner, other];
}

function eventsOf(page: Page): Promise<string[]> {
  return page.evaluate(() => (window as unknown as { events: string[] }).events);
}

function outcome(page: Page, key: string): Promise<string> {
  return page.evaluate(
    (key) =>
      window.db.get(key).then(
        (value) => `got ${value}`,
        (error) => `${error.name} ${error.code}`,
      ),
    key,
  );
}

test('a connection that the browser closes is opened again: reads go on, counts are neither lost nor doubled', {
  skip,
  timeout,
}, async () => {
  const tabs = await twoTabs('closed');
  const [owner, other] = tabs;
  for (const tab of tabs)
    await tab.evaluate(() => {
      const counting = { stop: false, done: Promise.resolve<unknown[]>([]) };
      const count = async (): Promise<unknown[]> => {
        const outcomes: unknown[] = [];
        while (!counting.stop) outcomes.push(await window.db.increment('n').catch((error) => error.code));
        return outcomes;
      };
      counting.done = count();
      Object.assign(window, { counting });
    });
  const internals = await suite.browser.newPage();
  await internals.goto('chrome://indexeddb-internals');
  for (let epoch = 1; epoch <= 3; epoch++) {
    await tabs[0].waitForFunction(async (epoch) => (await window.db.stats()).tabs?.epoch === epoch, epoch);
    await internals.locator('.force-close').click();
    await tabs[0].waitForFunction(
      async (epoch) => (await window.db.stats()).tabs?.epoch === epoch + 1,
      epoch,
    );
  }
  const outcomes = await Promise.all(
    tabs.map((tab) =>
      tab.evaluate(() => {
        const { counting } = window as unknown as { counting: { stop: boolean; done: Promise<unknown[]> } };
        counting.stop = true;
        return counting.done;
      }),
    ),
  );
  const counted = outcomes.flat().filter((one) => typeof one === 'number');
  const failed = outcomes.flat().filter((one) => typeof one !== 'number');
  assert.deepEqual(
    failed.filter((code) => code !== 'OUTCOME_UNKNOWN'),
    [],
  );
  assert.equal(new Set(counted).size, counted.length, 'one number was given twice');
  const total = Number((await outcome(other, 'n')).slice('got '.length));
  assert.ok(
    total >= counted.length && total <= counted.length + failed.length,
    `${total} counted, ${counted.length} acknowledged, ${failed.length} unknown`,
  );
  const events = (await Promise.all(tabs.map(eventsOf))).flat();
  assert.equal(events.filter((event) => event === 'closed').length, 3);
  assert.equal(events.filter((event) => /^owner \d here$/.test(event)).length, 3);
  await Promise.all([internals.close(), owner.close(), other.close()]);
});

test('cleared data is STORAGE_LOST in every tab, for good; opening begins anew', {
  skip,
  timeout,
}, async () => {
  const [owner, other] = await twoTabs('cleared');
  await owner.evaluate(() => window.db.put('k', 'gone'));
  const session = await owner.context().newCDPSession(owner);
  await session.send('Storage.clearDataForOrigin', {
    origin: new URL(suite.url).origin,
    storageTypes: 'all',
  });
  for (const page of [owner, other])
    for (let i = 0; i < 2; i++) assert.equal(await outcome(page, 'k'), 'ConnectionError STORAGE_LOST');
  await owner.evaluate(() => window.db.close());
  const spaces = await owner.evaluate(async () => {
    await using db = await window.tests.open('cleared');
    return db.listSpaces();
  });
  assert.deepEqual(spaces, []);
  // The tab that still has the former one open is not served from the new one.
  assert.equal(await outcome(other, 'k'), 'ConnectionError STORAGE_LOST');
  await Promise.all([owner.close(), other.close()]);
});

test('a page that deletes the database by itself gets its way, and every tab is told', {
  skip,
  timeout,
}, async () => {
  const [owner, other] = await twoTabs('deleted');
  await other.evaluate(
    () =>
      new Promise<void>((resolve, reject) => {
        const request = indexedDB.deleteDatabase('shibumi:deleted');
        request.onsuccess = () => resolve();
        request.onerror = () => reject(request.error);
      }),
  );
  for (const page of [owner, other]) assert.equal(await outcome(page, 'k'), 'ConnectionError STORAGE_LOST');
  assert.deepEqual(await eventsOf(owner), ['versionchange']);
  await Promise.all([owner.close(), other.close()]);
});

test('opening behind a deletion that is blocked, which gets no event, ends with TIMEOUT, and works afterwards', {
  skip,
  timeout,
}, async () => {
  const page = await suite.browser.newPage();
  await page.goto(suite.url);
  await page.waitForFunction(() => window.tests !== undefined);
  const outcomes = await page.evaluate(async () => {
    const { open } = window.tests;
    await (await open('blocked')).close();
    // A page of somebody else's that does not listen to `versionchange`.
    const held = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open('shibumi:blocked');
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const deleted = new Promise((resolve) => {
      indexedDB.deleteDatabase('shibumi:blocked').onsuccess = resolve;
    });
    const fromMs = performance.now();
    const refused = await open('blocked', { openTimeoutMs: 700 }).then(
      () => 'opened',
      (error) => `${error.name} ${error.code}`,
    );
    const tookMs = performance.now() - fromMs;
    held.close();
    await deleted;
    await using db = await open('blocked', { onCorruption: 'salvage' });
    await db.createSpace('kv', 'key-value');
    return { refused, tookMs, spaces: (await db.listSpaces()).length };
  });
  assert.match(outcomes.refused, /^ConnectionError (TIMEOUT|LOCKED)$/);
  assert.ok(outcomes.tookMs >= 690 && outcomes.tookMs < 30_000, `it took ${outcomes.tookMs} ms`);
  assert.equal(outcomes.spaces, 1);
  await page.close();
});

test('a deletion that is blocked says by whom, ends with TIMEOUT, and happens when the other lets go', {
  skip,
  timeout,
}, async () => {
  const page = await suite.browser.newPage();
  await page.goto(suite.url);
  await page.waitForFunction(() => window.tests !== undefined);
  const outcomes = await page.evaluate(async () => {
    const { open, deleteDatabase } = window.tests;
    const db = await open('undeleted');
    await db.createSpace('kv', 'key-value');
    await db.close();
    const held = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open('shibumi:undeleted');
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const asked = new Promise((resolve) => held.addEventListener('versionchange', resolve));
    const refused = await deleteDatabase('undeleted', { timeoutMs: 700 }).then(
      () => 'deleted',
      (error) => `${error.name} ${error.code} ${error.message}`,
    );
    await asked;
    const reading = held.transaction('state').objectStore('state').get('catalog');
    const stillThere = await new Promise((resolve) => {
      reading.onsuccess = () => resolve(reading.result instanceof Uint8Array);
    });
    held.close();
    // What was asked for happens now. It was asked for, so it is no loss of data.
    await using again = await open('undeleted');
    return { refused, stillThere, spaces: (await again.listSpaces()).length };
  });
  assert.match(outcomes.refused, /^ConnectionError TIMEOUT .* a page has it open and does not let go/);
  assert.deepEqual([outcomes.stillThere, outcomes.spaces], [true, 0]);
  await page.close();
});

test('a new owner is told to every tab', { skip, timeout }, async () => {
  const [owner, other] = await twoTabs('told');
  const third = await openDatabaseTab(suite.browser, suite.url, 'told');
  await third.evaluate(() => {
    const events: string[] = [];
    window.db.addEventListener('ownerchange', ({ detail }) =>
      events.push(`owner ${detail.epoch} ${detail.here ? 'here' : 'elsewhere'}`),
    );
    Object.assign(window, { events });
  });
  await owner.evaluate(() => window.db.close());
  assert.equal(await outcome(other, 'k'), 'got undefined');
  await third.evaluate(() => window.db.get('k', { space: 'kv' }));
  const events = [await eventsOf(other), await eventsOf(third)];
  const here = (await placeOf(other)).startsWith('owner') ? 0 : 1;
  assert.deepEqual(events[here], ['owner 2 here']);
  assert.deepEqual(events[1 - here], ['owner 2 elsewhere']);
  await Promise.all([owner.close(), other.close(), third.close()]);
});
