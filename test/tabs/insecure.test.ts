/**
 * Pages that are not served securely: no Web Locks, no `crypto.randomUUID`. Nobody is told that an owner is gone, so it is
 * its silence that tells; who may write is decided by the epoch all the same.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Chromium, missingPart } from '../support/chromium.ts';
import { openDatabaseTab, placeOf } from '../support/database-tab.ts';
import { type PageServer, serveTestPage } from '../support/test-page.ts';

const skip = missingPart() ?? false;
const timeout = 120_000;
const ownerTimeoutMs = 1000;
let server: PageServer;
let browser: Chromium;

before(async () => {
  if (skip) return;
  server = await serveTestPage();
  browser = await Chromium.launch(undefined, ['--host-resolver-rules=MAP insecure.test 127.0.0.1']);
});

after(async () => {
  await browser?.discard();
  await server?.close();
});

test('without Web Locks tabs share a database, and follow an owner that is gone by its silence', {
  skip,
  timeout,
}, async () => {
  const url = server.url.replace('127.0.0.1', 'insecure.test');
  const first = await openDatabaseTab(browser, url, 'insecure', { ownerTimeoutMs });
  assert.equal(await first.evaluate(() => isSecureContext), false);
  await first.evaluate(() => window.db.createSpace('kv', 'key-value'));
  const others = [
    await openDatabaseTab(browser, url, 'insecure', { ownerTimeoutMs }),
    await openDatabaseTab(browser, url, 'insecure', { ownerTimeoutMs }),
  ] as const;
  await others[0].evaluate(() => window.db.put('k', 'kept', { space: 'kv' }));
  const { tabs } = await others[0].evaluate(() => window.db.stats());
  assert.equal(tabs?.webLocks, false);
  assert.match(await placeOf(others[1]), /^client (port|channel) 1$/);
  await first.close();
  // Both miss the owner at once; one of them gets the database, and both go on.
  const counted = await Promise.all(
    others.map((page) =>
      page.evaluate(async () => {
        const numbers: unknown[] = [await window.db.get('k', { space: 'kv' })];
        for (let i = 0; i < 50; i++)
          numbers.push(await window.db.increment('n', 1, { space: 'kv' }).catch((error) => error.code));
        return numbers;
      }),
    ),
  );
  assert.deepEqual(
    counted.map(([value]) => value),
    ['kept', 'kept'],
  );
  const numbers = counted.flatMap((one) => one.slice(1));
  const acknowledged = numbers.filter((number) => typeof number === 'number');
  assert.equal(new Set(acknowledged).size, acknowledged.length, 'one number was given twice');
  const unknown = numbers.length - acknowledged.length;
  const total = Number(await others[0].evaluate(() => window.db.get('n', { space: 'kv' })));
  assert.ok(
    total >= acknowledged.length && total <= acknowledged.length + unknown,
    `${total} counted, ${acknowledged.length} acknowledged, ${numbers.filter((one) => typeof one !== 'number')}`,
  );
  const places = await Promise.all(others.map(placeOf));
  assert.equal(places.filter((place) => place.startsWith('owner')).length, 1, places.join(', '));
  await Promise.all(others.map((page) => page.close()));
});

test('an owner that dies while it lets the database go is followed, though it has refused what waits', {
  skip,
  timeout,
}, async () => {
  const url = server.url.replace('127.0.0.1', 'insecure.test');
  const first = await openDatabaseTab(browser, url, 'letting go', { ownerTimeoutMs });
  await first.evaluate(async () => {
    await window.db.createSpace('kv', 'key-value');
    await window.db.put('k', 'kept', { space: 'kv' });
    await window.db.createSpace('much', 'vector', { dimension: 512, durability: 'none' });
  });
  const other = await openDatabaseTab(browser, url, 'letting go', { ownerTimeoutMs });
  assert.equal(await other.evaluate(() => window.db.get('k', { space: 'kv' })), 'kept');
  await first.evaluate(async () => {
    // Storing so much takes longer than the page has left.
    const ids = Array.from({ length: 50_000 }, (_, i) => i);
    await window.db.insertVectors(ids, new Float32Array(ids.length * 512).fill(1), { space: 'much' });
    window.db.close();
  });
  const waiting = other.evaluate(() => window.db.get('k', { space: 'kv' }));
  await first.close();
  assert.equal(await waiting, 'kept');
  await other.close();
});
