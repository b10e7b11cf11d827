// Keeps a machine busy until it is ended: `node tools/burn.mjs processor` or `disk`. For tools/crash.mjs --load.

import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const fileBytesMax = 256 * 1024 * 1024;

if (process.argv[2] === 'disk') burnDisk();
else for (let x = 1; ; x = Math.sin(x) + 2);

function burnDisk() {
  const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-burn-'));
  const file = openSync(path.join(folder, 'burn'), 'w');
  let going = true;
  process.once('SIGTERM', () => {
    going = false;
  });
  const piece = Buffer.alloc(4 * 1024 * 1024, 7);
  const step = (/** @type {number} */ at) => {
    if (!going) {
      closeSync(file);
      rmSync(folder, { recursive: true, force: true });
      return;
    }
    writeSync(file, piece, 0, piece.length, at);
    fsyncSync(file);
    setImmediate(step, (at + piece.length) % fileBytesMax);
  };
  step(0);
}
