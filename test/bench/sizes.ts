/** What a page has to load: the built package, gzipped, and what of it a worker asks for until it has come so far. */

import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { findBrowser, howToInstall } from '../../tools/browser.mjs';
import { totalBytes, uses, workerLoads } from '../support/worker-loads.ts';
import { makeRow, type Row, type RowFrame } from './row.ts';

const dist = path.resolve(import.meta.dirname, '../../dist');

function frame(data: string, params: RowFrame['params']): RowFrame {
  return { suite: 'api', scenario: 'load', subject: 'shibumi', runtime: 'chromium', data, params };
}

/** Rows of scenario `load`; none, and a word why, where the package is not built. */
export async function packageSizes(log: (line: string) => void): Promise<Row[]> {
  if (!existsSync(path.join(dist, 'index.js'))) {
    log('load: sizes are left out, the package is not built (npm run build).');
    return [];
  }
  const rows: Row[] = [];
  const executablePath = findBrowser();
  if (executablePath === undefined) log(`load: what a worker asks for is left out. ${howToInstall}`);
  else
    for (const build of ['relaxed', 'simd128'] as const) {
      const loads = await workerLoads(dist, build, executablePath);
      for (const until of uses)
        rows.push(makeRow(frame('worker', { until, build }), 'gzipBytes', totalBytes(loads[until])));
    }
  // What shibumi/node ships is never sent to a page.
  for (const file of globSync('*.{js,wasm}', { cwd: dist }).sort()) {
    if (file === 'node.js') continue;
    rows.push(makeRow(frame(file, {}), 'gzipBytes', gzipSync(readFileSync(path.join(dist, file))).length));
  }
  return rows;
}
