/**
 * A process that takes the lock of a folder and lets it go as often as it can, and makes sure each time that it is alone:
 * a file that one owner has made exclusively cannot be made by a second. Arguments: folder, for how many milliseconds.
 */

import fs from 'node:fs';
import path from 'node:path';
import { lockFolder } from '../../src/node/folder-lock.ts';

const [folder = '', durationMs = ''] = process.argv.slice(2);
const proof = path.join(folder, 'owned');
const end = performance.now() + Number(durationMs);
let turns = 0;

while (performance.now() < end) {
  // Without waiting: the more often all of them try at the same moment, the better.
  const lock = await lockFolder(folder, 0).catch((error: { code?: string }) => {
    if (error.code !== 'LOCKED') throw error;
  });
  if (lock === undefined) continue;
  // Fails when somebody else has the folder too.
  fs.closeSync(fs.openSync(proof, 'wx'));
  fs.rmSync(proof);
  lock.release();
  turns++;
}
fs.writeSync(1, `took ${turns}\n`);
