/**
 * The backend suite (test/support/backend-cases.ts) over IndexedDB: in Chromium with each of its two stores, and in a stock Firefox
 * where there is one. Nobody drives that: it is started on a page that runs the suite by itself and reports.
 */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { backendCases } from '../support/backend-cases.ts';
import { Chromium, missingPart } from '../support/chromium.ts';
import { type PageServer, serveTestPage } from '../support/test-page.ts';

const skip = missingPart() ?? false;
const names = backendCases(() => 0n).map(({ name }) => name);
const stores = {
  LevelDB: ['--disable-features=IdbSqliteBackingStore,IdbSqliteOnDiskRollout'],
  SQLite: ['--enable-features=IdbSqliteBackingStore,IdbSqliteOnDiskRollout'],
};
const firefox = ['firefox', 'firefox-esr'].find((name) => spawnSync(name, ['--version']).status === 0);

let server: PageServer;
before(async () => {
  if (skip === false) server = await serveTestPage();
});
after(() => server?.close());

for (const [store, flags] of Object.entries(stores))
  test(`Chromium, ${store}: the backend suite`, { skip, timeout: 180_000 }, async (t) => {
    const browser = await Chromium.launch(undefined, flags);
    try {
      const page = await browser.newPage();
      await page.goto(server.url);
      await page.waitForFunction(() => window.tests !== undefined);
      for (const name of names)
        await t.test(`Chromium, ${store}: ${name}`, async () => {
          const failure = await page.evaluate((one) => window.tests.runBackendCase(one), name);
          assert.equal(failure, undefined);
        });
      await page.evaluate(() => window.tests.IndexedDbBackend.open('kept', { timeoutMs: 30_000 }));
      // Flags of a browser to come may be ignored: then this would be the same store twice.
      assert.equal(await storeIn(browser.profile), store);
    } finally {
      await browser.discard();
    }
  });

/** By the files of the profile. */
async function storeIn(profile: string): Promise<'LevelDB' | 'SQLite' | undefined> {
  const files = (await readdir(profile, { recursive: true })).filter((file) => file.includes('IndexedDB'));
  if (files.some((file) => /\.leveldb[/\\]/.test(file))) return 'LevelDB';
  return files.some((file) => /IndexedDB[/\\].+[/\\]./.test(file)) ? 'SQLite' : undefined;
}

test('Firefox: the backend suite', {
  skip: skip || (firefox === undefined ? 'no stock Firefox is installed' : false),
  timeout: 300_000,
}, async (t) => {
  const reported = Promise.withResolvers<string>();
  const listener = createServer(async (request, response) => {
    let body = '';
    for await (const text of request.setEncoding('utf8')) body += text;
    response.end();
    reported.resolve(body);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const profile = await mkdtemp(path.join(os.tmpdir(), 'shibumi-firefox-'));
  const report = encodeURIComponent(`http://127.0.0.1:${(listener.address() as AddressInfo).port}/`);
  const child = spawn(
    firefox as string,
    ['--headless', '--no-remote', '--profile', profile, `${server.url}?report=${report}`],
    { stdio: 'ignore', detached: true, env: { ...process.env, HOME: profile } },
  );
  try {
    const ended = new Promise<never>((_, reject) =>
      child.on('exit', (code) => reject(new Error(`it ended with ${code}`))),
    );
    const { agent, outcomes } = JSON.parse(await Promise.race([reported.promise, ended]));
    t.diagnostic(agent);
    assert.match(agent, /Firefox/);
    assert.deepEqual(
      outcomes.map(([name]: [string]) => name),
      names,
    );
    for (const [name, failure] of outcomes)
      await t.test(`Firefox: ${name}`, () => assert.equal(failure ?? undefined, undefined));
  } finally {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
    listener.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
});
