/** Databases and exports of every format there was are opened by today's code, with all that is in them. */

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { formatVersion } from '../../src/base/build.ts';
import { open } from '../../src/node.ts';
import { check, unpack } from './contents.ts';

const golden = (await readdir(import.meta.dirname)).filter((name) => name.endsWith('.json.gz')).sort();

async function folderOf(t: TestContext, files: ReadonlyMap<string, Uint8Array>): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'shibumi-golden-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [name, bytes] of files) {
    await mkdir(path.join(folder, path.dirname(name)), { recursive: true });
    await writeFile(path.join(folder, name), bytes);
  }
  return folder;
}

test('there is one for every format', () => {
  const expected = Array.from({ length: formatVersion }, (_, i) => `format-${i + 1}.json.gz`);
  assert.deepEqual(golden, expected);
});

for (const name of golden) {
  test(`${name}: the database opens, is sound, and takes writes`, async (t) => {
    const folder = await folderOf(t, unpack(await readFile(path.join(import.meta.dirname, name))));
    const db = await open(path.join(folder, 'database'));
    await check(db);
    await db.put('new', 'one', { space: 'notes' });
    await db.close();
    const again = await open(path.join(folder, 'database'));
    assert.equal(await again.get('new', { space: 'notes' }), 'one');
    await again.delete('new', { space: 'notes' });
    await check(again);
    await again.close();
  });

  test(`${name}: the export is read`, async (t) => {
    const folder = await folderOf(t, unpack(await readFile(path.join(import.meta.dirname, name))));
    const bytes = new Uint8Array(await readFile(path.join(folder, 'export')));
    const db = await open(path.join(folder, 'imported'));
    await db.importFrom(new Blob([bytes]).stream());
    await check(db);
    await db.close();
  });
}
