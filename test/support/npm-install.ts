// Packages that only some tests need stand in a package.json beside those tests, and are installed by the first run that needs them.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';

const timeoutMs = 180_000;

/** `false`: everything a folder's package.json lists is installed, or is now. Else why the tests that need it are skipped. */
export function missingPackages(folder: string): string | false {
  return withLock(path.join(folder, '.installing'), () => {
    // npm writes this file last: what an installation that was stopped has left behind does not pass for a whole one.
    const end = path.join(folder, 'node_modules/.package-lock.json');
    if (existsSync(end) && statSync(end).mtimeMs > statSync(path.join(folder, 'package.json')).mtimeMs)
      return false;
    const args = ['install', '--no-audit', '--no-fund', '--no-package-lock'];
    const { status, error, stderr } = spawnSync('npm', args, {
      cwd: folder,
      encoding: 'utf8',
      timeout: timeoutMs,
      shell: process.platform === 'win32',
    });
    if (status === 0) return false;
    const reason = error?.message ?? stderr.trim().split('\n').slice(-3).join(' ');
    return `npm could not install what ${path.basename(folder)}/package.json lists: ${reason}`;
  });
}

/** Test files run side by side, and two installations in one folder spoil one another. */
function withLock<T>(lock: string, work: () => T): T {
  while (!taken(lock)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  try {
    return work();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

function taken(lock: string): boolean {
  try {
    mkdirSync(lock);
    return true;
  } catch {
    // No installation takes so long: whoever made it was killed.
    const made = statSync(lock, { throwIfNoEntry: false });
    if (made !== undefined && Date.now() - made.mtimeMs > 1.2 * timeoutMs)
      rmSync(lock, { recursive: true, force: true });
    return false;
  }
}
