// Postgres behind the server: pgvector in PGlite over its socket (one connection), and Debian's server for what is about durability
// and several connections.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Database, Where } from '../../src/api/database.ts';
import { missing } from '../support/debian.ts';
import { Random } from '../support/random.ts';
import { bridged, checkCapabilities, checkKeyValue, checkScans, refused } from './bridged.ts';
import { noPglite, startPglite } from './pglite.ts';

const timeout = 110_000;

/** The distances that the engine gives for the same vectors: what pgvector's must be turned into. */
async function checkLikeEngine(
  db: Database,
  metric: 'L2' | 'InnerProduct' | 'Cosine' | 'L1',
  indexType: 'Flat' | 'HNSW16',
): Promise<void> {
  const name = `${metric}_${indexType}`;
  const options = { dimension: 8, metric, indexType } as const;
  await db.createSpace(name, 'vector', { ...options, durability: 'none' });
  await db.createSpace(`local_${name}`, 'vector', options);
  const random = new Random(7);
  const vectors = random.vectors(300 * 8);
  const ids = Array.from({ length: 300 }, (_, i) => i * 3 - 100);
  for (const space of [name, `local_${name}`]) await db.insertVectors(ids, vectors, { space });
  const query = random.vectors(8);
  const close = (a: readonly { id: unknown; distance: number }[], b: typeof a): void => {
    assert.deepEqual(
      a.map(({ id }) => id),
      b.map(({ id }) => id),
    );
    for (const [i, { distance }] of a.entries())
      assert.ok(Math.abs(distance - (b[i]?.distance ?? 0)) < 1e-5, `${distance} ${b[i]?.distance}`);
  };
  const expected = await db.searchTopK(query, 12, { space: `local_${name}` });
  close(await db.searchTopK(query, 12, { space: name }), expected);
  // Between two of them: the two servers round differently, and one hit's own distance is a border.
  const radius = ((expected[7]?.distance ?? 0) + (expected[8]?.distance ?? 0)) / 2;
  close(
    await db.rangeSearch(query, radius, { space: name }),
    await db.rangeSearch(query, radius, { space: `local_${name}` }),
  );
  assert.deepEqual(await db.getVector(ids[5] ?? 0, { space: name }), vectors.slice(40, 48), 'bit for bit');
  const [hit] = await db.searchTopK(query, 1, { space: name, includeVectors: true });
  assert.ok(hit?.vector instanceof Float32Array);
  // More than an index looks at of itself.
  assert.equal((await db.searchTopK(query, 250, { space: name })).length, 250);
}

test('pgvector: distances, ranges, ids and vectors are the contract’s', {
  skip: noPglite,
  timeout,
}, async (t) => {
  const { db } = await bridged(t, (await startPglite(t)).url);
  for (const metric of ['L2', 'InnerProduct', 'Cosine', 'L1'] as const)
    await checkLikeEngine(db, metric, 'Flat');
  await checkLikeEngine(db, 'L2', 'HNSW16');
  await checkLikeEngine(db, 'Cosine', 'HNSW16');
  await db.createSpace('texts', 'vector', { dimension: 2, ids: 'string', durability: 'none' });
  const texts = db.space('texts');
  await texts.insertVector('b', [1, 2]);
  await texts.insertVector('B', [3, 4]);
  await texts.insertVector('b', [5, 6]);
  assert.equal(await texts.countVectors(), 2);
  const seen: unknown[] = [];
  for await (const { id, vector: found } of texts.scanVectors()) seen.push([id, [...found]]);
  assert.deepEqual(
    seen,
    [
      ['B', [3, 4]],
      ['b', [5, 6]],
    ],
    'by bytes',
  );
  assert.equal(await texts.deleteVector('b'), true);
  assert.equal(await texts.deleteVector('b'), false);
  await assert.rejects(texts.insertVector(7, [1, 2]), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(texts.insertVector('c', [1, 2, 3]), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(texts.get('b'), { code: 'WRONG_ENGINE' });
  const big = 2n ** 62n + 1n;
  await db.insertVector(big, new Float32Array(8), { space: 'L2_Flat' });
  assert.equal((await db.searchTopK(new Float32Array(8), 1, { space: 'L2_Flat' }))[0]?.id, big);
  for (const metric of ['Linf', 'Canberra', 'Hamming'] as const)
    await refused(
      db.createSpace('m', 'vector', { dimension: 8, metric, durability: 'none' }),
      'postgres',
      'createSpace',
    );
  const wide = { dimension: 3000, indexType: 'HNSW16', durability: 'none' } as const;
  await refused(db.createSpace('m', 'vector', wide), 'postgres', 'createSpace');
  assert.equal(
    (await db.listSpaces()).some(({ name }) => name === 'm'),
    false,
    'nothing is left of what was refused',
  );
  await checkCapabilities(db, 'L2_HNSW16', 'postgres');
  const { upstream, count, index } = await db.describeSpace('L2_HNSW16');
  assert.match(upstream?.metrics ?? '', /pgvector/);
  assert.deepEqual({ count, index }, { count: 300, index: { linked: 300, pending: 0 } });
  await db.createSpace('kv', 'key-value', { durability: 'none' });
  await checkKeyValue(db, 'kv');
});

const bin = globSync('/usr/lib/postgresql/*/bin')[0] ?? '/usr/lib/postgresql/15/bin';
const skip = missing(path.join(bin, 'initdb'), 'postgresql');

async function postgres(t: TestContext): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-postgres-'));
  // It does not run as root.
  const asUser =
    process.getuid?.() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];
  if (asUser.length > 0) {
    const id = (flag: string): number =>
      Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout);
    chownSync(folder, id('-u'), id('-g'));
  }
  const data = path.join(folder, 'data');
  const [program = '', ...args] = [
    ...asUser,
    path.join(bin, 'initdb'),
    '-D',
    data,
    '-U',
    'app',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--locale=C',
  ];
  const made = spawnSync(program, args, { encoding: 'utf8', cwd: folder });
  assert.equal(made.status, 0, made.stderr);
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const [server = '', ...settings] = [
    ...asUser,
    path.join(bin, 'postgres'),
    '-D',
    data,
    '-p',
    String(port),
    '-h',
    '127.0.0.1',
    '-k',
    folder,
  ];
  const child = spawn(server, settings, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  t.after(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGINT');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (chunk) => {
      said += chunk;
      if (/ready to accept connections/.test(said)) resolve();
    });
    child.once('exit', () => reject(new Error(said)));
  });
  return `postgres://app@127.0.0.1:${port}/postgres`;
}

test('a real server: strict key-value spaces, atomic calls, and what it lacks', {
  skip,
  timeout,
}, async (t) => {
  const { db } = await bridged(t, await postgres(t));
  await db.createSpace('kv', 'key-value');
  await checkKeyValue(db, 'kv');
  await checkScans(db, 'kv');
  const kv = db.space('kv');
  await kv.put('zero\0key', 'zero\0value');
  assert.equal(await kv.get('zero\0key'), 'zero\0value');
  await kv.putMany([
    { key: 'a', value: '1' },
    { key: 'a', value: '2' },
    { key: 'b', value: Uint8Array.of(1), ttlMs: 60_000 },
  ]);
  assert.deepEqual(await kv.getMany(['a', 'none', 'b', 'a']), ['2', undefined, Uint8Array.of(1), '2']);
  assert.equal(await kv.deleteMany(['a', 'b', 'none']), 2);
  const won = await Promise.all(Array.from({ length: 20 }, (_, i) => kv.putIf('race', String(i), undefined)));
  assert.equal(won.filter(Boolean).length, 1);
  await kv.clear();
  assert.equal(await kv.size(), 0);
  if (!existsSync('/usr/share/postgresql/15/extension/vector.control'))
    await refused(db.createSpace('v', 'vector', { dimension: 2 }), 'postgres', 'createSpace');
  await db.deleteSpace('kv');
  await assert.rejects(kv.get('a'), { code: 'SPACE_NOT_FOUND' });
});

test('pgvector: metadata, and where as SQL, answer as the engine does', {
  skip: noPglite,
  timeout,
}, async (t) => {
  const { db } = await bridged(t, (await startPglite(t)).url);
  const metadataFields = [
    { name: 'category', type: 'string' },
    { name: 'it\'s "odd" -- name', type: 'int' },
    { name: 'price', type: 'float' },
    { name: 'sold', type: 'bool' },
    { name: 'tags', type: 'string[]' },
  ] as const;
  const options = { dimension: 4, metadataFields: [...metadataFields], durability: 'none' } as const;
  const spaces = ['far', 'local far'];
  const random = new Random(5);
  const vectors = random.vectors(200 * 4);
  const ids = Array.from({ length: 200 }, (_, i) => i);
  const metadata = ids.map((i) =>
    i % 11 === 0
      ? undefined
      : {
          category: ['a', 'B', "c'); DROP TABLE x; --", 'ä'][i % 4] ?? '',
          'it\'s "odd" -- name': i * 7 - 300,
          ...(i % 3 === 0 ? {} : { price: i / 8 }),
          sold: i % 2 === 0,
          tags: i % 5 === 0 ? [] : [`t${i % 5}`, `u${i % 3}`],
          loose: { anything: [i, null] },
        },
  );
  for (const space of spaces) {
    await db.createSpace(space, 'vector', options);
    await db.insertVectors(ids, vectors, { space, metadata });
  }
  const query = random.vectors(4);
  const odd = 'it\'s "odd" -- name';
  const wheres: Where[] = [
    'category = a',
    "category != 'B'",
    "category = 'c''); DROP TABLE x; --'",
    'category > B',
    'price < 5 AND sold = true',
    'price BETWEEN 2 AND 7.5 OR category IN (a, B)',
    'NOT (price >= 3)',
    { op: 'lt', field: odd, value: 0 },
    { op: 'in', field: odd, values: [-300, -293, 1000] },
    { op: 'exists', field: 'price' },
    { op: 'exists', field: 'tags' },
    { op: 'in', field: 'tags', values: ['t1', 'u2'] },
    { op: 'not', filters: [{ op: 'eq', field: 'tags', value: 't1' }] },
    { text: 'category = ? AND price > :none', params: [] },
    'colour = red',
    'price < cheap',
  ];
  const outcome = async (space: string, where: Where): Promise<unknown> => {
    try {
      const hits = await db.searchTopK(query, 15, { space, where, includeMetadata: true });
      const range = await db.rangeSearch(query, 1.5, { space, where });
      return [
        hits.map(({ id, metadata: found }) => [id, found]),
        range.map(({ id }) => id),
        await db.countVectors({ space, where }),
      ];
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  let refusedCount = 0;
  for (const where of wheres) {
    const expected = await outcome('local far', where);
    if (typeof expected === 'string') refusedCount++;
    assert.deepEqual(await outcome('far', where), expected, JSON.stringify(where));
  }
  assert.equal(refusedCount, 3);
  for (const space of spaces) {
    assert.equal(await db.updateMetadata(1, { category: 'new', price: null, more: 1 }, { space }), true);
    assert.equal(await db.updateMetadata(2, { sold: true }, { space, replace: true }), true);
    assert.equal(await db.updateMetadata(12345, { sold: true }, { space }), false);
    assert.equal(
      await db.deleteVectors({ where: "category = 'ä'" }, { space }),
      metadata.filter((each) => each?.category === 'ä').length,
    );
  }
  for (const id of [0, 1, 2, 3, 12345])
    assert.deepEqual(
      await db.getMetadata(id, { space: 'far' }),
      await db.getMetadata(id, { space: 'local far' }),
      String(id),
    );
  const scanned = async (space: string): Promise<unknown[]> => {
    const seen: unknown[] = [];
    for await (const { id, metadata: found } of db.scanVectors({ space, where: 'sold = true' }))
      seen.push([id, found]);
    return seen;
  };
  assert.deepEqual(await scanned('far'), await scanned('local far'));
  await assert.rejects(db.insertVector(1, [1, 2, 3, 4], { space: 'far', metadata: { price: 'much' } }), {
    code: 'INVALID_ARGUMENT',
  });
});
