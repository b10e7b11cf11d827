/**
 * The demo driven as a person would drive it, in a real Chromium with real IndexedDB: take the sample, drop files,
 * search, reload, come back after the browser was killed, give it what it cannot read.
 *
 * Every test has a profile of its own. The word matcher is chosen by the address where the network would otherwise
 * decide; one test leaves the choice to the page and takes the network away.
 */

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { Chromium, missingPart } from '../support/chromium.ts';
import { type DemoServer, openDemo, serveDemo } from './demo-browser.ts';

const skip = missingPart() ?? false;
let server: DemoServer;
let files: string;
let browsers: Chromium[] = [];

before(async () => {
  if (skip) return;
  server = await serveDemo();
  files = await mkdtemp(path.join(tmpdir(), 'shibumi-files-'));
});

afterEach(async () => {
  for (const browser of browsers.reverse()) await browser.discard();
  browsers = [];
});

after(async () => {
  await server?.close();
  if (files) await rm(files, { recursive: true, force: true });
});

/** A browser on a fresh profile, or on one that a killed browser left, until the test ends. */
async function launch(profile?: string): Promise<Chromium> {
  const browser = await Chromium.launch(profile);
  browsers.push(browser);
  return browser;
}

async function makeFile(name: string, content: string | Uint8Array): Promise<string> {
  const file = path.join(files, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, content);
  return file;
}

/** Drops files or folders on the page through the browser's own drag and drop, as a file manager would. */
async function drop(page: Page, paths: string[]): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: paths, dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    await session.send('Input.dispatchDragEvent', { type, x: 300, y: 300, data });
  }
  await session.detach();
}

const message = (page: Page, text: string | RegExp) => page.locator('.message').filter({ hasText: text });
const firstResult = (page: Page) => page.locator('#results > li').first();

/** Types a query key by key and waits for the answer to all of it. */
async function search(page: Page, query: string): Promise<void> {
  const box = page.getByRole('searchbox');
  await box.fill('');
  await box.pressSequentially(query);
  await page.waitForFunction(() =>
    /nearest of/.test(document.getElementById('result-summary')?.textContent ?? ''),
  );
  await page.waitForTimeout(100);
}

async function sawProgress(page: Page): Promise<boolean> {
  return page.evaluate(() => document.documentElement.dataset.sawProgress === 'yes');
}

const NOTE = `# Lighthouse log

## The lamp

The lens was cleaned with vinegar on Tuesday, and the clockwork wound before dusk. A kittiwake struck the gallery
during the storm and was set free in the morning.

## Stores

Paraffin for eleven nights, tinned herring, and two sacks of coal.
`;

test('the sample can be searched as one types, and a reload keeps it without indexing again', {
  skip,
}, async (t) => {
  const browser = await launch();
  const page = await openDemo(browser, `${server.url}?embedder=words`);
  await page.getByText('Nothing to search yet').waitFor();
  await page.getByRole('button', { name: 'Use the sample' }).click();
  await message(page, /passages indexed/).waitFor();
  assert.equal(await sawProgress(page), true);

  await search(page, 'flush before acknowledging');
  assert.equal(await page.locator('#results > li').count(), 10);
  assert.match(
    (await firstResult(page).textContent()) ?? '',
    /write-ahead-log\.md|ARCHITECTURE\.md|README\.md|format\.md/,
  );
  assert.match((await firstResult(page).locator('.distance').textContent()) ?? '', /^0\.\d{3}$/);
  assert.ok((await page.locator('#results mark').count()) > 0, 'matching words are marked');
  const distances = await page.locator('#results .distance').allTextContents();
  assert.deepEqual(distances, [...distances].sort(), 'best first');
  t.diagnostic((await page.locator('#result-summary').textContent()) ?? '');
  const before = await page.locator('#results').textContent();

  await page.reload();
  await page.locator('main:not([inert])').waitFor();
  await search(page, 'flush before acknowledging');
  assert.equal(await page.locator('#results').textContent(), before);
  await page.getByText(/opened in \d+ ms/).waitFor();
  assert.equal(await sawProgress(page), false, 'nothing was imported or embedded after the reload');
});

test('while nothing is asked there are things to ask and the newest documents to read', {
  skip,
}, async () => {
  const browser = await launch();
  const page = await openDemo(browser, `${server.url}?embedder=words`);
  await page.getByText('Nothing to search yet').waitFor();
  assert.equal(await page.locator('#start').isVisible(), false);
  await page.getByRole('button', { name: 'Use the sample' }).click();
  await message(page, /passages indexed/).waitFor();
  await page.reload();
  await page.locator('main:not([inert])').waitFor();

  const questions = page.locator('#start .questions button');
  await questions.first().waitFor();
  const asked = await questions.allTextContents();
  const answers: Record<string, string> = {
    'what happens to the log after a crash': 'notes/write-ahead-log.md',
    'how large a pot does a tomato need': 'notes/tomatoes.md',
    'when is the dough ready': 'notes/sourdough.md',
    'when does a chain have to be changed': 'notes/bicycle-care.md',
    'is a synced folder a backup': 'notes/backups.md',
  };
  assert.deepEqual([...asked].sort(), Object.keys(answers).sort());
  for (const question of asked) {
    await questions.getByText(question).click();
    const best = firstResult(page)
      .locator('.document-name')
      .getByText(answers[question] ?? '');
    await best.waitFor();
    assert.equal(await page.locator('#start').isVisible(), false, 'it makes way for the answer');
    await page.getByRole('searchbox').fill('');
    await questions.first().waitFor();
  }

  // One's own document: it is asked about what its headings say, and read where it stands.
  await drop(page, [
    await makeFile('lichens.md', '# Lichens\n\nFirst a word.\n\n## On slate roofs\n\nThey like slate.\n'),
  ]);
  const own = page.locator('#start details').filter({ hasText: 'lichens.md' });
  await own.locator('summary').click();
  await own.locator('.passage').getByText('They like slate.').waitFor();
  await page.getByRole('button', { name: 'Delete lichens.md' }).click();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await own.waitFor({ state: 'detached' });
});

test('dropped files and folders are read; a changed file replaces, an unchanged one is left alone', {
  skip,
}, async () => {
  const browser = await launch();
  const page = await openDemo(browser, `${server.url}?embedder=words`);
  const note = await makeFile('lighthouse.md', NOTE);
  await makeFile('vault/garden/beans.txt', 'Runner beans climb anticlockwise round their poles.');
  await makeFile('vault/photo.jpg', new Uint8Array([0xff, 0xd8, 0xff]));
  await makeFile('vault/.hidden/secret.md', 'Nobody should find this walrus.');
  await drop(page, [note, path.join(files, 'vault')]);
  await message(page, 'Added lighthouse.md, vault/garden/beans.txt.').waitFor();
  await message(page, '1 file of other kinds left out').waitFor();

  await search(page, 'kittiwake in the storm');
  await firstResult(page).getByText('lighthouse.md').waitFor();
  assert.match((await firstResult(page).locator('.heading-path').textContent()) ?? '', /Lighthouse log/);
  await search(page, 'beans');
  await firstResult(page).getByText('vault/garden/beans.txt').waitFor();
  assert.equal(await page.getByText('walrus').count(), 0);

  await drop(page, [note]);
  await message(page, 'lighthouse.md is here already, unchanged.').waitFor();
  await makeFile('lighthouse.md', NOTE.replace('kittiwake', 'cormorant'));
  await drop(page, [note]);
  await message(page, 'Updated lighthouse.md.').waitFor();
  await search(page, 'cormorant');
  await firstResult(page).getByText('cormorant').waitFor();
  assert.equal(await page.locator('#results').getByText('kittiwake').count(), 0);
  assert.equal(await page.locator('#documents > li').count(), 2);
});

test('what was acknowledged is there after the browser was killed', { skip }, async () => {
  const first = await launch();
  const page = await openDemo(first, `${server.url}?embedder=words`);
  await page.locator('#file-input').setInputFiles(await makeFile('keeper/lighthouse.md', NOTE));
  await message(page, /Added lighthouse\.md/).waitFor();
  await first.kill();

  const second = await launch(first.profile);
  const again = await openDemo(second, `${server.url}?embedder=words`);
  await search(again, 'tinned herring');
  await firstResult(again).getByText('tinned herring').waitFor();
  assert.equal(await sawProgress(again), false, 'nothing had to be indexed again');
});

test('an import that a kill interrupted goes on by itself and ends whole', { skip }, async (t) => {
  const PARAGRAPHS = 3000;
  const paragraph = (n: number): string =>
    Array.from(
      { length: 9 },
      (_, i) => `Entry ${n} line ${i} tells of nothing but the sea, the wind and the rain.`,
    ).join(' ');
  const text = Array.from({ length: PARAGRAPHS }, (_, n) => paragraph(n)).join('\n\n');
  const first = await launch();
  const page = await openDemo(first, `${server.url}?embedder=words`);
  await page.locator('#file-input').setInputFiles(await makeFile('long.txt', text));
  const done = await page.waitForFunction(() => {
    const match = /^([\d,]+) of ([\d,]+) passage/.exec(
      document.getElementById('progress-detail')?.textContent ?? '',
    );
    const [count, total] = [match?.[1], match?.[2]].map((digits) => Number(digits?.replaceAll(',', '') ?? 0));
    return count && total && count < total ? count : false;
  });
  t.diagnostic(`killed at ${await done.jsonValue()} passages`);
  await first.kill();

  const second = await launch(first.profile);
  const again = await openDemo(second, `${server.url}?embedder=words`);
  const report = message(again, /passages indexed/);
  await report.waitFor({ timeout: 120_000 });
  const resumed = Number(
    /([\d,]+) passages indexed/.exec((await report.textContent()) ?? '')?.[1]?.replaceAll(',', ''),
  );
  assert.ok(resumed > 0 && resumed < PARAGRAPHS, `${resumed} passages were left to index`);
  await again.getByText(`${PARAGRAPHS.toLocaleString('en')} vectors in HNSW16`).waitFor();
  await search(again, 'entry 2999 line 7');
  await firstResult(again).getByText('Entry 2999 line 7').waitFor();
});

test('files that cannot be read are refused in plain words, one huge line is taken', { skip }, async () => {
  const browser = await launch();
  const page = await openDemo(browser, `${server.url}?embedder=words`);
  const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d]);
  await page
    .locator('#file-input')
    .setInputFiles([
      await makeFile('bad/picture.png', png),
      await makeFile('bad/empty.md', ''),
      await makeFile('bad/renamed.txt', png),
    ]);
  await message(page, 'picture.png is not a text or Markdown file').waitFor();
  await message(page, 'empty.md is empty').waitFor();
  await message(page, 'renamed.txt holds binary data').waitFor();
  assert.equal(await page.locator('#documents > li').count(), 0);

  const phrases = Array.from(
    { length: 8000 },
    (_, n) => `${n} and then this or that and the other, if not all of it`,
  );
  const hugeLine = await makeFile('huge-line.txt', `needle ${phrases.join(' ')}`);
  await page.locator('#file-input').setInputFiles(hugeLine);
  await message(page, /Added huge-line\.txt/).waitFor();
  await search(page, 'needle');
  await firstResult(page).getByText('needle').waitFor();
});

test('a full disk is told in plain words, loses nothing, and the import goes on once there is room', {
  skip,
}, async () => {
  const browser = await launch();
  const elsewhere = await browser.newPage();
  const session = await elsewhere.context().newCDPSession(elsewhere);
  const origin = new URL(server.url).origin;
  // Before the page opens: Chromium keeps what it once learned about free room for a while.
  await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 1_500_000 });
  const page = await openDemo(browser, `${server.url}?embedder=words`);
  await page.locator('#file-input').setInputFiles(await makeFile('before/lighthouse.md', NOTE));
  await message(page, /Added lighthouse\.md/).waitFor();

  const line = (n: number): string => `Line ${n}: ${(n * 7919).toString(36)} of the ledger.`;
  const text = Array.from({ length: 30_000 }, (_, n) => line(n)).join('\n\n');
  await page.locator('#file-input').setInputFiles(await makeFile('ledger.txt', text));
  const told = message(page, 'gives this page no more room');
  await told.waitFor();
  await search(page, 'kittiwake struck the gallery');
  await firstResult(page).getByText('kittiwake').waitFor();

  await session.send('Storage.overrideQuotaForOrigin', { origin });
  await told.getByRole('button', { name: 'Continue' }).click();
  await message(page, /passages indexed/).waitFor();
  await page.locator('#documents').getByText('indexed').waitFor({ state: 'detached' });
  await search(page, 'kittiwake struck the gallery');
  await firstResult(page).getByText('kittiwake').waitFor();
});

test('cancelling keeps what was read and goes on when asked', { skip }, async () => {
  const browser = await launch();
  const page = await openDemo(browser, `${server.url}?embedder=words`);
  const paragraph = (n: number): string =>
    `${`Row ${n} of a long list of rows and columns. `.repeat(14)}\n\n`;
  const text = Array.from({ length: 4000 }, (_, n) => paragraph(n)).join('');
  await page.locator('#file-input').setInputFiles(await makeFile('rows.txt', text));
  await page
    .locator('#progress')
    .getByText(/^[1-9][\d,]* of 4,000 passages/)
    .waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await message(page, 'Stopped. What was read is kept').waitFor();
  await search(page, 'row');
  await page.getByRole('button', { name: 'Continue indexing rows.txt' }).click();
  await message(page, /passages indexed/).waitFor();
  await page.getByText('4,000 vectors in HNSW16').waitFor();
});

test('pasted text is searched; a deleted document is found no more; forgetting leaves nothing', {
  skip,
}, async () => {
  const browser = await launch();
  const page = await openDemo(browser, `${server.url}?embedder=words`);
  for (const text of ['# Ferry\n\nThe ferry to Inverkirk leaves at seven.', 'The baker closes on Mondays.']) {
    await page.getByRole('button', { name: 'Paste text' }).click();
    await page.getByLabel('Text or Markdown').fill(text);
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await message(page, /Added Pasted/).waitFor();
  }
  await search(page, 'inverkirk');
  await firstResult(page).getByText('Inverkirk').waitFor();

  await page.getByRole('button', { name: 'Delete Pasted: Ferry' }).click();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.locator('#documents').getByText('Ferry').waitFor({ state: 'detached' });
  await search(page, 'inverkirk');
  assert.equal(await page.locator('#results').getByText('Inverkirk').count(), 0);

  await page.getByRole('button', { name: 'Forget everything' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Keep' }).click();
  assert.equal(await page.locator('#documents > li').count(), 1);
  await page.getByRole('button', { name: 'Forget everything' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Forget everything' }).click();
  await page.getByText('Nothing to search yet').waitFor();
  assert.deepEqual(await page.evaluate(async () => (await caches.keys()).length), 0);
  await page.reload();
  await page.getByText('0 documents').waitFor();
});

test('where the sentence model cannot be had, the page says so and matches by words', { skip }, async () => {
  const browser = await launch();
  const page = await browser.newPage();
  await page.route(/^https?:\/\/(?!127\.0\.0\.1)/, (route) => route.abort());
  await page.goto(server.url);
  await page.locator('main:not([inert])').waitFor();
  const choice = page.getByLabel('How passages are matched');
  assert.equal(await choice.inputValue(), (await page.evaluate(() => navigator.onLine)) ? 'minilm' : 'words');
  await choice.selectOption('minilm');
  await page.getByRole('button', { name: 'Use the sample' }).click();
  await message(page, 'could not be loaded. Passages are matched by words instead.').waitFor();
  await message(page, /passages indexed/).waitFor();
  assert.equal(await choice.inputValue(), 'words');
  await page.getByText('matches words and spellings, not meaning').waitFor();
  await search(page, 'sourdough starter');
  await firstResult(page).getByText('sourdough.md').waitFor();
});

/**
 * Speaks the library's interface without its model, which no test can count on fetching: two synonyms share an axis,
 * every other word has one by its length. What is tested is the page's way with it, not the model.
 */
const LIBRARY_STAND_IN = `
export async function pipeline(task, model, { dtype, progress_callback }) {
  if (task !== 'feature-extraction' || model !== 'Xenova/all-MiniLM-L6-v2') throw new Error(task + ' ' + model);
  progress_callback({ status: 'progress', file: 'model_' + dtype, progress: 50 });
  return async (texts, { pooling, normalize }) => {
    if (pooling !== 'mean' || !normalize) throw new Error('expected pooled and normalised');
    const data = new Float32Array(texts.length * 384);
    texts.forEach((text, row) => {
      const words = text.toLowerCase().match(/[a-z]+/g) ?? [];
      for (const word of words) data[row * 384 + (/^(car|automobile)s?$/.test(word) ? 0 : word.length)] += 1;
      const own = data.subarray(row * 384, (row + 1) * 384);
      const length = Math.hypot(...own) || 1;
      own.forEach((value, i) => { own[i] = value / length; });
    });
    return { data };
  };
}`;

test('a model that nobody asked for and that cannot be had is told once', { skip }, async (t) => {
  const browser = await launch();
  const page = await browser.newPage();
  await page.route(/^https?:\/\/(?!127\.0\.0\.1)/, (route) => route.abort());
  await page.goto(server.url);
  await page.locator('main:not([inert])').waitFor();
  if (!(await page.evaluate(() => navigator.onLine))) return t.skip('this machine says that it is offline');
  await page.getByRole('button', { name: 'Use the sample' }).click();
  await message(page, 'could not be loaded').waitFor();
  await message(page, /passages indexed/).waitFor();
  await page.reload();
  await page.locator('main:not([inert])').waitFor();
  await search(page, 'sourdough starter');
  await firstResult(page).getByText('sourdough.md').waitFor();
  assert.equal(await page.locator('.message.is-error').count(), 0);
});

test('the sentence model is fetched at first use, has a space of its own, and is missed gracefully', {
  skip,
}, async () => {
  const browser = await launch();
  const page = await browser.newPage();
  let isOnline = true;
  await page.route(/^https?:\/\/(?!127\.0\.0\.1)/, (route) => {
    if (!isOnline) return route.abort();
    assert.match(route.request().url(), /@huggingface\/transformers@\d+\.\d+\.\d+$/, 'an exact version');
    const headers = { 'access-control-allow-origin': '*' };
    return route.fulfill({ contentType: 'text/javascript', headers, body: LIBRARY_STAND_IN });
  });
  await page.goto(`${server.url}?embedder=minilm`);
  await page.locator('main:not([inert])').waitFor();
  await page.getByText('Fetched when first used').waitFor();
  await page
    .locator('#file-input')
    .setInputFiles([
      await makeFile('garage.txt', 'Automobile, automobile, automobile.'),
      await makeFile('pond.txt', 'Frogs sit beside lilies.'),
    ]);
  await message(page, '2 passages indexed').waitFor();
  await page.getByText('2 vectors in HNSW16').waitFor();
  await search(page, 'car');
  await firstResult(page).getByText('garage.txt').waitFor();

  isOnline = false;
  await page.reload();
  await message(page, 'Passages are matched by words instead').waitFor();
  await search(page, 'frogs');
  await firstResult(page).getByText('pond.txt').waitFor();

  isOnline = true;
  await page.reload();
  await page.getByText('all-MiniLM-L6-v2:').waitFor();
  await search(page, 'car');
  await firstResult(page).getByText('garage.txt').waitFor();
  await page.getByLabel('How passages are matched').selectOption('words');
  await page.getByText('Built-in word matcher:').waitFor();
  await search(page, 'frogs');
  await firstResult(page).getByText('pond.txt').waitFor();
  assert.equal(await page.locator('.message.is-error').count(), 0);
});

test('two tabs show and change the same notes, the second goes on when the first closes, and both forget', {
  skip,
}, async () => {
  const browser = await launch();
  const url = `${server.url}?embedder=words`;
  const first = await openDemo(browser, url);
  const second = await openDemo(browser, url);
  await first
    .locator('#file-input')
    .setInputFiles(await makeFile('pond.txt', 'Frogs sit by the pond and croak all night.'));
  await second.locator('#documents').getByText('pond.txt').waitFor();
  await second.getByText('the engine runs in another tab').waitFor();
  await search(second, 'frogs');
  await firstResult(second).getByText('pond.txt').waitFor();
  // Both at once: no document takes another's number.
  await Promise.all([
    first
      .locator('#file-input')
      .setInputFiles(await makeFile('garage.txt', 'The engine of the old car is in the garage.')),
    second
      .locator('#file-input')
      .setInputFiles(await makeFile('kitchen.txt', 'Bread rises in the warm kitchen overnight.')),
  ]);
  for (const page of [first, second]) {
    for (const name of ['pond.txt', 'garage.txt', 'kitchen.txt'])
      await page.locator('#documents').getByText(name).waitFor();
    await page.getByText('3 documents · 3 passages').waitFor();
  }
  await first.getByRole('button', { name: 'Delete garage.txt' }).click();
  await first.getByRole('button', { name: 'Delete', exact: true }).click();
  await second.getByText('2 documents · 2 passages').waitFor();
  await first.close();
  await search(second, 'bread');
  await firstResult(second).getByText('kitchen.txt').waitFor();
  assert.equal(await second.locator('.message.is-error').count(), 0);

  const third = await openDemo(browser, url);
  await third.getByText('2 documents · 2 passages').waitFor();
  await third.getByRole('button', { name: 'Forget everything' }).click();
  await third.locator('#confirm-yes').click();
  await third.getByText('Nothing to search yet').waitFor();
  await second.getByText('Nothing to search yet').waitFor();
});

test('the keyboard is enough, and the address chooses database, index and build', { skip }, async () => {
  const browser = await launch();
  const page = await openDemo(
    browser,
    `${server.url}?embedder=words&db=other&index=Flat&build=simd128&storage=disk`,
  );
  await message(page, 'The address says storage=disk; expected indexeddb or memory').waitFor();
  await page.locator('#use-sample').press('Enter');
  await message(page, /passages indexed/).waitFor();
  await page.getByText(/vectors in Flat, Cosine.*simd128 build/).waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('compost');
  await firstResult(page).getByText('compost.md').waitFor();
  await page.keyboard.press('ArrowDown');
  assert.equal(
    await page.evaluate(() => document.activeElement === document.querySelector('#results > li')),
    true,
  );
  // The answer to a last key may come when one is in the list already.
  await page.evaluate(() => {
    const box = document.getElementById('query') as HTMLInputElement;
    box.value = 'bread';
    box.dispatchEvent(new Event('input', { bubbles: true }));
  });
  await page.waitForFunction(
    () => !document.querySelector('#results > li')?.textContent?.includes('compost'),
  );
  assert.equal(
    await page.evaluate(() => document.activeElement === document.querySelector('#results > li')),
    true,
  );
  await page.keyboard.press('ArrowUp');
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'query');
  const databases = await page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
  assert.ok(
    databases.some((name) => name?.includes('other')),
    `databases: ${databases.join(', ')}`,
  );
});
