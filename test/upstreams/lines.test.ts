// ShibuDB and NubDB behind the server. There is no real server of theirs to be had here: the upstreams talk to our own listeners,
// which are held to recordings of the real ones (test/listeners).

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type ServeOptions, serve } from '../../src/server.ts';
import { admin, bridged, checkCapabilities, refused } from './bridged.ts';

async function far(t: TestContext, options: ServeOptions): Promise<Record<string, number | undefined>> {
  const server = await serve('far', { storage: 'memory', admin, loginsPerMinute: 1000, ...options });
  t.after(() => server.close());
  return { ...server.listeners };
}

const login = `${admin.username}:${encodeURIComponent(admin.password)}`;

test('ShibuDB: single calls on keys and vectors; all else is refused', async (t) => {
  const { shibudb } = await far(t, { shibudb: 0 });
  const { db } = await bridged(t, `shibudb://${login}@127.0.0.1:${shibudb}`);
  await refused(db.createSpace('kv', 'key-value'), 'shibudb', 'createSpace');
  await db.createSpace('kv', 'key-value', { durability: 'none' });
  await assert.rejects(db.createSpace('kv', 'key-value', { durability: 'none' }), { code: 'SPACE_EXISTS' });
  const kv = db.space('kv');
  await kv.put('k', 'quote " and\nline');
  assert.equal(await kv.get('k'), 'quote " and\nline');
  assert.equal(await kv.get('none'), undefined);
  assert.equal(await kv.exists('k'), true);
  assert.equal(await kv.delete('k'), true);
  assert.equal(await kv.delete('k'), false);
  await refused(kv.put('k', Uint8Array.of(1)), 'shibudb', 'put');
  await refused(kv.put('k', 'v', { ttlMs: 1000 }), 'shibudb', 'put');
  await refused(kv.increment('k'), 'shibudb', 'increment');
  await refused(kv.putIf('k', 'v', undefined), 'shibudb', 'putIf');
  await refused(kv.size(), 'shibudb', 'size');
  await refused(kv.getStream('k'), 'shibudb', 'getStream');
  await refused(kv.putStream('k', new Blob(['v'])), 'shibudb', 'putStream');
  await refused(kv.scan()[Symbol.asyncIterator]().next(), 'shibudb', 'scan');
  await db.createSpace('v', 'vector', { dimension: 2, durability: 'none' });
  const v = db.space('v');
  await v.insertVectors([1, 2, 3], Float32Array.of(0, 0, 1, 0, 0, 2));
  await v.insertVector(2n ** 62n, [5, 5]);
  assert.deepEqual(await v.searchTopK([0, 0], 2), [
    { id: 1, distance: 0 },
    { id: 2, distance: 1 },
  ]);
  assert.equal((await v.searchTopK([5, 5], 1))[0]?.id, 2n ** 62n);
  assert.deepEqual(
    (await v.rangeSearch([0, 0], 2)).map(({ id }) => id),
    [1, 2],
  );
  const batch = await v.searchTopKBatch(Float32Array.of(0, 0, 5, 5), 2);
  assert.deepEqual(
    batch.map((hits) => hits.map(({ id }) => id)),
    [
      [1, 2],
      [2n ** 62n, 3],
    ],
  );
  // Ties: of 1 and 4 from (0, 0), a page ends between them.
  await v.insertVector(4, [0, 0]);
  const pages: unknown[] = [];
  for await (const page of v.rangeSearchPages([0, 0], 1000, { pageSize: 1 })) pages.push(page[0]?.id);
  assert.deepEqual(pages, [1, 4, 2, 3, 2n ** 62n]);
  await assert.rejects(v.insertVector(1, [1, 2, 3]), { code: 'INVALID_ARGUMENT' });
  await refused(v.getVector(1), 'shibudb', 'getVector');
  await refused(
    db.createSpace('t', 'vector', { dimension: 2, ids: 'string', durability: 'none' }),
    'shibudb',
    'createSpace',
  );
  await refused(
    db.createSpace('t', 'vector', { dimension: 2, metric: 'Cosine', durability: 'none' }),
    'shibudb',
    'createSpace',
  );
  assert.deepEqual(
    (await db.listSpaces()).map(({ name, engine }) => [name, engine]),
    [
      ['kv', 'key-value'],
      ['v', 'vector'],
    ],
  );
  await db.deleteSpace('kv');
  await assert.rejects(kv.get('k'), { code: 'SPACE_NOT_FOUND' });
  await checkCapabilities(db, 'v', 'shibudb');
});

test('NubDB: one space of words', async (t) => {
  const { nubdb } = await far(t, { nubdb: 0, guest: admin.username });
  const { db } = await bridged(t, `nubdb://127.0.0.1:${nubdb}/cache`);
  assert.deepEqual(await db.listSpaces(), [{ name: 'cache', engine: 'key-value', durability: 'none' }]);
  await checkCapabilities(db, 'cache', 'nubdb');
  const kv = db.space('cache');
  await kv.put('k', 'v');
  assert.equal(await kv.get('k'), 'v');
  assert.equal(await kv.get('none'), undefined);
  assert.equal(await kv.increment('n'), 1);
  assert.equal(await kv.increment('n', -1), 0);
  await assert.rejects(kv.increment('k'), { code: 'NOT_A_NUMBER' });
  assert.equal(await kv.size(), 2);
  await refused(kv.put('k', 'two words'), 'nubdb', 'put');
  await refused(kv.put('k', 'v', { ttlMs: 1500 }), 'nubdb', 'put');
  await refused(kv.increment('n', 2), 'nubdb', 'increment');
  await refused(kv.getMany(['k']), 'nubdb', 'getMany');
  await kv.put('t', 'v', { ttlMs: 60_000 });
  assert.equal(await kv.delete('t'), true);
  await kv.clear();
  assert.equal(await kv.exists('k'), false);
  await assert.rejects(db.get('k', { space: 'other' }), { code: 'SPACE_NOT_FOUND' });
  await refused(db.createSpace('more', 'key-value'), 'nubdb', 'createSpace');
});
