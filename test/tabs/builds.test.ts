/**
 * Tabs of two builds at once, as after a deployment: a newer one is handed the database, an older one that cannot go on with
 * it says so. The other builds are the same sources but for what they say of themselves.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Chromium, missingPart } from '../support/chromium.ts';
import { openDatabaseTab, placeOf } from '../support/database-tab.ts';
import { type PageServer, serveTestPage } from '../support/test-page.ts';

const skip = missingPart() ?? false;
const timeout = 120_000;
let server: PageServer;
let browser: Chromium;

before(async () => {
  if (skip) return;
  server = await serveTestPage({
    later: { version: '0.2.0', protocol: 1, format: 1 },
    foreign: { version: '0.3.0', protocol: 2, format: 1 },
    reformed: { version: '0.4.0', protocol: 1, format: 2 },
    relaid: { version: '0.5.0', protocol: 1, format: 1, layout: 2 },
  });
  browser = await Chromium.launch();
});

after(async () => {
  await browser?.discard();
  await server?.close();
});

test('an older owner hands over to a later build, finishes what it accepted, and goes on as its client', {
  skip,
  timeout,
}, async () => {
  const older = await openDatabaseTab(browser, server.url, 'later');
  await older.evaluate(async () => {
    await window.db.createSpace('kv', 'key-value');
    await window.db.useSpace('kv');
    const counting = { stop: false, done: Promise.resolve<number[]>([]) };
    const count = async (): Promise<number[]> => {
      const numbers: number[] = [];
      while (!counting.stop) numbers.push(Number(await window.db.increment('n')));
      return numbers;
    };
    counting.done = count();
    Object.assign(window, { counting });
  });
  const later = await openDatabaseTab(browser, `${server.url}later/`, 'later');
  assert.equal(await placeOf(later), 'owner worker 2');
  await older.waitForFunction(async () => (await window.db.stats()).tabs?.epoch === 2);
  assert.equal(await placeOf(older), 'client channel 2');
  const numbers = await older.evaluate(async () => {
    const { counting } = window as unknown as { counting: { stop: boolean; done: Promise<number[]> } };
    await window.db.get('n');
    counting.stop = true;
    return counting.done;
  });
  // Each counted once, over the change of owner too.
  assert.deepEqual(
    numbers,
    numbers.map((_, i) => i + 1),
  );
  assert.equal(await later.evaluate(() => window.db.get('n', { space: 'kv' })), String(numbers.length));

  // And it does not take the database back.
  const another = await openDatabaseTab(browser, server.url, 'later');
  assert.equal(await placeOf(another), 'client channel 2');
  await Promise.all([older.close(), later.close(), another.close()]);
});

for (const [folder, found] of [
  [
    'foreign',
    /owns "foreign" \(version 0.3.0, format 1, protocol 2\); this page has version 0.1.0, format 1, protocol 1/,
  ],
  [
    'reformed',
    /owns "reformed" \(version 0.4.0, format 2, protocol 1\); this page has version 0.1.0, format 1, protocol 1/,
  ],
] as const)
  test(`an older tab is told when a ${folder} build has taken over, and another cannot open the database`, {
    skip,
    timeout,
  }, async () => {
    const older = await openDatabaseTab(browser, server.url, folder);
    await older.evaluate(async () => {
      await window.db.createSpace('kv', 'key-value');
      await window.db.put('k', 'kept', { space: 'kv' });
    });
    const newer = await openDatabaseTab(browser, `${server.url}${folder}/`, folder);
    assert.equal(await newer.evaluate(() => window.db.get('k', { space: 'kv' })), 'kept');
    const outcome = await older.evaluate(() =>
      window.db.get('k', { space: 'kv' }).then(
        () => 'done',
        (error) => `${error.code}: ${error.message}`,
      ),
    );
    assert.match(outcome, /^VERSION_MISMATCH/);
    assert.match(outcome, found);
    const refused = await openDatabaseTab(browser, server.url, folder).catch((error: Error) => error.message);
    assert.match(String(refused), found);
    await Promise.all([older.close(), newer.close()]);
  });

test('what a build with a newer format has stored is refused by an older one', {
  skip,
  timeout,
}, async () => {
  const newer = await openDatabaseTab(browser, `${server.url}reformed/`, 'stored');
  await newer.evaluate(() => window.db.createSpace('kv', 'key-value'));
  await newer.evaluate(() => window.db.close());
  const refused = await openDatabaseTab(browser, server.url, 'stored').catch((error: Error) => error.message);
  assert.match(String(refused), /format 2, this build reads up to 1/);
  await newer.close();
});

test('a later layout of the store: blocked by a page that holds the former one, told so, and opened when that lets go', {
  skip,
  timeout,
}, async () => {
  const older = await openDatabaseTab(browser, server.url, 'relaid');
  await older.evaluate(async () => {
    await window.db.createSpace('kv', 'key-value');
    await window.db.put('k', 'kept', { space: 'kv' });
    await window.db.close();
    // A page of somebody else's that does not listen to `versionchange`.
    const held = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open('shibumi:relaid');
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    Object.assign(window, { held });
  });
  const later = await browser.newPage();
  await later.goto(`${server.url}relaid/`);
  await later.waitForFunction(() => window.tests !== undefined);
  const refused = await later.evaluate(async () => {
    let blocked = 0;
    const onBlocked = (): void => {
      blocked++;
    };
    const outcome = await window.tests.IndexedDbBackend.open('relaid', { timeoutMs: 1500, onBlocked }).then(
      () => 'opened',
      (error) => `${error.code} ${error.message}`,
    );
    return { outcome, blocked };
  });
  assert.match(refused.outcome, /^TIMEOUT .* an older layout/);
  assert.equal(refused.blocked, 1);
  await older.evaluate(() => (window as unknown as { held: IDBDatabase }).held.close());
  const kept = await later.evaluate(async () => {
    await using db = await window.tests.open('relaid');
    return db.get('k', { space: 'kv' });
  });
  assert.equal(kept, 'kept');
  const code = await older.evaluate(() =>
    window.tests.open('relaid').then(
      () => 'opened',
      (error) => error.code,
    ),
  );
  assert.equal(code, 'VERSION_MISMATCH');
  await Promise.all([older.close(), later.close()]);
});
