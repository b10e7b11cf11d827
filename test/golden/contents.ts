/** What the golden databases hold: the same in every format, written by `make.ts` and looked for by the test. */

import assert from 'node:assert/strict';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { Database } from '../../src/api/database.ts';
import { Random } from '../support/random.ts';

const dimension = 12;
const count = 300;
const vectors: Float32Array = new Random(1).vectors(count * dimension);
const vectorOf = (i: number): Float32Array => vectors.slice(i * dimension, (i + 1) * dimension);
const large: Uint8Array = new Random(2).bytes(40_000);
/** In the year 2286. */
const deadlineMs = 1e13;

/** Half of it lies in blocks, the rest in the log. */
export async function fill(db: Database): Promise<void> {
  await db.createSpace('notes', 'key-value');
  await db.createSpace('ints', 'vector', { dimension, indexType: 'HNSW8', metric: 'Cosine' });
  await db.createSpace('words', 'vector', {
    dimension,
    ids: 'string',
    metadataFields: [{ name: 'page', type: 'int' }],
  });
  await db.createSpace('bits', 'vector', { dimension: 20, metric: 'Hamming' });
  for (const [from, to] of [
    [0, count / 2],
    [count / 2, count],
  ] as const) {
    const ids = Array.from({ length: to - from }, (_, i) => from + i);
    await db.putMany(
      ids.map((i) => ({ key: `key ${i} é`, value: `value ${i}` })),
      { space: 'notes' },
    );
    const rows = vectors.subarray(from * dimension, to * dimension);
    await db.insertVectors(ids, rows, { space: 'ints' });
    await db.insertVectors(
      ids.map((i) => `id ${i}`),
      rows,
      { space: 'words', metadata: ids.map((i) => ({ page: i % 10, note: `note ${i}` })) },
    );
    await db.waitForIndex({ space: 'ints' });
    if (from === 0) {
      await db.put('large', large, { space: 'notes' });
      await db.put('later', 'expires', { space: 'notes', ttlMs: deadlineMs - Date.now() });
      await db.insertVector(-7, new Uint8Array([1, 2, 3]), { space: 'bits' });
      await db.checkpoint();
    }
  }
  await db.delete('key 3 é', { space: 'notes' });
  await db.deleteVector(3, { space: 'ints' });
  await db.increment('counter', 41, { space: 'notes' });
}

export async function check(db: Database): Promise<void> {
  assert.deepEqual(
    (await db.listSpaces()).map(({ name, engine, indexType, metric, ids }) => [
      name,
      engine,
      indexType,
      metric,
      ids,
    ]),
    [
      ['notes', 'key-value', undefined, undefined, undefined],
      ['ints', 'vector', 'HNSW8', 'Cosine', 'int'],
      ['words', 'vector', 'Flat', 'L2', 'string'],
      ['bits', 'vector', 'Flat', 'Hamming', 'int'],
    ],
  );
  const notes = db.space('notes');
  assert.equal(await notes.size(), count - 1 + 3);
  for (let i = 0; i < count; i++)
    assert.equal(await notes.get(`key ${i} é`), i === 3 ? undefined : `value ${i}`);
  assert.deepEqual(await notes.get('large'), large);
  assert.equal(await notes.get('counter'), '41');
  assert.ok(Math.abs(((await notes.ttl('later')) ?? 0) + Date.now() - deadlineMs) < 60_000);
  for (let i = 0; i < count; i++) {
    assert.deepEqual(await db.getVector(i, { space: 'ints' }), i === 3 ? undefined : vectorOf(i));
    assert.deepEqual(await db.getVector(`id ${i}`, { space: 'words' }), vectorOf(i));
  }
  assert.deepEqual(await db.getVector(-7, { space: 'bits' }), new Uint8Array([1, 2, 3]));
  assert.equal(await db.countVectors({ space: 'words', where: 'page=7' }), count / 10);
  const [near] = await db.searchTopK(vectorOf(42), 1, { space: 'words', includeMetadata: true });
  assert.deepEqual(near?.metadata, { page: 2, note: 'note 42' });
  const [hit] = await db.searchTopK(vectorOf(200), 1, { space: 'ints' });
  assert.equal(hit?.id, 200);
  assert.deepEqual((await db.verify()).faults, []);
}

/** Files by name, small enough for a repository: blocks are mostly zeros. */
export function pack(files: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const texts = Object.entries(files).map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]);
  return gzipSync(JSON.stringify(Object.fromEntries(texts)), { level: 9 });
}

export function unpack(packed: Uint8Array): Map<string, Uint8Array> {
  const texts = JSON.parse(gunzipSync(packed).toString('utf8')) as Record<string, string>;
  return new Map(Object.entries(texts).map(([name, text]) => [name, Buffer.from(text, 'base64')]));
}
