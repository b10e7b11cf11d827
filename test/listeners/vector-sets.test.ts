// Vector sets as in Redis 8, by real clients: elements, attributes, filters, in both versions of the protocol, and what is refused.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import type { Database } from '../../src/api/database.ts';
import { Random } from '../support/random.ts';
import { admin, served } from './served.ts';

async function servedResp(t: TestContext): Promise<{ port: number; db: Database }> {
  const made = await served(t, { resp: 0 });
  return { port: made.portOf('resp'), db: made.db };
}

function ioredis(t: TestContext, port: number): Redis {
  const client = new Redis({ port, host: '127.0.0.1', ...admin, maxRetriesPerRequest: 1, protocol: 2 });
  client.on('error', () => {});
  t.after(() => client.disconnect());
  return client;
}

const fp32 = (...xs: number[]): Buffer => Buffer.from(Float32Array.from(xs).buffer);

test('a vector set: as bytes, by element, within a distance, and what is refused', async (t) => {
  const { port, db } = await servedResp(t);
  const redis = ioredis(t, port);
  assert.equal(
    await redis.call('VADD', 'v', 'FP32', fp32(1, 0), 'a', 'CAS', 'NOQUANT', 'EF', '200', 'M', '8'),
    1,
  );
  assert.equal(await redis.call('VADD', 'v', 'FP32', fp32(0, 1), 'b'), 1);
  assert.equal(await redis.call('VADD', 'v', 'FP32', fp32(-1, 0), 'c'), 1);
  const { indexType, metric, ids } = await db.describeSpace('v');
  assert.deepEqual({ indexType, metric, ids }, { indexType: 'HNSW8', metric: 'Cosine', ids: 'string' });
  assert.deepEqual(await redis.call('VSIM', 'v', 'ELE', 'a', 'WITHSCORES'), ['a', '1', 'b', '0.5', 'c', '0']);
  assert.deepEqual(await redis.call('VSIM', 'v', 'ELE', 'a', 'EPSILON', '0.5'), ['a', 'b']);
  assert.deepEqual(await redis.call('VSIM', 'none', 'ELE', 'a'), []);
  assert.equal(await redis.call('VISMEMBER', 'v', 'b'), 1);
  await assert.rejects(redis.call('VSIM', 'v', 'ELE', 'zz'), /element not found/);
  await assert.rejects(
    redis.call('VADD', 'v', 'FP32', fp32(1, 2, 3), 'd'),
    /dimension mismatch - got 3 but set has 2/,
  );
  await assert.rejects(redis.call('VADD', 'v', 'VALUES', '2', '1', 'x', 'd'), /not a valid float/);
  await assert.rejects(
    redis.call('VADD', 'v', 'REDUCE', '1', 'FP32', fp32(1, 2), 'd'),
    /REDUCE is not supported/,
  );
  await assert.rejects(redis.call('VCARD', 'default'), /WRONGTYPE/);
  assert.equal(await redis.call('VCARD', 'none'), 0);
});

test('attributes are set, kept, replaced and taken away', async (t) => {
  const { port, db } = await servedResp(t);
  const redis = ioredis(t, port);
  const call = (...words: (string | Buffer)[]): Promise<unknown> =>
    redis.call(words[0] as string, ...words.slice(1));
  assert.equal(
    await call('VADD', 'v', 'FP32', fp32(1, 0), 'a', 'SETATTR', '{"year": 1950, "tags": ["x", "y"]}'),
    1,
  );
  assert.equal(await call('VGETATTR', 'v', 'a'), '{"tags":["x","y"],"year":1950}');
  assert.equal(await call('VADD', 'v', 'FP32', fp32(0, 1), 'a'), 0, 'a new vector');
  assert.equal(
    await call('VGETATTR', 'v', 'a'),
    '{"tags":["x","y"],"year":1950}',
    'and the former attributes',
  );
  assert.equal(await call('VADD', 'v', 'FP32', fp32(0, 1), 'a', 'SETATTR', '{"year":1951}'), 0);
  assert.equal(await call('VGETATTR', 'v', 'a'), '{"year":1951}');
  assert.equal(await call('VSETATTR', 'v', 'a', '{"year":1952,"deep":{"er":[null,1]}}'), 1);
  assert.equal(await call('VGETATTR', 'v', 'a'), '{"deep":{"er":[null,1]},"year":1952}');
  assert.equal(await call('VSETATTR', 'v', 'a', ''), 1);
  assert.equal(await call('VGETATTR', 'v', 'a'), null);
  assert.equal(await call('VSETATTR', 'v', 'nobody', '{"a":1}'), 0);
  assert.equal(await call('VSETATTR', 'none', 'a', '{"a":1}'), 0);
  assert.equal(await call('VGETATTR', 'v', 'nobody'), null);
  assert.equal(await call('VGETATTR', 'none', 'a'), null);
  for (const text of ['[1]', '5', '{', 'null'])
    await assert.rejects(call('VSETATTR', 'v', 'a', text), /JSON object/);
  await assert.rejects(call('VADD', 'v', 'FP32', fp32(1, 1), 'b', 'SETATTR', 'no'), /JSON object/);
  assert.equal(await call('VISMEMBER', 'v', 'b'), 0, 'nothing of what was refused is there');
  assert.deepEqual(await db.getMetadata('a', { space: 'v' }), {});
  assert.equal(await call('VREM', 'v', 'a'), 1);
});

test('VSIM with FILTER: on attributes nobody declared, and on typed fields', async (t) => {
  const { port, db } = await servedResp(t);
  const redis = ioredis(t, port);
  const random = new Random(5);
  const ids = Array.from({ length: 400 }, (_, i) => `e${String(i).padStart(3, '0')}`);
  const vectors = random.vectors(ids.length * 4);
  const metadata = ids.map((_, i) => ({ year: 1900 + i, genre: i % 40 === 0 ? 'rare' : 'usual' }));
  const options = { dimension: 4, metric: 'Cosine', ids: 'string', indexType: 'HNSW16' } as const;
  const metadataFields = [
    { name: 'year', type: 'int' as const },
    { name: 'genre', type: 'string' as const },
  ];
  await db.createSpace('loose', 'vector', options);
  await db.createSpace('typed', 'vector', { ...options, metadataFields });
  for (const space of ['loose', 'typed']) await db.insertVectors(ids, vectors, { space, metadata });
  const query = random.vectors(4);
  const nearest = await db.searchTopK(query, 400, { space: 'loose', includeMetadata: true });
  const expected = (pass: (found: (typeof metadata)[0]) => boolean): string[] =>
    nearest.filter((hit) => pass(hit.metadata as (typeof metadata)[0])).map(({ id }) => String(id));
  const similar = (space: string, ...words: string[]): Promise<unknown> =>
    redis.call('VSIM', space, 'FP32', Buffer.from(query.buffer), ...words);
  for (const space of ['loose', 'typed']) {
    const rare = expected(({ genre }) => genre === 'rare');
    assert.deepEqual(await similar(space, 'FILTER', '.genre == "rare"', 'COUNT', '5'), rare.slice(0, 5));
    const old = expected(({ year, genre }) => year < 2000 && genre !== 'rare');
    assert.deepEqual(
      await similar(space, 'FILTER', '.year < 2000 and not (.genre == "rare")'),
      old.slice(0, 10),
    );
    const odd = expected(({ year }) => year % 2 === 1);
    assert.deepEqual(await similar(space, 'FILTER', '.year % 2 == 1', 'COUNT', '150'), odd.slice(0, 150));
    assert.deepEqual(await similar(space, 'FILTER', '.nowhere == 1'), []);
    await assert.rejects(similar(space, 'FILTER', '.year >'), /syntax error in FILTER expression/);
  }
  // Twenty of the nearest are looked at, all of them, or, where a where says it, only those that pass.
  const rare = expected(({ genre }) => genre === 'rare');
  const looked = nearest.slice(0, 20).filter((hit) => hit.metadata?.genre === 'rare');
  const few = ['COUNT', '10', 'FILTER', '.genre == "rare"', 'FILTER-EF'];
  assert.deepEqual(
    await similar('loose', ...few, '20'),
    looked.map(({ id }) => id),
  );
  assert.deepEqual(await similar('loose', ...few, '0'), rare);
  assert.deepEqual(await similar('typed', ...few, '20'), rare);
  assert.deepEqual(
    await similar('loose', 'TRUTH', 'COUNT', '7'),
    nearest.slice(0, 7).map(({ id }) => id),
  );
});

test('scores and attributes: in one array in version 2, as values of a map in version 3', async (t) => {
  const { port } = await servedResp(t);
  const words = (...given: string[]): string[] => ['VSIM', 'v', 'ELE', 'a', ...given];
  const first = ioredis(t, port);
  await first.call('VADD', 'v', 'FP32', fp32(1, 0), 'a', 'SETATTR', '{"n":1}');
  await first.call('VADD', 'v', 'FP32', fp32(-1, 0), 'b');
  assert.deepEqual(await first.call('VSIM', ...words('WITHATTRIBS').slice(1)), ['a', '{"n":1}', 'b', null]);
  assert.deepEqual(await first.call('VSIM', ...words('WITHATTRIBS', 'WITHSCORES').slice(1)), [
    'a',
    '1',
    '{"n":1}',
    'b',
    '0',
    null,
  ]);
  const third = createClient({ socket: { port, host: '127.0.0.1' }, ...admin, RESP: 3 });
  third.on('error', () => {});
  t.after(() => third.destroy());
  await third.connect();
  const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
  assert.deepEqual(plain(await third.sendCommand(words('WITHSCORES'))), { a: 1, b: 0 });
  assert.deepEqual(plain(await third.sendCommand(words('WITHATTRIBS'))), { a: '{"n":1}', b: null });
  assert.deepEqual(plain(await third.sendCommand(words('WITHSCORES', 'WITHATTRIBS'))), {
    a: [1, '{"n":1}'],
    b: [0, null],
  });
  assert.equal(await third.vSetAttr('v', 'b', { m: 2 }), true);
  assert.deepEqual(await third.vGetAttr('v', 'b'), { m: 2 });
});

test('a set is quantised as it was made, and what there is not is refused', async (t) => {
  const { port, db } = await servedResp(t);
  const redis = ioredis(t, port);
  for (const [option, indexType, told] of [
    ['Q8', 'HNSW16,SQ8', 'int8'],
    ['BIN', 'HNSW16,BQ', 'bin'],
    ['NOQUANT', 'HNSW16', 'f32'],
  ] as const) {
    const name = `set ${option}`;
    assert.equal(await redis.call('VADD', name, 'VALUES', '2', '3', '4', 'a', option), 1);
    assert.equal((await db.describeSpace(name)).indexType, indexType);
    assert.equal(
      await redis.call('VADD', name, 'VALUES', '2', '4', '3', 'b'),
      1,
      'unsaid, it stays what it is',
    );
    const other = option === 'Q8' ? 'BIN' : 'Q8';
    await assert.rejects(
      redis.call('VADD', name, 'VALUES', '2', '1', '1', 'c', other),
      /asked quantization mismatch with existing vector set/,
    );
    const info = (await redis.call('VINFO', name)) as unknown[];
    assert.equal(info[info.indexOf('quant-type') + 1], told);
    assert.deepEqual(await redis.call('VEMB', name, 'a'), ['3', '4'], 'the original');
  }
  await assert.rejects(
    redis.call('VADD', 'set Q8', 'VALUES', '2', '1', '1', 'c', 'M', '8'),
    /asked M value mismatch with existing vector set/,
  );
  await assert.rejects(redis.call('VADD', 'x', 'VALUES', '2', '1', '1', 'c', 'Q8', 'BIN'), /syntax error/);
  for (const words of [
    ['VLINKS', 'set Q8', 'a'],
    ['VRANDMEMBER', 'set Q8', '2'],
    ['VRANGE', 'set Q8', '-', '+'],
  ] as const)
    await assert.rejects(redis.call(words[0], ...words.slice(1)), (error: Error) =>
      error.message.startsWith(`ERR ${words[0]} is not supported by this server`),
    );
});
