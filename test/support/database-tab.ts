/** A page of the browser tests that has a database open as `window.db`. */

import type { Page } from 'playwright-core';
import type { OpenOptions } from 'shibumi';
import type { Chromium } from './chromium.ts';

declare global {
  interface Window {
    db: Awaited<ReturnType<typeof window.tests.open>>;
  }
}

/** @param url of the test page, or of another build of it */
export async function openDatabaseTab(
  browser: Chromium,
  url: string,
  name: string,
  options: Pick<OpenOptions, 'openTimeoutMs' | 'ownerTimeoutMs'> = {},
): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(url);
  await page.waitForFunction(() => window.tests !== undefined);
  await page.evaluate(
    async ([name, options]) => {
      const db = await window.tests.open(name, options);
      Object.assign(window, { db });
    },
    [name, options] as const,
  );
  return page;
}

/** Where the page's database is: `owner worker 1`, `client port 1`. */
export async function placeOf(page: Page): Promise<string> {
  const { tabs } = await page.evaluate(() => window.db.stats());
  return `${tabs?.role} ${tabs?.way} ${tabs?.epoch}`;
}
