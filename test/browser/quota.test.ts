/**
 * A real quota, used up to the last byte by small writes, in a real Chromium over both of its IndexedDB stores: what was acknowledged
 * is there, nothing is half-written, reads go on, deletions work although they have to be written first, and make room for
 * writes again.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { Chromium, missingPart } from '../support/chromium.ts';
import { type PageServer, serveTestPage } from '../support/test-page.ts';

const skip = missingPart() ?? false;
const timeout = 240_000;
const stores = {
  LevelDB: [],
  SQLite: ['--enable-features=IdbSqliteBackingStore,IdbSqliteOnDiskRollout'],
};

declare global {
  interface Window {
    /** The number that a value begins with. */
    keyIn(value: unknown): number;
  }
}

let server: PageServer;

before(async () => {
  if (!skip) server = await serveTestPage();
});

after(() => server?.close());

async function withQuota(
  flags: readonly string[],
  quotaSize: number,
  body: (page: Page) => Promise<void>,
): Promise<void> {
  const browser = await Chromium.launch(undefined, flags);
  try {
    const page = await browser.newPage();
    const session = await page.context().newCDPSession(page);
    // Before the page opens: Chromium keeps what it once learned about free room for a while.
    const origin = new URL(server.url).origin;
    await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize });
    await page.addInitScript(() => {
      window.keyIn = (value) =>
        value instanceof Uint8Array ? new DataView(value.buffer, value.byteOffset).getUint32(0) : -1;
    });
    await page.goto(server.url);
    await page.waitForFunction(() => window.tests !== undefined);
    await body(page);
  } finally {
    await browser.discard();
  }
}

/** Puts values of falling sizes until not even the smallest finds room; resolves with how many keys were acknowledged. */
function fill(
  page: Page,
): Promise<{ keys: number; error: { code: string; usage: boolean; quota: boolean } }> {
  return page.evaluate(async () => {
    const db = await window.tests.open('full');
    Object.assign(window, { db });
    await db.createSpace('kv', 'key-value');
    await db.useSpace('kv');
    await db.createSpace('other', 'key-value');
    // Random, because browsers compress what they store.
    const value = (key: number, bytes: number): Uint8Array => {
      const random = crypto.getRandomValues(new Uint8Array(bytes));
      new DataView(random.buffer).setUint32(0, key);
      return random;
    };
    await db.put('large', value(0, 60_000), { space: 'other' });
    let keys = 0;
    let error = { code: '', usage: false, quota: false };
    const told = ({ code, details }: { code: string; details: Record<string, unknown> }): typeof error => ({
      code,
      usage: typeof details.usageBytes === 'number',
      quota: typeof details.quotaBytes === 'number',
    });
    for (const [count, bytes] of [
      [200, 2000],
      [10, 2000],
      [1, 500],
      [1, 10],
    ] as const)
      for (let isFull = false; !isFull; ) {
        const entries = Array.from({ length: count }, (_, i) => ({
          key: `${keys + i}`,
          value: value(keys + i, bytes),
        }));
        try {
          await db.putMany(entries);
          keys += count;
        } catch (thrown) {
          error = told(thrown as never);
          isFull = true;
        }
      }
    return { keys, error };
  });
}

for (const [store, flags] of Object.entries(stores))
  test(`a full quota over ${store}: reads go on, deletions make room, writes succeed again`, {
    skip,
    timeout,
  }, async () => {
    await withQuota(flags, 14_000_000, async (page) => {
      const { keys, error } = await fill(page);
      assert.deepEqual(error, { code: 'QUOTA_EXCEEDED', usage: true, quota: true });
      assert.ok(keys > 3000, `${keys} keys`);
      // What was refused is not there, all else is.
      const seen = await page.evaluate(async (keys) => {
        const { db } = window;
        const values = await db.getMany(Array.from({ length: keys + 1 }, (_, i) => `${i}`));
        const right = values.slice(0, keys).every((value, i) => window.keyIn(value) === i);
        return { size: await db.size(), right, next: values[keys] };
      }, keys);
      assert.deepEqual(seen, { size: keys, right: true, next: undefined });

      // A put and a delete of one moment: there is room kept for the one, not for the other.
      const together = await page.evaluate(async () => {
        const results = await Promise.allSettled([
          window.db.put('new', crypto.getRandomValues(new Uint8Array(50_000))),
          window.db.delete('0'),
        ]);
        return results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code));
      });
      assert.deepEqual(together, ['QUOTA_EXCEEDED', true]);

      const kept = Math.ceil(keys / 20);
      await page.evaluate(
        async ([from, to]) => {
          for (let at = from; at < to; at += 200)
            await window.db.deleteMany(Array.from({ length: Math.min(200, to - at) }, (_, i) => `${at + i}`));
        },
        [kept, keys] as const,
      );
      assert.equal(await page.evaluate(() => window.db.size()), kept - 1);

      // In the background what is left is stored anew and the rest dropped; then there is room for more than was kept for it.
      const written = await page.evaluate(async (mostMs) => {
        const { db } = window;
        const untilMs = performance.now() + mostMs;
        let count = 0;
        while (count < 40 && performance.now() < untilMs)
          await db.put(`again ${count}`, crypto.getRandomValues(new Uint8Array(60_000))).then(
            () => count++,
            () => new Promise((resolve) => setTimeout(resolve, 250)),
          );
        return count;
      }, 120_000);
      assert.equal(written, 40);

      await page.reload();
      await page.waitForFunction(() => window.tests !== undefined);
      const after = await page.evaluate(async (kept) => {
        const db = await window.tests.open('full');
        await db.useSpace('kv');
        const values = await db.getMany(Array.from({ length: kept }, (_, i) => `${i}`));
        const right = values.every((value, i) => (i === 0 ? value === undefined : window.keyIn(value) === i));
        const large = (await db.get('large', { space: 'other' })) as Uint8Array;
        return { size: await db.size(), right, large: large.length, ok: (await db.verify()).ok };
      }, kept);
      assert.deepEqual(after, { size: kept - 1 + 40, right: true, large: 60_000, ok: true });
    });
  });

test('at a full quota a space is deleted or cleared at once, and its room is there for others', {
  skip,
  timeout,
}, async () => {
  await withQuota([], 12_000_000, async (page) => {
    await fill(page);
    const outcome = await page.evaluate(async () => {
      const { db } = window;
      await db.clear({ space: 'other' });
      await db.deleteSpace('kv');
      await db.createSpace('next', 'key-value');
      for (let i = 0; i < 50; i++)
        await db.put(`${i}`, crypto.getRandomValues(new Uint8Array(60_000)), { space: 'next' });
      return { size: await db.size({ space: 'next' }), ok: (await db.verify()).ok };
    });
    assert.deepEqual(outcome, { size: 50, ok: true });
  });
});
