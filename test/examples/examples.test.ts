/** The programs of demo/examples print what their comments promise. */

import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { holdToPromises } from '../support/program.ts';

const folder = path.resolve(import.meta.dirname, '../../demo/examples');

for (const file of globSync('*.ts', { cwd: folder }).sort()) {
  test(`demo/examples/${file} prints what it promises`, () => {
    holdToPromises(readFileSync(path.join(folder, file), 'utf8'));
  });
}
