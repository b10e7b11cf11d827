/** The built demo on a local server, and a page that has opened it. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { build, preview } from 'vite';
import type { Chromium } from '../support/chromium.ts';

const root: string = path.resolve(import.meta.dirname, '../..');

export interface DemoServer {
  readonly url: string;
  close(): Promise<void>;
}

/** Builds the demo as it would be published and serves the files on a free port. */
export async function serveDemo(): Promise<DemoServer> {
  const outDir = await mkdtemp(path.join(tmpdir(), 'shibumi-demo-'));
  const configFile = path.join(root, 'vite.config.ts');
  await build({ configFile, logLevel: 'warn', build: { outDir, emptyOutDir: true } });
  const server = await preview({
    configFile,
    logLevel: 'warn',
    build: { outDir },
    preview: { host: '127.0.0.1', port: 0, open: false },
  });
  const address = server.httpServer.address();
  if (address === null || typeof address === 'string') throw new Error(`Expected a port, found ${address}.`);
  return {
    url: `http://127.0.0.1:${address.port}/`,
    close: async () => {
      await server.close();
      await rm(outDir, { recursive: true, force: true });
    },
  };
}

/** Opens the demo and fails the test's page on any error that the page did not handle. */
export async function openDemo(browser: Chromium, url: string): Promise<Page> {
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  // The page's own record of whether it ever showed that it was importing.
  await page.addInitScript(() => {
    addEventListener('DOMContentLoaded', () => {
      const progress = document.getElementById('progress');
      if (progress === null) return;
      new MutationObserver(() => {
        if (!progress.hidden) document.documentElement.dataset.sawProgress = 'yes';
      }).observe(progress, { attributes: true });
    });
  });
  await page.goto(url);
  await page.locator('main:not([inert])').waitFor();
  return page;
}
