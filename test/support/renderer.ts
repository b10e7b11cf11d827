/** The operating system's process behind a page, for what only it can do: stop it in its tracks, or kill it. Needs /proc. */

import { readdir, readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';

const ballastBytes = 96 * 2 ** 20;
const pageBytes = 4096;
const attempts = 5;

/**
 * The process that renders the page. The browser does not tell, so the page fills some memory and the process that grows by
 * so much is the one.
 *
 * @param group the browser's process group
 */
export async function rendererOf(page: Page, group: number): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const before = await residentBytes(group);
    await page.evaluate((bytes) => {
      Object.assign(window, { ballast: new Uint8Array(bytes).fill(1) });
    }, ballastBytes);
    const after = await residentBytes(group);
    await page.evaluate(() => {
      Object.assign(window, { ballast: undefined });
    });
    const grown = [...after].filter(([pid, bytes]) => bytes - (before.get(pid) ?? 0) > ballastBytes * 0.9);
    if (grown.length === 1 && grown[0] !== undefined) return grown[0][0];
  }
  throw new Error(`Which process renders ${page.url()} could not be found out in ${attempts} attempts`);
}

async function residentBytes(group: number): Promise<Map<number, number>> {
  const sizes = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const [command, stat, statm] = await Promise.all(
      ['cmdline', 'stat', 'statm'].map((file) => readFile(`/proc/${name}/${file}`, 'latin1').catch(() => '')),
    );
    if (!command?.includes('--type=renderer') || groupOf(stat ?? '') !== group) continue;
    sizes.set(Number(name), Number(statm?.split(' ')[1]) * pageBytes);
  }
  return sizes;
}

/** pid (name) state parent group: the name may hold anything, also brackets. */
function groupOf(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
}
