/** `shibumi/node` as its users meet it: the folder, the options, what arguments belong to whom. */

import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { deleteDatabase, open, QueryError, ShibuDbError } from '../../src/node.ts';
import { nodeCore } from '../support/node-database.ts';
import { freshFolder } from './places.ts';

const floats = (count: number, seed = 0): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.3 + seed));

test('what was written is there after closing and opening, index included', async () => {
  await using folder = await freshFolder();
  const place = path.join(folder.path, 'deep', 'library');
  {
    await using db = await open(place);
    await db.createSpace('titles', 'key-value');
    await db.createSpace('books', 'vector', {
      dimension: 16,
      indexType: 'HNSW8',
      metric: 'Cosine',
      ids: 'string',
    });
    await db.put('a', 'text', { space: 'titles' });
    await db.put('b', new Uint8Array([1, 2, 3]), { space: 'titles' });
    const ids = Array.from({ length: 700 }, (_, i) => `book ${i}`);
    await db.insertVectors(ids, floats(700 * 16), { space: 'books' });
    await db.waitForIndex({ space: 'books' });
    const stats = await db.stats();
    assert.equal(stats.storage, 'files');
    assert.equal(stats.persisted, true);
    assert.ok((stats.usageBytes ?? 0) > 700 * 16 * 4);
  }
  await using db = await open(place, { create: false });
  assert.equal(await db.get('a', { space: 'titles' }), 'text');
  assert.deepEqual(await db.get('b', { space: 'titles' }), new Uint8Array([1, 2, 3]));
  assert.deepEqual((await db.describeSpace('books')).index, { linked: 700, pending: 0 });
  assert.deepEqual(await db.getVector('book 3', { space: 'books' }), floats(700 * 16).slice(48, 64));
  const [hit] = await db.searchTopK(floats(700 * 16).slice(48, 64), 1, { space: 'books' });
  assert.equal(hit?.id, 'book 3');
});

test('a deleted space leaves no files', async () => {
  await using folder = await freshFolder();
  await using db = await open(folder.path);
  for (const space of ['one', 'two']) {
    await db.createSpace(space, 'key-value');
    await db.put('key', 'value', { space });
  }
  await db.checkpoint();
  await db.deleteSpace('one');
  const names = (await readdir(folder.path)).filter((name) => name.startsWith('space-'));
  assert.deepEqual(names, ['space-2']);
});

test('deleteDatabase removes what is ours and nothing else', async () => {
  await using folder = await freshFolder();
  const place = path.join(folder.path, 'db');
  const fill = async (): Promise<void> => {
    await using db = await open(place);
    await db.createSpace('s', 'key-value');
    await db.put('key', 'value', { space: 's' });
  };
  await fill();
  await writeFile(path.join(place, 'notes.txt'), 'mine');
  await deleteDatabase(place);
  assert.deepEqual(await readdir(place), ['notes.txt']);
  await assert.rejects(() => open(place, { create: false }), { code: 'STORAGE_UNAVAILABLE' });
  await fill();
  await deleteDatabase(path.join(folder.path, 'nowhere'));
  await rm(path.join(place, 'notes.txt'));
  await deleteDatabase(place);
  assert.deepEqual(await readdir(folder.path), []);
});

test('memory keeps nothing and touches no folder', async () => {
  await using folder = await freshFolder();
  const place = path.join(folder.path, 'db');
  const [one, two] = [await open(place, { storage: 'memory' }), await open(place, { storage: 'memory' })];
  await one.createSpace('s', 'key-value');
  assert.equal((await one.stats()).storage, 'memory');
  assert.deepEqual(await two.listSpaces(), []);
  await one.close();
  await two.close();
  assert.deepEqual(await readdir(folder.path), []);
});

test('the build and the core can be chosen', async () => {
  await using folder = await freshFolder();
  const file = path.resolve(import.meta.dirname, '../../build/wasm/shibumi-simd128.wasm');
  const choices = [{}, { wasm: file }, { wasm: nodeCore().module }] as const;
  for (const choice of choices) {
    await using db = await open(folder.path, { build: 'simd128', ...choice });
    assert.equal((await db.stats()).build, 'simd128');
  }
  const missing = path.join(folder.path, 'missing.wasm');
  await assert.rejects(() => open(folder.path, { wasm: missing }), {
    code: 'WASM_UNAVAILABLE',
    message: /missing\.wasm/,
  });
});

test('arguments that make no sense are refused with what was found', async () => {
  await assert.rejects(() => open(''), QueryError);
  await assert.rejects(() => open(7 as never), /Got 7 for the database's path/);
  await assert.rejects(() => open('x', { openTimeoutMs: -1 }), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(() => open('x', { storage: 'indexeddb' as never }), /expected one of files, memory/);
  await assert.rejects(() => open('x', { build: 'avx' as never }), { code: 'INVALID_ARGUMENT' });
});

test('a place that cannot be used says so, with its path', async (t) => {
  await using folder = await freshFolder();
  const file = path.join(folder.path, 'a-file');
  await writeFile(file, '');
  for (const place of [file, path.join(file, 'below')]) {
    await assert.rejects(() => open(place), { code: 'STORAGE_UNAVAILABLE', message: new RegExp(place) });
  }
  if (process.getuid?.() === 0) return t.diagnostic('root may write everywhere: no folder is forbidden');
  const forbidden = path.join(folder.path, 'forbidden');
  await mkdir(forbidden);
  await chmod(forbidden, 0o500);
  await assert.rejects(() => open(forbidden), { code: 'STORAGE_UNAVAILABLE' });
});

test('a damaged block, manifest or block index names its space and leaves the others alone', async () => {
  for (const [name, at] of [
    ['blocks', 9],
    ['manifest', 30],
    ['manifest', -5],
  ] as const) {
    await using folder = await freshFolder();
    {
      await using db = await open(folder.path);
      for (const space of ['good', 'bad']) {
        await db.createSpace(space, 'key-value');
        await db.put('key', 'value', { space });
      }
    }
    const file = path.join(folder.path, 'space-2', name);
    const bytes = await readFile(file);
    const place = at < 0 ? bytes.length + at : at;
    bytes[place] = (bytes[place] as number) ^ 1;
    await writeFile(file, bytes);
    await using db = await open(folder.path);
    assert.equal(await db.get('key', { space: 'good' }), 'value');
    const damaged = { code: 'CORRUPTION', message: /"bad"/ };
    await assert.rejects(() => db.get('key', { space: 'bad' }), damaged, `${name} at ${at}`);
  }
});

test('vectors are the caller’s again as soon as the call returns', async () => {
  await using folder = await freshFolder();
  await using db = await open(folder.path);
  await db.createSpace('v', 'vector', { dimension: 256 });
  // Several chunks of 1 MiB: most are encoded long after the call returned.
  const ids = Array.from({ length: 12_000 }, (_, i) => i);
  const vectors = floats(12_000 * 256);
  const inserted = db.insertVectors(ids, vectors, { space: 'v' });
  vectors.fill(0);
  ids.fill(0);
  await inserted;
  assert.equal(await db.countVectors({ space: 'v' }), 12_000);
  const last = await db.getVector(11_999, { space: 'v' });
  assert.deepEqual(last, floats(12_000 * 256).slice(11_999 * 256));
});

test('a buffer that is handed over is detached, as behind a worker', async () => {
  await using db = await open('memory', { storage: 'memory' });
  await db.createSpace('v', 'vector', { dimension: 4 });
  const vectors = floats(8);
  await db.insertVectors([1, 2], vectors, { space: 'v', transfer: true });
  assert.equal(vectors.length, 0);
  assert.deepEqual(await db.getVector(2, { space: 'v' }), floats(8).slice(4));
});

test('errors keep their class, deadlines and aborts work, and close may be called twice', async () => {
  const db = await open('memory', { storage: 'memory' });
  await db.createSpace('v', 'vector', { dimension: 64 });
  await assert.rejects(() => db.put('key', 'value', { space: 'v' }), { code: 'WRONG_ENGINE' });
  await assert.rejects(() => db.put('key', 'value', { space: 'none' }), QueryError);
  const controller = new AbortController();
  const count = 40_000;
  const inserting = db.insertVectors(
    Array.from({ length: count }, (_, i) => i),
    floats(count * 64),
    { space: 'v', signal: controller.signal, onProgress: () => controller.abort() },
  );
  await assert.rejects(inserting, (error) => {
    assert.ok(error instanceof ShibuDbError);
    assert.equal(error.code, 'ABORTED');
    const acknowledged = error.details.acknowledged as number;
    assert.ok(acknowledged > 0 && acknowledged < count, `acknowledged ${acknowledged}`);
    return true;
  });
  await Promise.all([db.close(), db.close()]);
  await db.close();
  await assert.rejects(() => db.listSpaces(), { code: 'CLOSED' });
});
