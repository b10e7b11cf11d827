/**
 * Writes the golden database of the format that is current: `node tools/with-node24.mjs test/golden/make.ts`. Once a format is
 * released its file is never written again; until then it is made anew whenever the format changes.
 */

import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { formatVersion } from '../../src/base/build.ts';
import { open } from '../../src/node.ts';
import { check, fill, pack } from './contents.ts';

const folder = await mkdtemp(path.join(tmpdir(), 'shibumi-golden-'));
const [live, copy] = [path.join(folder, 'live'), path.join(folder, 'copy')];
const db = await open(live);
await fill(db);
// As it is while it is open: closing would empty the log.
await cp(live, copy, { recursive: true, filter: (name) => !path.basename(name).startsWith('lock-') });
const pieces: Uint8Array[] = [];
await db.exportTo(new WritableStream({ write: (piece) => void pieces.push(piece) }));
await db.close();
const files: Record<string, Uint8Array> = { export: Buffer.concat(pieces) };
for (const name of (await readdir(copy, { recursive: true, withFileTypes: true })).filter((one) =>
  one.isFile(),
)) {
  const file = path.join(name.parentPath, name.name);
  files[`database/${path.relative(copy, file).replaceAll('\\', '/')}`] = await readFile(file);
}
const again = await open(copy);
await check(again);
await again.close();
const target = path.join(import.meta.dirname, `format-${formatVersion}.json.gz`);
await writeFile(target, pack(files));
await rm(folder, { recursive: true });
console.log(`${target}: ${Object.keys(files).length} files`);
