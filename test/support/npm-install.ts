// Packages that only some tests need stand in a package.json beside those tests, and are installed by the first run that needs them.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const timeoutMs = 180_000;

/** Nothing: `name` is installed in the folder, or is now. Else why the tests that need it are skipped. */
export function missingPackage(folder: string, name: string): string | false {
  if (existsSync(path.join(folder, 'node_modules', name))) return false;
  const args = ['install', '--no-audit', '--no-fund', '--no-package-lock'];
  const { status, error, stderr } = spawnSync('npm', args, {
    cwd: folder,
    encoding: 'utf8',
    timeout: timeoutMs,
    shell: process.platform === 'win32',
  });
  if (status === 0) return false;
  return `npm could not install ${name}: ${error?.message ?? stderr.trim().split('\n').at(-1)}`;
}
