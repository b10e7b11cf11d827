/** Parts of a script: loaded once, after what they need, and tried again where they could not be had. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ConnectionError, isShibuDbError } from '../../src/api/errors.ts';
import { Part } from '../../src/base/part.ts';
import { keyValuePart } from '../../src/engine/parts.ts';
import { openInProcess } from './database.ts';

test('a part is loaded once, whoever asks, and gives at once what is made of it from then on', async () => {
  let imports = 0;
  const part = new Part(async () => ({ number: ++imports }));
  assert.equal(part.isLoaded, false);
  assert.throws(() => part.loaded, /before it was loaded/);
  const made = part.use(({ number }) => number * 10);
  assert.ok(made instanceof Promise);
  const [first, second] = await Promise.all([part.load(), part.load()]);
  assert.equal(first, second);
  assert.equal(await made, 10);
  assert.equal(part.isLoaded, true);
  assert.equal(part.loaded, first);
  assert.equal(
    part.use(({ number }) => number * 10),
    10,
  );
  assert.equal(imports, 1);
});

test('what a part needs is there before it, and what it could not get is told as it is', async () => {
  const order: string[] = [];
  let broken = true;
  const below = new Part(async () => {
    if (broken) throw new Error('the network is down');
    order.push('below');
    return {};
  });
  const above = new Part(async () => {
    order.push('above');
    return {};
  }, [below]);
  await assert.rejects(above.load(), { code: 'SCRIPT_UNAVAILABLE', message: /the network is down/ });
  assert.equal(above.isLoaded, false);
  broken = false;
  await above.load();
  assert.ok(below.isLoaded);
  assert.equal(order.at(-1), 'above');
  assert.ok(order.includes('below'));
});

test('a file that is not there is named, and found once it is', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-part-'));
  try {
    const file = path.join(folder, 'part.mjs');
    const url = pathToFileURL(file);
    const part = new Part<{ answer: number }>(() => url);
    for (let attempt = 0; attempt < 2; attempt++)
      await assert.rejects(part.load(), (error) => {
        assert.ok(isShibuDbError(error) && !(error instanceof ConnectionError));
        assert.equal(error.code, 'SCRIPT_UNAVAILABLE');
        assert.deepEqual(error.details, { url: url.href });
        assert.ok(error.message.includes(url.href));
        return true;
      });
    writeFileSync(file, 'export const answer = 42;');
    assert.equal((await part.load()).answer, 42);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('what was called before its part was there goes to the space of that moment, before the database closes', async () => {
  const db = await openInProcess();
  await db.createSpace('kv', 'key-value');
  await db.createSpace('other', 'key-value');
  await db.useSpace('kv');
  assert.equal(keyValuePart.isLoaded, false);
  const { disk } = db;
  const writes = [db.put('a', '1'), db.putMany([{ key: 'b', value: '2' }], { space: 'kv' })];
  const using = db.useSpace('other');
  const closing = db.close();
  const late = db.put('c', '3', { space: 'kv' });
  await assert.rejects(late, { code: 'CLOSED' });
  await closing;
  await Promise.all([...writes, using]);
  const again = await openInProcess(disk);
  assert.deepEqual(await again.getMany(['a', 'b', 'c'], { space: 'kv' }), ['1', '2', undefined]);
  assert.equal(await again.size({ space: 'other' }), 0);
  await again.close();
});
