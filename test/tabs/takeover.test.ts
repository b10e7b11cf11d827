/**
 * One owner that is stopped, frozen, hidden or gone, step by step: who takes over, what each caller is told, and that an owner
 * which wakes up neither writes nor answers what is no longer so.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { BrowserSuite } from '../support/browser-suite.ts';
import { openDatabaseTab, placeOf } from '../support/database-tab.ts';
import { rendererOf } from '../support/renderer.ts';

const suite = new BrowserSuite();
const { skip } = suite;
const skipSignals =
  skip || (process.platform === 'linux' ? false : 'only Linux tells which process renders a page');
/** Chromium lets a process that is stopped in the middle of a transaction keep it for a minute. */
const timeout = 240_000;
/** The owner and another tab, with a space `kv` that both use. */
async function twoTabs(
  name: string,
  without = '',
  ownerTimeoutMs = 1000,
): Promise<[owner: Page, other: Page]> {
  const url = `${suite.url}?without=${without}`;
  const owner = await openDatabaseTab(suite.browser, url, name, { ownerTimeoutMs });
  await owner.evaluate(() => window.db.createSpace('kv', 'key-value'));
  const other = await openDatabaseTab(suite.browser, url, name, { ownerTimeoutMs });
  for (const page of [owner, other]) await page.evaluate(() => window.db.useSpace('kv'));
  return [owner, other];
}

/** What becomes of a call: its result as a string, or the code of its error. */
function outcome(page: Page, call: 'put' | 'get' | 'increment', value = ''): Promise<string> {
  return page.evaluate(
    ([call, value]) => {
      const { db } = window;
      const made = call === 'put' ? db.put('k', value) : call === 'get' ? db.get('k') : db.increment('n');
      return made.then(String, (error) => error.code as string);
    },
    [call, value] as const,
  );
}

for (const way of ['port', 'channel'] as const)
  test(`a stopped owner is followed over a ${way}; its waking changes nothing, and it reads what is so`, {
    skip: skipSignals,
    timeout,
  }, async () => {
    const [owner, other] = await twoTabs(`stopped ${way}`, way === 'port' ? '' : 'SharedWorker');
    const pid = await rendererOf(owner, suite.browser.group);
    assert.equal(await outcome(owner, 'put', 'before'), 'undefined');
    assert.equal(await placeOf(other), `client ${way} 1`);
    // The owner's page reads all the time: also in the moment after it wakes up, before it can know of the other.
    await owner.evaluate(() => {
      const reads: { atMs: number; value: unknown }[] = [];
      const reading = async (): Promise<never> => {
        for (;;) {
          const atMs = Date.now();
          reads.push({ atMs, value: await window.db.get('k') });
        }
      };
      for (let i = 0; i < 20; i++) reading();
      Object.assign(window, { reads });
    });
    process.kill(pid, 'SIGSTOP');
    // Sent to the owner that does not answer: one that changes nothing waits for the next, the other may have happened.
    const [read, written] = await Promise.all([outcome(other, 'get'), outcome(other, 'put', 'unknown')]);
    assert.equal(read, 'before');
    assert.equal(written, 'OUTCOME_UNKNOWN');
    assert.equal(await placeOf(other), 'owner worker 2');
    assert.equal(await outcome(other, 'put', 'after'), 'undefined');
    const writtenAtMs = Date.now();
    await sleep(100);
    process.kill(pid, 'SIGCONT');
    await owner.waitForFunction(async () => (await window.db.stats()).tabs?.epoch === 2);
    assert.equal(await placeOf(owner), `client ${way} 2`);
    // What lay in the former owner's mailbox was refused: it neither wrote nor answers.
    await sleep(300);
    assert.equal(await outcome(other, 'get'), 'after');
    assert.equal(await outcome(owner, 'get'), 'after');
    const stale = await owner.evaluate((afterMs) => {
      const { reads } = window as unknown as { reads: { atMs: number; value: unknown }[] };
      return reads.filter(({ atMs, value }) => atMs > afterMs && value !== 'after');
    }, writtenAtMs);
    assert.deepEqual(stale, []);
    await Promise.all([owner.close(), other.close()]);
  });

test('a killed owner is followed at once, without waiting for a silence', {
  skip: skipSignals,
  timeout,
}, async () => {
  const first = await openDatabaseTab(suite.browser, suite.url, 'killed', { ownerTimeoutMs: 60_000 });
  await first.evaluate(() => window.db.createSpace('kv', 'key-value'));
  const other = await openDatabaseTab(suite.browser, suite.url, 'killed', { ownerTimeoutMs: 60_000 });
  await first.evaluate(() => window.db.put('k', 'kept', { space: 'kv' }));
  process.kill(await rendererOf(first, suite.browser.group), 'SIGKILL');
  assert.equal(await other.evaluate(() => window.db.get('k', { space: 'kv', timeoutMs: 30_000 })), 'kept');
  assert.equal(await placeOf(other), 'owner worker 2');
  await Promise.all([first.close(), other.close()]);
});

test('an owner that computes for longer than it may be silent keeps the database', {
  skip,
  timeout,
}, async () => {
  const [owner, other] = await twoTabs('busy');
  await owner.evaluate(() => window.db.createSpace('vec', 'vector', { dimension: 256, indexType: 'Flat' }));
  // Its worker is held up by one search of many after the other, its page is not.
  await owner.evaluate(async () => {
    const vectors = Float32Array.from({ length: 20_000 * 256 }, (_, i) => Math.sin(i * i));
    await window.db.insertVectors(
      Array.from({ length: 20_000 }, (_, i) => i),
      vectors,
      { space: 'vec' },
    );
    for (let i = 0; i < 600; i++)
      window.db.searchTopK(vectors.subarray(i * 256, i * 256 + 256), 10, { space: 'vec' }).catch(() => {});
  });
  assert.equal(await outcome(other, 'increment'), '1');
  assert.equal(await placeOf(other), 'client port 1');
  await Promise.all([owner.close(), other.close()]);
});

test('an owner whose worker hangs for good is followed, though its page lives', {
  skip,
  timeout,
}, async () => {
  const [owner, other] = await twoTabs('hung', '', 500);
  assert.equal(await outcome(owner, 'put', 'kept'), 'undefined');
  const [worker] = owner.workers();
  worker
    ?.evaluate(() => {
      for (;;);
    })
    .catch(() => {});
  assert.equal(await outcome(other, 'get'), 'kept');
  assert.equal(await placeOf(other), 'owner worker 2');
  // Its own page, too, goes to the new owner.
  assert.equal(await outcome(owner, 'get'), 'kept');
  assert.equal(await placeOf(owner), 'client port 2');
  await Promise.all([owner.close(), other.close()]);
});

test('a page that goes into the back-forward cache hands over first, and is in line again when it is shown', {
  skip,
  timeout,
}, async () => {
  const [owner, other] = await twoTabs('hidden');
  // Every call that is under way comes to its end: nothing is unknown when an owner leaves in order.
  const counted = await other.evaluate(async () => {
    const numbers: Promise<unknown>[] = [];
    for (let i = 0; i < 500; i++) {
      numbers.push(window.db.increment('n').catch((error) => error.code));
      if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve));
    }
    return Promise.all(numbers);
  });
  assert.deepEqual(
    counted,
    Array.from({ length: 500 }, (_, i) => i + 1),
  );
  const counting = other.evaluate(async () => {
    const numbers: unknown[] = [];
    for (let i = 0; i < 300; i++) numbers.push(await window.db.increment('n').catch((error) => error.code));
    return numbers;
  });
  // Chromium keeps no page that holds a lock; what other browsers send such a page is sent here by hand.
  await owner.evaluate(() => {
    dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }));
  });
  assert.deepEqual(
    await counting,
    Array.from({ length: 300 }, (_, i) => 501 + i),
  );
  assert.equal(await placeOf(other), 'owner worker 2');
  await owner.evaluate(() => {
    dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
  });
  assert.equal(await outcome(owner, 'increment'), '801');
  await other.evaluate(() => window.db.close());
  assert.equal(await outcome(owner, 'increment'), '802');
  assert.equal(await placeOf(owner), 'owner worker 3');
  await Promise.all([owner.close(), other.close()]);
});

test('a page that is told of its freezing hands over first; thawed, it is a client that goes on', {
  skip,
  timeout,
}, async () => {
  const [owner, other] = await twoTabs('frozen', '', 60_000);
  assert.equal(await outcome(owner, 'put', 'kept'), 'undefined');
  const counting = other.evaluate(async () => {
    const numbers: unknown[] = [];
    while ((await window.db.stats()).tabs?.role !== 'owner' || numbers.length < 300)
      numbers.push(await window.db.increment('n').catch((error) => error.code));
    return numbers;
  });
  // Without a display Chromium freezes no page, whatever Page.setWebLifecycleState says (histories.test.ts stops processes), so
  // what it sends a page before is sent here by hand.
  await owner.evaluate(() => document.dispatchEvent(new Event('freeze')));
  // Nobody waits for the minute that an owner may be silent, and no outcome is unknown.
  const counted = await counting;
  assert.deepEqual(
    counted,
    counted.map((_, i) => i + 1),
  );
  assert.equal(await outcome(other, 'get'), 'kept');
  assert.equal(await placeOf(other), 'owner worker 2');
  await owner.evaluate(() => document.dispatchEvent(new Event('resume')));
  assert.equal(await outcome(owner, 'increment'), String(counted.length + 1));
  assert.equal(await placeOf(owner), 'client port 2');
  await Promise.all([owner.close(), other.close()]);
});

test('a scan does not go on as another one when the owner changes: it ends with a cursor', {
  skip,
  timeout,
}, async () => {
  const [owner, other] = await twoTabs('scans');
  await owner.evaluate(() =>
    window.db.putMany(Array.from({ length: 5000 }, (_, i) => ({ key: `k${10_000 + i}`, value: `${i}` }))),
  );
  await other.evaluate(async () => {
    const scan = window.db.scan({ prefix: 'k' });
    const entries = scan[Symbol.asyncIterator]();
    const keys = [(await entries.next()).value?.key];
    Object.assign(window, { scan, entries, keys });
  });
  await owner.close();
  const found = await other.evaluate(async () => {
    // A new scan gets the number that the former had with the former owner.
    const another = window.db.scan({ prefix: 'k14' })[Symbol.asyncIterator]();
    const first = (await another.next()).value?.key;
    const { scan, entries, keys } = window as unknown as {
      scan: ReturnType<typeof window.db.scan>;
      entries: AsyncIterator<{ key: string }>;
      keys: string[];
    };
    let code = '';
    try {
      for (let step = await entries.next(); !step.done; step = await entries.next())
        keys.push(step.value.key);
    } catch (error) {
      code = (error as { code: string }).code;
    }
    const { cursor } = scan;
    if (cursor !== undefined)
      for await (const { key } of window.db.scan({ prefix: 'k', cursor })) keys.push(key);
    return { first, code, keys };
  });
  assert.equal(found.first, 'k14000');
  assert.equal(found.code, 'SNAPSHOT_LOST');
  assert.deepEqual(
    found.keys,
    Array.from({ length: 5000 }, (_, i) => `k${10_000 + i}`),
  );
  await other.close();
});
