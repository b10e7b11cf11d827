/**
 * The life of a database in a page: reloading, a second page, a worker that dies, a core that is not there.
 *
 * Real Chromium, real IndexedDB, the page as an application would build it.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrowserSuite, ready } from '../support/browser-suite.ts';

const suite = new BrowserSuite();
const { skip } = suite;
const timeout = 90_000;
test('a reload keeps keys, vectors and the linked graph, and links nothing again', {
  skip,
  timeout,
}, async () => {
  const page = await suite.newPage();
  const before = await page.evaluate(async () => {
    const db = await window.tests.open('reload');
    await db.createSpace('kv', 'key-value');
    await db.put('text', 'kept 😀', { space: 'kv' });
    await db.put('bytes', new Uint8Array([0, 255]), { space: 'kv' });
    await db.createSpace('vec', 'vector', { dimension: 8, indexType: 'HNSW8', ids: 'string' });
    const ids = Array.from({ length: 2000 }, (_, i) => `id ${i}`);
    const vectors = Float32Array.from({ length: 2000 * 8 }, (_, i) => Math.sin(i * i));
    await db.insertVectors(ids, vectors, { space: 'vec' });
    await db.waitForIndex({ space: 'vec' });
    await db.checkpoint();
    // Neither closed nor waited for: this is in the log alone.
    await db.put('late', 'kept too', { space: 'kv' });
    return db.searchTopK(vectors.subarray(80, 88), 5, { space: 'vec' });
  });
  await page.reload();
  await ready(page);
  const after = await page.evaluate(async () => {
    const db = await window.tests.open('reload');
    const { index } = await db.describeSpace('vec');
    const query = Float32Array.from({ length: 8 }, (_, i) => Math.sin((80 + i) ** 2));
    const answer = {
      index,
      spaces: (await db.listSpaces()).map(({ name }) => name),
      text: await db.get('text', { space: 'kv' }),
      bytes: [...((await db.get('bytes', { space: 'kv' })) as Uint8Array)],
      late: await db.get('late', { space: 'kv' }),
      hits: await db.searchTopK(query, 5, { space: 'vec' }),
    };
    await db.close();
    return answer;
  });
  assert.deepEqual(after, {
    index: { linked: 2000, pending: 0 },
    spaces: ['kv', 'vec'],
    text: 'kept 😀',
    bytes: [0, 255],
    late: 'kept too',
    hits: before,
  });
  assert.equal(after.hits[0]?.id, 'id 10');
  await page.close();
});

test('a database that another page has open is not deleted: LOCKED after timeoutMs, until that page lets go', {
  skip,
  timeout,
}, async () => {
  const first = await suite.newPage();
  const second = await suite.newPage();
  await first.evaluate(async () => {
    const db = await window.tests.open('shared');
    await db.createSpace('kv', 'key-value');
    await db.put('k', 'v', { space: 'kv' });
  });
  const refused = await second.evaluate(async () => {
    const from = performance.now();
    const outcome = await window.tests.deleteDatabase('shared', { timeoutMs: 300 }).then(
      () => 'done',
      (error) => `${error.name} ${error.code}`,
    );
    return { outcome, elapsedMs: performance.now() - from };
  });
  assert.equal(refused.outcome, 'ConnectionError LOCKED');
  assert.ok(refused.elapsedMs >= 290 && refused.elapsedMs < 10_000, `it took ${refused.elapsedMs} ms`);
  // The second page waits; the first is closed without closing its database.
  const waiting = second.evaluate(async () => {
    await window.tests.deleteDatabase('shared', { timeoutMs: 30_000 });
    const db = await window.tests.open('shared');
    const spaces = await db.listSpaces();
    await db.close();
    return spaces;
  });
  await first.close();
  assert.deepEqual(await waiting, []);
  await second.close();
});

test("a worker of the page's own that is terminated fails every open call and every later one with WORKER_LOST", {
  skip,
  timeout,
}, async () => {
  const page = await suite.newPage();
  const outcomes = await page.evaluate(async () => {
    const worker = window.tests.spawnWorker();
    const db = await window.tests.open('terminated', { worker });
    await db.createSpace('kv', 'key-value');
    await db.createSpace('vec', 'vector', { dimension: 256, indexType: 'HNSW32', efConstruction: 800 });
    await db.put('k', 'v', { space: 'kv' });
    const vectors = Float32Array.from({ length: 6000 * 256 }, (_, i) => Math.sin(i * i));
    const ids = Array.from({ length: 6000 }, (_, i) => i);
    await db.insertVectors(ids, vectors, { space: 'vec' });
    // Linking so many takes far longer than this test waits.
    const open = [
      db.waitForIndex({ space: 'vec' }),
      db.waitForIndex({ space: 'vec', timeoutMs: 60_000 }),
      db.space('vec').waitForIndex({ signal: new AbortController().signal }),
    ];
    worker.terminate();
    const code = (call: Promise<unknown>): Promise<string> =>
      call.then(
        () => 'done',
        (error) => `${error.name} ${error.code}`,
      );
    const outcomes = await Promise.all(open.map(code));
    outcomes.push(await code(db.get('k', { space: 'kv' })), await code(db.listSpaces()));
    await db.close().catch(() => {});
    const again = await window.tests.open('terminated');
    outcomes.push(String(await again.get('k', { space: 'kv' })));
    outcomes.push(String(await again.countVectors({ space: 'vec' })));
    await again.close();
    return outcomes;
  });
  const lost = 'ConnectionError WORKER_LOST';
  assert.deepEqual(outcomes, [lost, lost, lost, lost, lost, 'v', '6000']);
  await page.close();
});

test('open refuses what it does not know, and says what is wrong with a core that is not there', {
  skip,
  timeout,
}, async () => {
  const page = await suite.newPage();
  const outcomes = await page.evaluate(async (url) => {
    const { open } = window.tests;
    const untyped = (value: unknown): never => value as never;
    const calls = [
      open(''),
      open('n'.repeat(256)),
      open(untyped(7)),
      open('bad', untyped({ Build: 'relaxed' })),
      open('bad', untyped({ build: 'avx' })),
      open('bad', untyped({ storage: 'disk' })),
      open('bad', { openTimeoutMs: Number.NaN }),
      open('bad', { openTimeoutMs: -1 }),
      open('missing', { wasm: new URL('missing.wasm', url), openTimeoutMs: 2000 }),
      open('page', { wasm: url, openTimeoutMs: 2000 }),
    ];
    return Promise.all(
      calls.map((call) =>
        call.then(
          () => 'opened',
          (error) => `${error.name} ${error.code}: ${error.message}`,
        ),
      ),
    );
  }, suite.url);
  for (const outcome of outcomes.slice(0, 8)) assert.match(outcome, /^QueryError INVALID_ARGUMENT/);
  assert.match(outcomes[8] ?? '', /^ShibuDbError|^ConnectionError/);
  assert.match(outcomes[8] ?? '', /WASM_UNAVAILABLE.*missing\.wasm.*404/);
  assert.match(outcomes[9] ?? '', /^ShibuDbError|^ConnectionError/);
  // What failed to open holds nothing: the same names open now.
  for (const name of ['bad', 'missing', 'page'])
    await page.evaluate(async (db) => (await window.tests.open(db, { openTimeoutMs: 2000 })).close(), name);
  await page.close();
});

test('pages of one origin have separate databases under separate names', { skip, timeout }, async () => {
  const pages = await Promise.all([suite.newPage(), suite.newPage()]);
  const values = await Promise.all(
    pages.map((page, i) =>
      page.evaluate(async (name) => {
        const db = await window.tests.open(name);
        await db.createSpace('kv', 'key-value');
        await db.put('k', name, { space: 'kv' });
        const value = await db.get('k', { space: 'kv' });
        await db.close();
        return value;
      }, `separate ${i}`),
    ),
  );
  assert.deepEqual(values, ['separate 0', 'separate 1']);
  for (const page of pages) await page.close();
});

test('the browser is asked to keep the data once there is some, once a page, and not when told not to', {
  skip,
  timeout,
}, async () => {
  const page = await suite.newPage();
  const asked = await page.evaluate(async () => {
    let count = 0;
    navigator.storage.persist = async () => {
      count++;
      return true;
    };
    const seen: number[] = [];
    let stats: Awaited<ReturnType<typeof window.db.stats>> | undefined;
    const run = async (name: string, options: Parameters<typeof window.tests.open>[1]): Promise<void> => {
      await using db = await window.tests.open(name, options);
      seen.push(count);
      await db.createSpace('kv', 'key-value');
      seen.push(count);
      stats = await db.stats();
    };
    await run('persist memory', { storage: 'memory' });
    await run('persist not', { persist: false });
    await run('persist', {});
    await run('persist again', {});
    return { seen, stats };
  });
  assert.deepEqual(asked.seen, [0, 0, 0, 0, 0, 1, 1, 1]);
  const { usageBytes = 0, quotaBytes = 0, persisted } = asked.stats ?? {};
  assert.ok(usageBytes > 0 && quotaBytes > usageBytes, `${usageBytes} of ${quotaBytes} bytes`);
  assert.equal(typeof persisted, 'boolean');
  await page.close();
});

test('a storage that is full and a space that is damaged are told as events', { skip, timeout }, async () => {
  const page = await suite.browser.newPage();
  const session = await page.context().newCDPSession(page);
  // A site of its own, and before it is opened: Chromium keeps what it once learned about free room for a while.
  const url = new URL(suite.url);
  url.hostname = 'full.localhost';
  const { origin } = url;
  await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 1_500_000 });
  await page.goto(url.href);
  await ready(page);
  await page.evaluate(async () => {
    const db = await window.tests.open('told');
    await db.createSpace('kv', 'key-value');
    await db.put('k', 'v', { space: 'kv' });
    await db.checkpoint();
    const told: unknown[] = [];
    db.addEventListener('quota', ({ detail }) => told.push(detail));
    // The engine is asked for events by a call of its own: it listens from the answer to the next one on.
    await db.listSpaces();
    Object.assign(window, { db, told });
  });
  const full = await page.evaluate(async () => {
    const { db, told } = window as unknown as { db: typeof window.db; told: Record<string, unknown>[] };
    // Chromium compresses what it stores: only noise takes room.
    const big = new Uint8Array(4 * 1024 * 1024);
    for (let at = 0; at < big.length; at += 65_536) crypto.getRandomValues(big.subarray(at, at + 65_536));
    const code = await db.put('big', big, { space: 'kv' }).then(
      () => 'stored',
      (error) => error.code as string,
    );
    for (let i = 0; i < 500 && told.length === 0; i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    return { code, told: told[0] };
  });
  await session.send('Storage.overrideQuotaForOrigin', { origin });
  assert.equal(full.code, 'QUOTA_EXCEEDED');
  assert.equal(typeof full.told?.quotaBytes, 'number');
  assert.equal(typeof full.told?.usageBytes, 'number');

  const damaged = await page.evaluate(async () => {
    await window.db.close();
    // Every stored block of the space, one bit each.
    const idb = await new Promise<IDBDatabase>((resolve, reject) => {
      const opening = indexedDB.open('shibumi:told');
      opening.onsuccess = () => resolve(opening.result);
      opening.onerror = () => reject(opening.error);
    });
    let blocks = 0;
    await new Promise<void>((resolve, reject) => {
      const transaction = idb.transaction('blocks', 'readwrite');
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      const walking = transaction.objectStore('blocks').openCursor();
      walking.onsuccess = () => {
        const cursor = walking.result;
        if (cursor === null) return;
        const value = cursor.value as ArrayBuffer | Uint8Array;
        const bytes = value instanceof Uint8Array ? value : new Uint8Array(value);
        bytes[0] = (bytes[0] as number) ^ 1;
        cursor.update(cursor.value);
        blocks++;
        cursor.continue();
      };
    });
    idb.close();
    const db = await window.tests.open('told');
    const told: { space?: string; message: string }[] = [];
    db.addEventListener('corruption', ({ detail }) => told.push(detail));
    await db.listSpaces();
    const code = await db.get('k', { space: 'kv' }).catch((error) => error.code as string);
    for (let i = 0; i < 500 && told.length === 0; i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await db.close();
    return { blocks, code, space: told[0]?.space };
  });
  assert.ok(damaged.blocks > 0);
  assert.deepEqual({ code: damaged.code, space: damaged.space }, { code: 'CORRUPTION', space: 'kv' });
});
