/** What a page has to load: the built package, gzipped. */

import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { makeRow, type Row, type RowFrame } from './row.ts';

const dist = path.resolve(import.meta.dirname, '../../dist');

/** Rows of scenario `load`; none, and a word why, where the package is not built. */
export function packageSizes(log: (line: string) => void): Row[] {
  if (!existsSync(path.join(dist, 'index.js'))) {
    log('load: sizes are left out, the package is not built (npm run build).');
    return [];
  }
  // What shibumi/node ships is never sent to a page.
  return globSync('*.{js,wasm}', { cwd: dist })
    .filter((file) => file !== 'node.js')
    .sort()
    .map((file) => {
      const frame: RowFrame = {
        suite: 'api',
        scenario: 'load',
        subject: 'shibumi',
        runtime: 'chromium',
        data: file,
        params: {},
      };
      return makeRow(frame, 'gzipBytes', gzipSync(readFileSync(path.join(dist, file))).length);
    });
}
