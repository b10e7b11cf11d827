// Programs of Debian's that tests talk to. What is not there is installed where that is possible (as root, with apt); else the
// tests that need it are skipped, and say so.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const installTimeoutMs = 240_000;
let isUpdated = false;

/** Nothing: the program is there, or is now. Else why the test is skipped. */
export function missing(file: string, debianPackage: string): string | false {
  if (existsSync(file)) return false;
  const because = `${file} is not there`;
  if (process.getuid?.() !== 0 || spawnSync('apt-get', ['--version']).status !== 0)
    return `${because}, and ${debianPackage} cannot be installed here`;
  const apt = (...args: string[]) =>
    spawnSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=120', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      timeout: installTimeoutMs,
      encoding: 'utf8',
    });
  if (!isUpdated) apt('update');
  isUpdated = true;
  const { status, stderr } = apt('install', '-y', '--no-install-recommends', debianPackage);
  if (status === 0 && existsSync(file)) return false;
  return `${because}, and apt-get install ${debianPackage} failed: ${String(stderr).trim().slice(-200)}`;
}
