/**
 * A real Chromium on a real profile.
 *
 * The browser is spawned here rather than by Playwright, so that a test can kill the whole process group the way a crash
 * would, and open the same profile again.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { findBrowser, howToInstall, launchFlagsWith } from '../../tools/browser.mjs';

const startTimeoutMs = 60_000;
/** More flags for every browser of a test run, for example those of Chromium's other IndexedDB store. */
const extraFlags = (process.env.SHIBUMI_BROWSER_FLAGS ?? '').split(' ').filter((flag) => flag !== '');
const root: string = path.resolve(import.meta.dirname, '../..');

/** Why browser tests cannot run here, if so. `npm test` provides both parts. */
export function missingPart(): string | undefined {
  if (findBrowser() === undefined) return howToInstall;
  return existsSync(path.join(root, 'build/wasm/shibumi-simd128.wasm'))
    ? undefined
    : 'The WASM core is not built; npm test builds it.';
}

export class Chromium {
  /** Where the profile is: everything a browser keeps between two runs. */
  readonly profile: string;
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #context: BrowserContext;

  private constructor(
    profile: string,
    process: ChildProcess,
    exited: Promise<unknown>,
    context: BrowserContext,
  ) {
    this.profile = profile;
    this.#process = process;
    this.#exited = exited;
    this.#context = context;
  }

  /** Starts on a new, empty profile, or on one that another run left; with more flags, if need be. */
  static async launch(profile?: string, moreFlags: readonly string[] = []): Promise<Chromium> {
    const folder = profile ?? (await mkdtemp(path.join(tmpdir(), 'shibumi-profile-')));
    const portFile = path.join(folder, 'DevToolsActivePort');
    await rm(portFile, { force: true });
    const flags = [
      ...launchFlagsWith([...extraFlags, ...moreFlags]),
      '--remote-debugging-port=0',
      `--user-data-dir=${folder}`,
      'about:blank',
    ];
    // Its own process group: killing that leaves none of its helpers behind.
    const child = spawn(findBrowser() ?? '', flags, { detached: true, stdio: 'ignore' });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    const port = await readPort(child, portFile);
    const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`);
    const context = browser.contexts()[0];
    if (context === undefined) throw new Error('Chromium has no default context');
    return new Chromium(folder, child, exited, context);
  }

  /** The process group of everything that belongs to it. */
  get group(): number {
    if (this.#process.pid === undefined) throw new Error('Chromium did not start');
    return this.#process.pid;
  }

  async newPage(): Promise<Page> {
    const page = await this.#context.newPage();
    page.setDefaultTimeout(60_000);
    return page;
  }

  /** Ends every process of the browser at once, with no chance to save anything. */
  async kill(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#process;
    if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, 'SIGKILL');
    await this.#exited;
    if (pid !== undefined) await groupGone(pid);
  }

  /** Ends it and removes the profile. */
  async discard(): Promise<void> {
    await this.kill();
    await rm(this.profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

/**
 * Resolves when no process of the group lives. The first to exit is the browser itself; a helper that is still in a system
 * call may write to the profile for a moment. Where there is no /proc the browser's own end has to do.
 */
async function groupGone(group: number): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  for (let alive = await livingIn(group); alive.length > 0; alive = await livingIn(group)) {
    if (Date.now() > deadline) throw new Error(`Processes ${alive.join(', ')} outlived SIGKILL`);
    await sleep(5);
  }
}

async function livingIn(group: number): Promise<string[]> {
  const names = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const living = await Promise.all(
    names.map(async (name) => {
      const stat = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '');
      // pid (name) state parent group: the name may hold anything, also brackets.
      const [state, , processGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return state !== 'Z' && state !== 'X' && Number(processGroup) === group;
    }),
  );
  return names.filter((_, i) => living[i]);
}

async function readPort(child: ChildProcess, portFile: string): Promise<string> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    // The second line follows the port: without it the file is only half written.
    const port = /^(\d+)\n./.exec(await readFile(portFile, 'utf8').catch(() => ''))?.[1];
    if (port !== undefined) return port;
    if (child.exitCode !== null) throw new Error(`Chromium ended with ${child.exitCode} while starting`);
    if (Date.now() > deadline) throw new Error(`Chromium named no port within ${startTimeoutMs} ms`);
    await sleep(30);
  }
}
