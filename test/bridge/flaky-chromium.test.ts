// The client in a page of a real Chromium, through the same bad network as the one in Node: connections that are cut, held back, and
// that fall silent. No acknowledged write is lost, and none is done twice.

import { test } from 'node:test';
import { DatabaseClient } from '../../src/client/database-client.ts';
import { Session } from '../../src/engine/session.ts';
import { DirectTransport } from '../../src/local/direct-transport.ts';
import { Chromium, missingPart } from '../support/chromium.ts';
import { Random } from '../support/random.ts';
import { serveTestPage } from '../support/test-page.ts';
import { checkLoad } from './flaky-check.ts';
import type { Seen } from './flaky-load.ts';
import { type Fate, FlakyProxy } from './flaky-proxy.ts';
import { engineInMemory, serverOver } from './flaky-server.ts';

const seed = Number(process.env.SHIBUMI_SEED ?? Date.now() % 1e9);
/** `SHIBUMI_LONG=1`: as long as one likes to wait. */
const rounds = process.env.SHIBUMI_LONG === '1' ? 400 : 16;
const roundsAtOnce = 4;
const troublesMin = 8;
const timeout = 120_000 + rounds * 5000;

test('writes of a page through a bad network take effect once', {
  skip: missingPart() ?? false,
  timeout,
}, async (t) => {
  const random = new Random(seed);
  const pages = await serveTestPage();
  t.after(() => pages.close());
  const engine = await engineInMemory();
  t.after(() => engine.close());
  const server = await serverOver(engine, [new URL(pages.url).origin]);
  t.after(() => server.close());
  let spared = true;
  const fates: Fate[] = ['cut', 'cut', 'silent', 'silent', 'none'];
  const proxy = await FlakyProxy.start(server.port, {
    random,
    fate: () => (spared ? 'none' : random.pick(fates)),
    bytesMax: 8000,
    delayMsMax: 3,
  });
  t.after(() => proxy[Symbol.asyncDispose]());
  // Connections that are left alone end too.
  const cutting = setInterval(() => {
    if (!spared && random.below(4) === 0) proxy.cutAll();
  }, 100);
  t.after(() => clearInterval(cutting));
  const browser = await Chromium.launch();
  t.after(() => browser.discard());
  const page = await browser.newPage();
  // Waits a hundredth as long between attempts: the test is about what is lost, not about patience.
  await page.addInitScript(() => {
    const chance = Math.random;
    Math.random = () => chance() / 100;
  });
  await page.goto(pages.url);
  await page.waitForFunction(() => window.tests !== undefined);
  await page.evaluate(
    async ([url, timeoutMs]) => {
      const db = await window.tests.connect(url, { timeoutMs });
      await db.createSpace('kv', 'key-value', { durability: 'none' });
      await db.createSpace('vec', 'vector', { dimension: 8, durability: 'none' });
      Object.assign(window, { db });
    },
    [`ws://127.0.0.1:${proxy.port}/`, timeout] as const,
  );
  spared = false;
  proxy.cutAll();
  const seen: Seen[] = [];
  let done = 0;
  while (done < rounds || proxy.cuts < troublesMin / 2 || proxy.silences < troublesMin / 2) {
    seen.push(
      await page.evaluate(([from, until]) => window.tests.flakyLoad(window.db, from, until), [
        done,
        done + roundsAtOnce,
      ] as const),
    );
    done += roundsAtOnce;
  }
  spared = true;
  t.diagnostic(`seed ${seed}: ${done} rounds, ${proxy.cuts} cuts, ${proxy.silences} silences`);
  const local = new DatabaseClient(new DirectTransport(new Session(engine.engine)));
  await checkLoad(seen, done, local);
  await page.evaluate(() => window.db.close());
});
