/**
 * Encryption at rest in a real Chromium: what IndexedDB holds, who may have a connection, what a takeover needs, and the cases
 * of the conformance suite that have to do with storage.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { Encryption } from 'shibumi';
import { storageCases } from '../conformance/suite.ts';
import { Chromium, missingPart } from '../support/chromium.ts';
import { type PageServer, serveTestPage } from '../support/test-page.ts';

const skip = missingPart() ?? false;
const timeout = 120_000;
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

async function newPage(query = ''): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(`${server.url}${query}`);
  await page.waitForFunction(() => window.tests !== undefined);
  return page;
}

/** Opens a database as `window.db`; resolves with `opened`, or with the name and code of the error. */
function openIn(page: Page, name: string, encryption?: Encryption): Promise<string> {
  return page.evaluate(
    async ([name, encryption]) => {
      try {
        const db = await window.tests.open(name, encryption === undefined ? {} : { encryption });
        Object.assign(window, { db });
        return 'opened';
      } catch (error) {
        const { name, code } = error as { name: string; code: string };
        return `${name} ${code}`;
      }
    },
    [name, encryption] as const,
  );
}

const first = { password: 'first password' };
const second = { password: 'second password' };
const wrongSecret = 'AuthenticationError INVALID_CREDENTIALS';

test('tabs: a wrong password gets no connection, and a takeover needs none again, even after a change', {
  skip,
  timeout,
}, async () => {
  const name = 'tabs';
  const [owner, client, stranger] = [await newPage(), await newPage(), await newPage()];
  assert.equal(await openIn(owner, name, first), 'opened');
  await owner.evaluate(() => window.db.createSpace('kv', 'key-value'));
  assert.equal(await openIn(stranger, name, { password: 'first passwort' }), wrongSecret);
  assert.equal(await openIn(stranger, name), 'ShibuDbError ENCRYPTED');
  assert.equal(await openIn(client, name, first), 'opened');
  await client.evaluate(() => window.db.put('k', 'v', { space: 'kv' }));
  const { tabs, encrypted } = await client.evaluate(() => window.db.stats());
  assert.deepEqual([tabs?.role, tabs?.way, encrypted], ['client', 'port', true]);

  await client.evaluate((secrets) => window.db.changeEncryption(...secrets), [first, second] as const);
  assert.equal(await openIn(stranger, name, first), wrongSecret);
  await owner.close();
  assert.equal(await client.evaluate(() => window.db.get('k', { space: 'kv' })), 'v');
  assert.equal((await client.evaluate(() => window.db.stats())).tabs?.role, 'owner');
  await client.evaluate(() => window.db.put('k', 'w', { space: 'kv' }));
  assert.equal(await openIn(stranger, name, first), wrongSecret);
  assert.equal(await openIn(stranger, name, second), 'opened');
  assert.equal(await stranger.evaluate(() => window.db.get('k', { space: 'kv' })), 'w');
  await client.close();
  await stranger.evaluate(() => window.db.close());
  assert.equal(await openIn(stranger, name, first), wrongSecret);
  assert.equal(await openIn(stranger, name), 'ShibuDbError ENCRYPTED');
  assert.equal(await openIn(stranger, name, second), 'opened');
  await stranger.close();
});

test('of two pages that make a database at the same moment with different secrets one has it, the other is told', {
  skip,
  timeout,
}, async () => {
  for (const [i, secrets] of [
    [first, second],
    [first, undefined],
  ].entries()) {
    const pages = [await newPage(), await newPage()];
    const outcomes = await Promise.all(pages.map((page, at) => openIn(page, `race ${i}`, secrets[at])));
    const [lost] = outcomes.filter((outcome) => outcome !== 'opened');
    assert.equal(outcomes.filter((outcome) => outcome === 'opened').length, 1, outcomes.join(', '));
    const expected = i === 0 ? [wrongSecret] : ['ShibuDbError ENCRYPTED', 'ShibuDbError NOT_ENCRYPTED'];
    assert.ok(expected.includes(lost as string), lost);
    for (const page of pages) await page.close();
  }
});

test('IndexedDB holds nothing of the data in plain: under a password, or under a key that cannot be extracted', {
  skip,
  timeout,
}, async () => {
  const page = await newPage();
  const found = await page.evaluate(async () => {
    const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, [
      'wrapKey',
      'unwrapKey',
    ]);
    const needles = ['needle key', 'needle value', 'needle space', 'needle user', 'needle text', 'nextId'];
    const vector = Float32Array.from({ length: 8 }, (_, i) => 0.123 * (i + 1));
    const result: Record<string, string[]> = {};
    for (const [name, options] of [
      ['plain', {}],
      ['password', { encryption: { password: 'pw' } }],
      ['key', { encryption: { key } }],
    ] as const) {
      const db = await window.tests.open(`needles ${name}`, options);
      await db.createSpace('needle space', 'key-value');
      await db.createSpace('vec', 'vector', { dimension: 8 });
      await db.put('needle key', 'needle value', { space: 'needle space' });
      await db.put('large', 'needle text '.repeat(50_000), { space: 'needle space' });
      await db.insertVector(1, vector, { space: 'vec' });
      await db.checkpoint();
      await db.put('needle key 2', 'needle value', { space: 'needle space' });
      await db.createUser({ username: 'needle user', password: 'pw', role: 'admin' });
      const idb = await new Promise<IDBDatabase>((resolve, reject) => {
        const request = indexedDB.open(`shibumi:needles ${name}`);
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
      const tx = idb.transaction(idb.objectStoreNames);
      const all = await Promise.all(
        [...idb.objectStoreNames].map(
          (store) =>
            new Promise<Uint8Array[]>((resolve) => {
              const request = tx.objectStore(store).getAll();
              request.onsuccess = () => resolve(request.result);
            }),
        ),
      );
      idb.close();
      const text = all
        .flat()
        .map((bytes) => new TextDecoder('latin1').decode(bytes))
        .join('|');
      const components = new TextDecoder('latin1').decode(vector.subarray(2, 5));
      result[name] = [...needles, components].filter((needle) => text.includes(needle));
      await db.close();
    }
    return result;
  });
  assert.equal(found.plain?.length, 7, 'the search finds them where they are');
  assert.deepEqual([found.password, found.key], [[], []]);
  await page.close();
});

test('conformance in Chromium, encrypted', { skip, timeout: timeout * 2 }, async (t) => {
  const page = await newPage('?build=relaxed&storage=indexeddb&encrypted');
  for (const { name } of storageCases.filter((entry) => entry.reopens))
    await t.test(name, { timeout }, async () => {
      assert.equal(await page.evaluate((one) => window.tests.runCase(one), name), undefined);
    });
  await page.close();
});
