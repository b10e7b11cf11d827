/**
 * A real Chromium on a real profile for the demo's tests, and the built demo on a local server.
 *
 * The browser is spawned here rather than by Playwright, so that a test can kill the whole process group the way a
 * crash or a pulled battery would, and open the same profile again.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { build, preview } from 'vite';
import { findBrowser, launchFlags } from '../../tools/browser.mjs';

const START_TIMEOUT_MS = 60_000;
const root: string = path.resolve(import.meta.dirname, '../..');

/** Why there is nothing to test with, if so. */
export function missingPart(): string | undefined {
  if (findBrowser() === undefined) return 'no Chromium was found';
  return existsSync(path.join(root, 'build/wasm/shibumi-simd128.wasm'))
    ? undefined
    : 'the WASM core is not built';
}

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

export async function makeProfile(): Promise<string> {
  return mkdtemp(path.join(tmpdir(), 'shibumi-profile-'));
}

export class DemoBrowser {
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly context: BrowserContext;

  private constructor(process: ChildProcess, exited: Promise<unknown>, context: BrowserContext) {
    this.#process = process;
    this.#exited = exited;
    this.context = context;
  }

  static async launch(profile: string): Promise<DemoBrowser> {
    const portFile = path.join(profile, 'DevToolsActivePort');
    await rm(portFile, { force: true });
    const flags = [...launchFlags, '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'];
    // Its own process group: killing that leaves none of its helpers behind.
    const child = spawn(findBrowser() ?? '', flags, { detached: true, stdio: 'ignore' });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    const deadline = Date.now() + START_TIMEOUT_MS;
    let port = '';
    while (port === '') {
      if (child.exitCode !== null) throw new Error(`Chromium ended with ${child.exitCode} while starting.`);
      if (Date.now() > deadline) throw new Error(`Chromium named no port within ${START_TIMEOUT_MS} ms.`);
      await sleep(50);
      // The second line follows the port: without it the file is only half written.
      port = /^(\d+)\n./.exec(await readFile(portFile, 'utf8').catch(() => ''))?.[1] ?? '';
    }
    const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`);
    const context = browser.contexts()[0];
    if (context === undefined) throw new Error('Expected Chromium to have a default context.');
    return new DemoBrowser(child, exited, context);
  }

  /** Ends every process of the browser at once, with no chance to save anything. */
  async kill(): Promise<void> {
    if (
      this.#process.pid !== undefined &&
      this.#process.exitCode === null &&
      this.#process.signalCode === null
    ) {
      process.kill(-this.#process.pid, 'SIGKILL');
    }
    await this.#exited;
  }
}

/** Opens the demo and fails the test's page on any error that the page did not handle. */
export async function openDemo(browser: DemoBrowser, url: string): Promise<Page> {
  const page = await browser.context.newPage();
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
