// Formatter, linter and compiler over the whole project.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';

for (const script of ['lint', 'typecheck']) {
  test(`npm run ${script} finds nothing`, () => {
    const root = path.resolve(import.meta.dirname, '../..');
    const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', script], {
      cwd: root,
      encoding: 'utf8',
    });
    assert.ok(status === 0, `${stdout}${stderr}`);
  });
}
