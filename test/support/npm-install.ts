// Packages that only some tests need stand in a package.json beside those tests, and are installed by the first run that needs them.

import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { withLock } from './lock-folder.ts';

const timeoutMs = 180_000;

/** `false`: everything a folder's package.json lists is installed, or is now. Else why the tests that need it are skipped. */
export function missingPackages(folder: string): string | false {
  return withLock(
    path.join(folder, '.installing'),
    () => {
      // npm writes this file last: what an installation that was stopped has left behind does not pass for a whole one.
      const end = path.join(folder, 'node_modules/.package-lock.json');
      if (existsSync(end) && statSync(end).mtimeMs > statSync(path.join(folder, 'package.json')).mtimeMs)
        return false;
      const args = ['install', '--include=dev', '--no-audit', '--no-fund', '--no-package-lock'];
      const { status, error, stderr } = spawnSync('npm', args, {
        cwd: folder,
        encoding: 'utf8',
        timeout: timeoutMs,
        shell: process.platform === 'win32',
      });
      if (status === 0) return false;
      const reason = error?.message ?? stderr.trim().split('\n').slice(-3).join(' ');
      return `npm could not install what ${path.basename(folder)}/package.json lists: ${reason}`;
    },
    timeoutMs,
  );
}
