/**
 * Goal: a worker that dies takes nothing with it but itself. Method: the worker of a database is ended in each way there
 * is while calls of every kind are open; in real Chromium, because only a real worker dies for real.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrowserSuite } from '../support/browser-suite.ts';

const suite = new BrowserSuite();
const { skip } = suite;
const timeout = 120_000;
for (const end of ['an uncaught error', 'close()', 'terminate()'] as const)
  test(`a worker ended by ${end} is replaced: reads go on, writes that were under way say so, nothing is lost`, {
    skip,
    timeout,
  }, async () => {
    const page = await suite.newPage();
    const calls = page.evaluate(
      async ([name, terminates]) => {
        const workers: Worker[] = [];
        const worker = (): Worker => {
          workers.push(window.tests.spawnWorker());
          return workers.at(-1) as Worker;
        };
        const db = await window.tests.open(name, terminates ? { worker } : {});
        await db.createSpace('kv', 'key-value');
        await db.useSpace('kv');
        await db.putMany(Array.from({ length: 6000 }, (_, i) => ({ key: `k${1000 + i}`, value: `v${i}` })));
        await db.createSpace('vec', 'vector', { dimension: 64, indexType: 'HNSW16', efConstruction: 400 });
        const vectors = Float32Array.from({ length: 3000 * 64 }, (_, i) => Math.sin(i * i));
        await db.insertVectors(
          Array.from({ length: 3000 }, (_, i) => i),
          vectors,
          { space: 'vec' },
        );
        const scan = db.scan();
        const items = scan[Symbol.asyncIterator]();
        const first = (await items.next()).value?.key;

        // Linking takes longer than the worker has left, so this is open when it ends.
        const linked = db.waitForIndex({ space: 'vec' }).then(() => 'linked');
        document.title = 'waiting';
        if (terminates) {
          // A write that was sent and not answered: the worker cannot have answered in this same turn.
          const writes = [db.put('w', '1'), db.increment('n'), db.deleteSpace('vec')].map((call) =>
            call.then(
              () => 'done',
              (error) => error.code as string,
            ),
          );
          const reads = [db.get('k1000'), db.exists('k1000'), db.size()];
          await undefined;
          workers[0]?.terminate();
          const outcomes = await Promise.all(writes);
          return {
            outcomes,
            reads: await Promise.all(reads),
            linked: await linked,
            spawned: workers.length,
            first,
          };
        }
        return { linked: await linked, first, after: await rest() };

        async function rest(): Promise<unknown> {
          // The session's space is still chosen, the data there, and a scan of the former worker says where to go on.
          const got = [await db.get('k1000'), await db.size(), await db.countVectors({ space: 'vec' })];
          let lost: unknown;
          try {
            for (;;) if ((await items.next()).done) break;
          } catch (error) {
            const { code, details } = error as { code: string; details: { cursor: string } };
            let left = 0;
            for await (const _ of db.scan({ cursor: details.cursor })) left++;
            lost = [code, left];
          }
          await db.put('later', 'x');
          await db.close();
          return [...got, lost];
        }
      },
      [`replaced by ${end}`, end === 'terminate()'] as const,
    );
    await page.waitForFunction(() => document.title === 'waiting');
    if (end === 'terminate()') {
      const { outcomes, reads, linked, spawned, first } = (await calls) as Record<string, unknown>;
      assert.deepEqual(outcomes, ['OUTCOME_UNKNOWN', 'OUTCOME_UNKNOWN', 'OUTCOME_UNKNOWN']);
      assert.deepEqual((reads as unknown[]).slice(0, 2), ['v0', true]);
      assert.deepEqual([linked, spawned, first], ['linked', 2, 'k1000']);
    } else {
      const [worker] = page.workers();
      assert.ok(worker !== undefined, 'the page has its worker');
      // Not awaited: a worker that ends does not answer.
      worker
        .evaluate((how) => {
          if (how === 'close()') self.close();
          else
            setTimeout(() => {
              throw new Error('the worker is broken');
            });
        }, end)
        .catch(() => {});
      const { linked, first, after } = (await calls) as Record<string, unknown>;
      assert.deepEqual([linked, first], ['linked', 'k1000']);
      // 2048 entries came with the first step; a scan that stood behind them has the others left.
      assert.deepEqual(after, ['v0', 6000, 3000, ['SNAPSHOT_LOST', 6000 - 2048]]);
    }
    await page.close();
  });

test('a worker that sent what cannot be read is replaced; a write that was under way says so', {
  skip,
  timeout,
}, async () => {
  const page = await suite.newPage();
  const outcomes = await page.evaluate(async () => {
    const workers: Worker[] = [];
    const worker = (): Worker => {
      workers.push(window.tests.spawnWorker());
      return workers.at(-1) as Worker;
    };
    const db = await window.tests.open('unreadable', { worker });
    await db.createSpace('kv', 'key-value');
    await db.useSpace('kv');
    await db.put('k', 'v');
    const write = db.put('w', '1').then(
      () => 'done',
      (error) => error.code as string,
    );
    const read = db.get('k');
    await undefined;
    // Nothing a page may send arrives unreadable on purpose; this is all that a browser does when it happens.
    workers[0]?.dispatchEvent(new MessageEvent('messageerror'));
    const outcomes = [await write, await read, workers.length, await db.get('k')];
    await db.close();
    return outcomes;
  });
  assert.deepEqual(outcomes, ['OUTCOME_UNKNOWN', 'v', 2, 'v']);
  await page.close();
});

test('a worker that cannot be replaced fails what waits, and the next call tries again', {
  skip,
  timeout,
}, async () => {
  const page = await suite.newPage();
  const outcomes = await page.evaluate(async () => {
    let broken = false;
    const workers: Worker[] = [];
    const worker = (): Worker => {
      const made = broken ? new Worker('data:text/javascript,throw 1') : window.tests.spawnWorker();
      workers.push(made);
      return made;
    };
    const db = await window.tests.open('irreplaceable', { worker });
    await db.createSpace('kv', 'key-value');
    await db.put('k', 'v', { space: 'kv' });
    const code = (call: Promise<unknown>): Promise<string> =>
      call.then(
        (value) => String(value),
        (error) => error.code as string,
      );
    broken = true;
    workers[0]?.terminate();
    const failed = await code(db.get('k', { space: 'kv' }));
    broken = false;
    const found = await code(db.get('k', { space: 'kv' }));
    await db.close();
    return [failed, found];
  });
  assert.deepEqual(outcomes, ['WORKER_LOST', 'v']);
  await page.close();
});

test('a call that kills its worker is repeated twice, not for ever', { skip, timeout }, async () => {
  const page = await suite.newPage();
  const outcome = await page.evaluate(async () => {
    let spawned = 0;
    const worker = (): Worker => {
      spawned++;
      const made = window.tests.spawnWorker();
      // Dies with the call that is sent to it after it was opened.
      const post = made.postMessage.bind(made) as (...args: unknown[]) => void;
      made.postMessage = (...args: unknown[]) => {
        post(...args);
        if (JSON.stringify(args[0]).includes('poison')) made.terminate();
      };
      return made;
    };
    const db = await window.tests.open('killed', { worker });
    await db.createSpace('kv', 'key-value');
    const code = await db.exists('poison', { space: 'kv' }).then(String, (error) => error.code as string);
    const spaces = (await db.listSpaces()).length;
    await db.close();
    return [code, spawned, spaces];
  });
  assert.deepEqual(outcome, ['WORKER_LOST', 4, 1]);
  await page.close();
});

test('more than may be on its way waits in the page, in order, and is as it was when it was called', {
  skip,
  timeout,
}, async () => {
  const page = await suite.newPage();
  const { most, order, own, aborted } = await page.evaluate(async () => {
    let most = 0;
    let onTheWay = 0;
    const worker = window.tests.spawnWorker();
    const post = worker.postMessage.bind(worker) as (...args: unknown[]) => void;
    worker.postMessage = (message: unknown, ...rest: unknown[]) => {
      let bytes = 0;
      JSON.stringify(message, (_, part) => {
        if (!(part instanceof Uint8Array)) return part;
        bytes += part.byteLength;
        return undefined;
      });
      onTheWay += bytes;
      most = Math.max(most, onTheWay);
      post(message, ...rest);
    };
    const db = await window.tests.open('pressure', { worker, storage: 'memory' });
    await db.createSpace('kv', 'key-value');
    await db.useSpace('kv');
    // 100 writes of 1 MiB each, as conditions, which do not travel together.
    const value = new Uint8Array(1024 * 1024);
    const order: number[] = [];
    const calls = Array.from({ length: 100 }, async (_, i) => {
      value.fill(i);
      const call = db.putIf(`k${i}`, value, undefined);
      await call;
      onTheWay -= value.length;
      order.push(i);
    });
    const controller = new AbortController();
    const late = db.put('aborted', 'x', { signal: controller.signal });
    await undefined;
    await new Promise((resolve) => setTimeout(resolve));
    value.fill(255);
    controller.abort();
    const aborted = await late.then(
      () => 'done',
      (error) => error.code as string,
    );
    await Promise.all(calls);
    const own = await Promise.all([40, 99].map(async (i) => ((await db.get(`k${i}`)) as Uint8Array)[0]));
    const result = { most, order, own, aborted: [aborted, await db.exists('aborted')] };
    await db.close();
    return result;
  });
  assert.ok(most > 0 && most <= 33 * 1024 * 1024, `${most} bytes were on their way`);
  assert.deepEqual(order, [...Array(100).keys()]);
  // The buffer was the caller's to change as soon as each call had returned.
  assert.deepEqual(own, [40, 99]);
  assert.deepEqual(aborted, ['ABORTED', false]);
  await page.close();
});

test('gets and puts that travel together fail one by one', { skip, timeout }, async () => {
  const page = await suite.newPage();
  const outcomes = await page.evaluate(async () => {
    const db = await window.tests.open('together', { storage: 'memory' });
    await db.createSpace('kv', 'key-value');
    await db.useSpace('kv');
    const code = (call: Promise<unknown>): Promise<unknown> => call.catch((error) => error.code);
    const puts = await Promise.all(
      ['a', '', 'b', 'c'.repeat(5000)].map((key) => code(db.put(key, `value of ${key}`))),
    );
    const gets = await Promise.all(['a', '', 'missing', 'b'].map((key) => code(db.get(key))));
    const elsewhere = await Promise.all(['a', 'b'].map((key) => code(db.get(key, { space: 'nowhere' }))));
    const surrogate = await Promise.all([code(db.put('s', '\ud800')), code(db.put('t', 'fine'))]);
    await db.close();
    return { puts, gets, elsewhere, surrogate };
  });
  assert.deepEqual(outcomes, {
    puts: [undefined, 'INVALID_ARGUMENT', undefined, 'INVALID_ARGUMENT'],
    gets: ['value of a', 'INVALID_ARGUMENT', undefined, 'value of b'],
    elsewhere: ['SPACE_NOT_FOUND', 'SPACE_NOT_FOUND'],
    surrogate: ['INVALID_ARGUMENT', undefined],
  });
  await page.close();
});
