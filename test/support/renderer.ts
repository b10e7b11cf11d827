/** The operating system's process behind a page, for what only it can do: stop it in its tracks, or kill it. Needs /proc. */

import { randomInt } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';

const pageBytes = 64 * 1024;
const attempts = 5;

/**
 * The process that renders the page. The browser does not tell, so the page takes a WebAssembly memory of an odd size, which lies
 * between guards: the process that has got a mapping of just that size is the one. Nothing is written to it, so it costs nothing.
 *
 * @param group the browser's process group
 */
export async function rendererOf(page: Page, group: number): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const pages = randomInt(2_000, 16_000);
    const before = await renderersWith(pages * pageBytes, group);
    await page.evaluate((initial) => {
      Object.assign(window, { mark: new WebAssembly.Memory({ initial, maximum: initial }) });
    }, pages);
    const after = await renderersWith(pages * pageBytes, group);
    await page.evaluate(() => {
      Object.assign(window, { mark: undefined });
    });
    const [found, ...others] = after.filter((pid) => !before.includes(pid));
    if (found !== undefined && others.length === 0) return found;
  }
  throw new Error(`Which process renders ${page.url()} could not be found out in ${attempts} attempts`);
}

/** The renderers that have a writable mapping of so many bytes. */
async function renderersWith(bytes: number, group: number): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const [command = '', stat = '', maps = ''] = await Promise.all(
      ['cmdline', 'stat', 'maps'].map((file) => readFile(`/proc/${name}/${file}`, 'latin1').catch(() => '')),
    );
    if (!command.includes('--type=renderer') || groupOf(stat) !== group) continue;
    const sizes = maps.split('\n').map((line) => {
      const [, from = '0', to = '0'] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
      return Number.parseInt(to, 16) - Number.parseInt(from, 16);
    });
    if (sizes.includes(bytes)) found.push(Number(name));
  }
  return found;
}

/** pid (name) state parent group: the name may hold anything, also brackets. */
function groupOf(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
}
