/**
 * Who may write to IndexedDB: the last one that opened it. Real Chromium, the backend alone, without an engine above it.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrowserSuite } from '../support/browser-suite.ts';

const suite = new BrowserSuite();
const { skip } = suite;
const timeout = 90_000;
test('two writing transactions never run side by side: a kill would make the browser drop the store', {
  skip,
  timeout,
}, async () => {
  const page = await suite.newPage();
  // In a worker nobody could look: here it is the page that writes, with all there is at once.
  const scopes = await page.evaluate(async () => {
    const { IndexedDbBackend } = window.tests;
    const seen: string[][] = [];
    const { transaction } = IDBDatabase.prototype;
    IDBDatabase.prototype.transaction = function (stores, mode, options) {
      if (mode === 'readwrite') seen.push([stores].flat() as string[]);
      return transaction.call(this, stores, mode, options);
    };
    const backend = await IndexedDbBackend.open('one writer', { timeoutMs: 10_000 });
    const bytes = (): Uint8Array => new Uint8Array(8);
    await Promise.all([
      backend.append([{ space: 1, sequence: 1, bytes: bytes() }], true),
      backend.writeBlocks(1, [{ block: 7, generation: 1, bytes: bytes() }]),
      backend.publish(1, bytes()),
      backend.flush(),
      backend.drop(1, [{ block: 7, generation: 1 }], 2),
      backend.writeCatalog(bytes(), [1]),
    ]);
    backend.close();
    IDBDatabase.prototype.transaction = transaction;
    return seen;
  });
  assert.ok(scopes.length >= 7, `${scopes.length} transactions`);
  for (const scope of scopes)
    assert.ok(scope.includes('state'), `a transaction over ${scope} shares nothing`);
});

test('every write of a former owner is refused and leaves no trace, whatever kind it is', {
  skip,
  timeout,
}, async () => {
  const page = await suite.newPage();
  const found = await page.evaluate(async () => {
    const { IndexedDbBackend } = window.tests;
    const outcome = (call: Promise<unknown>): Promise<string> =>
      call.then(
        () => 'done',
        (error) => error.code,
      );
    const entry = (sequence: number) => ({ space: 1, sequence, bytes: new Uint8Array([sequence]) });
    const block = (generation: number) => ({ block: 7, generation, bytes: new Uint8Array([generation]) });

    const attempts: [
      string,
      (backend: Awaited<ReturnType<typeof IndexedDbBackend.open>>) => Promise<void>,
    ][] = [
      ['append', (backend) => backend.append([entry(2)], true)],
      ['flush', (backend) => backend.flush()],
      ['writeBlocks', (backend) => backend.writeBlocks(1, [block(2)])],
      ['publish', (backend) => backend.publish(1, new Uint8Array([2]))],
      ['drop', (backend) => backend.drop(1, [block(1)], 2)],
      ['writeCatalog', (backend) => backend.writeCatalog(new Uint8Array([2]), [1])],
      ['confirm', (backend) => backend.confirm()],
    ];
    const outcomes: string[] = [];
    for (const [name, attempt] of attempts) {
      const database = `fence ${name}`;
      const former = await IndexedDbBackend.open(database, { timeoutMs: 10_000 });
      await former.append([entry(1)], false);
      await former.writeBlocks(1, [block(1)]);
      await former.publish(1, new Uint8Array([1]));
      await former.writeCatalog(new Uint8Array([1]), []);
      await former.confirm();
      const ends: string[] = [];
      former.onEnd = ({ kind }) => ends.push(kind);
      const owner = await IndexedDbBackend.open(database, { timeoutMs: 10_000 });
      outcomes.push(
        `${name}: ${await outcome(attempt(former))}, again ${await outcome(attempt(former))}, ${ends}`,
      );
      const state = await owner.readState();
      const left = [
        ...(state.catalog ?? []),
        ...(state.manifests.get(1) ?? []),
        ...(await owner.readLog(1, 0)).flatMap(({ bytes }) => [...bytes]),
        ...(await owner.listBlocks(1)).map(({ generation }) => generation),
      ];
      outcomes.push(
        `${left} epochs ${former.epoch} ${owner.epoch}, the owner's append: ${await outcome(owner.append([entry(2)], true))}`,
      );
      owner.close();
    }
    return outcomes;
  });
  for (let i = 0; i < found.length; i += 2) {
    assert.match(found[i] ?? '', /^\w+: NOT_OWNER, again NOT_OWNER, fenced$/);
    assert.equal(found[i + 1], "1,1,1,1 epochs 1 2, the owner's append: done");
  }
  assert.equal(found.length, 14);
  await page.close();
});

test('writes that wait behind a takeover are refused, those before it are there for the new owner', {
  skip,
  timeout,
}, async () => {
  const page = await suite.newPage();
  const wrong = await page.evaluate(async () => {
    const { IndexedDbBackend } = window.tests;
    const faults: string[] = [];
    for (let round = 0; round < 30; round++) {
      const former = await IndexedDbBackend.open('race', { timeoutMs: 10_000 });
      const done = new Set<number>();
      let next = 0;
      const write = async (): Promise<void> => {
        for (;;) {
          const i = next++;
          const entry = { space: round, sequence: i, bytes: new Uint8Array([i]) };
          try {
            await former.append([entry], i % 2 === 0);
            done.add(i);
          } catch (error) {
            const { code } = error as { code: string };
            if (code !== 'NOT_OWNER') faults.push(code);
            return;
          }
        }
      };
      // Until they are refused.
      const writes = Array.from({ length: 8 }, write);
      const owner = await IndexedDbBackend.open('race', { timeoutMs: 10_000 });
      const seen = new Set((await owner.readLog(round, 0)).map(({ sequence }) => sequence));
      await Promise.all(writes);
      const later = new Set((await owner.readLog(round, 0)).map(({ sequence }) => sequence));
      for (const i of done)
        if (!seen.has(i)) faults.push(`${i} was acknowledged, the new owner did not see it`);
      for (const i of later) if (!seen.has(i)) faults.push(`${i} was written after the takeover`);
      owner.close();
    }
    return faults;
  });
  assert.deepEqual(wrong, []);
  await page.close();
});

test('a database that was deleted under its owner is not made anew behind its back', {
  skip,
  timeout,
}, async () => {
  const page = await suite.newPage();
  const found = await page.evaluate(async () => {
    const { IndexedDbBackend, deleteIndexedDb } = window.tests;
    const owner = await IndexedDbBackend.open('deleted', { timeoutMs: 10_000 });
    const ends: string[] = [];
    owner.onEnd = ({ kind, reason }) => ends.push(`${kind}: ${reason}`);
    await deleteIndexedDb('deleted', 10_000);
    const append = await owner.append([], true).catch((error) => error.code);
    const again = await IndexedDbBackend.open('deleted', {
      timeoutMs: 10_000,
      known: { epoch: owner.epoch, identity: owner.identity },
    }).catch((error) => error.code);
    const names = (await indexedDB.databases()).map(({ name }) => name);
    const anew = await IndexedDbBackend.open('deleted', { timeoutMs: 10_000 });
    const { epoch } = anew;
    anew.close();
    return { ends, append, again, left: names.includes('shibumi:deleted'), epoch };
  });
  assert.deepEqual(found, {
    ends: ['versionchange: another page deleted it'],
    append: 'NOT_OWNER',
    again: 'STORAGE_LOST',
    left: false,
    epoch: 1,
  });
  await page.close();
});

test('data cleared by the browser ends the connection with an event, and every later call', {
  skip,
  timeout,
}, async () => {
  const page = await suite.newPage();
  await page.evaluate(async () => {
    const owner = await window.tests.IndexedDbBackend.open('cleared', { timeoutMs: 10_000 });
    const ends: string[] = [];
    owner.onEnd = ({ kind }) => ends.push(kind);
    Object.assign(window, { owner, ends });
  });
  const devTools = await page.context().newCDPSession(page);
  await devTools.send('Storage.clearDataForOrigin', {
    origin: new URL(suite.url).origin,
    storageTypes: 'indexeddb',
  });
  await page.waitForFunction(() => (window as unknown as { ends: string[] }).ends.length > 0);
  const found = await page.evaluate(async () => {
    const { owner, ends } = window as unknown as {
      owner: Awaited<ReturnType<typeof window.tests.IndexedDbBackend.open>>;
      ends: string[];
    };
    const code = (call: Promise<unknown>): Promise<string> =>
      call.then(
        () => 'done',
        (error) => error.code,
      );
    const { IndexedDbBackend } = window.tests;
    return {
      ends,
      write: await code(owner.flush()),
      read: await code(owner.readState()),
      again: await code(
        IndexedDbBackend.open('cleared', {
          timeoutMs: 10_000,
          known: { epoch: 1, identity: owner.identity },
        }),
      ),
    };
  });
  assert.deepEqual(found, { ends: ['closed'], write: 'NOT_OWNER', read: 'NOT_OWNER', again: 'STORAGE_LOST' });
  await page.close();
});

test('a transaction that is to begin on a connection which is gone (InvalidStateError) ends it; another sees what was acknowledged', {
  skip,
  timeout,
}, async () => {
  const page = await suite.newPage();
  const found = await page.evaluate(async () => {
    const { IndexedDbBackend } = window.tests;
    const made: IDBDatabase[] = [];
    const { transaction } = IDBDatabase.prototype;
    IDBDatabase.prototype.transaction = function (...given) {
      if (!made.includes(this)) made.push(this);
      return transaction.apply(this, given);
    };
    const owner = await IndexedDbBackend.open('gone', { timeoutMs: 10_000 });
    const ends: string[] = [];
    owner.onEnd = ({ kind }) => ends.push(kind);
    await owner.append([{ space: 1, sequence: 1, bytes: new Uint8Array([7]) }], true);
    // Behind the backend's back: the next transaction() throws, and no event tells why.
    for (const connection of made) connection.close();
    const code = (call: Promise<unknown>): Promise<string> =>
      call.then(
        () => 'done',
        (error) => error.code,
      );
    const write = await code(owner.append([{ space: 1, sequence: 2, bytes: new Uint8Array([8]) }], true));
    const read = await code(owner.readState());
    IDBDatabase.prototype.transaction = transaction;
    const next = await IndexedDbBackend.open('gone', {
      timeoutMs: 10_000,
      known: { epoch: 1, identity: owner.identity },
    });
    const log = await next.readLog(1, 1);
    next.close();
    return { ends, write, read, log: log.map(({ bytes }) => [...bytes]) };
  });
  assert.deepEqual(found, { ends: ['closed'], write: 'NOT_OWNER', read: 'NOT_OWNER', log: [[7]] });
  await page.close();
});

test('a database of a later layout is refused, not misread', { skip, timeout }, async () => {
  const page = await suite.newPage();
  const code = await page.evaluate(async () => {
    const later = indexedDB.open('shibumi:later', 1000);
    await new Promise((resolve) => {
      later.onsuccess = resolve;
    });
    later.result.close();
    return window.tests.IndexedDbBackend.open('later', { timeoutMs: 10_000 }).catch((error) => error.code);
  });
  assert.equal(code, 'VERSION_MISMATCH');
  await page.close();
});
