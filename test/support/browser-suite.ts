/**
 * What a file of browser tests begins with: a server of the test page and a Chromium, there from before its first test to after
 * its last. Where a part is missing nothing is started, and `skip` says what it is.
 */

import { after, before } from 'node:test';
import type { Page } from 'playwright-core';
import { Chromium, missingPart } from './chromium.ts';
import { type OtherBuild, type PageServer, serveTestPage } from './test-page.ts';

export class BrowserSuite {
  readonly skip: string | false = missingPart() ?? false;
  #server: PageServer | undefined;
  #browser: Chromium | undefined;

  /** @param others further builds of the page */
  constructor(others: Record<string, OtherBuild> = {}) {
    before(async () => {
      if (this.skip !== false) return;
      this.#server = await serveTestPage(others);
      this.#browser = await Chromium.launch();
    });
    after(async () => {
      await this.#browser?.discard();
      await this.#server?.close();
    });
  }

  /** Where the test page is. */
  get url(): string {
    return started(this.#server).url;
  }

  get browser(): Chromium {
    return started(this.#browser);
  }

  /** A page of its own, ready to be used. */
  async newPage(): Promise<Page> {
    const page = await this.browser.newPage();
    await page.goto(this.url);
    await ready(page);
    return page;
  }
}

/** Waits until the page's script has run, after a reload too. */
export async function ready(page: Page): Promise<void> {
  await page.waitForFunction(() => window.tests !== undefined);
}

function started<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('The suite is used before its first test');
  return part;
}
