// `shibumi move`: a space goes from place to place, whole; a move that is interrupted goes on; what differs is told.

import assert from 'node:assert/strict';
import { globSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { copySpace } from '../../src/cli/move/move-space.ts';
import { MoveState } from '../../src/cli/move/move-state.ts';
import { open } from '../../src/node.ts';
import { serve } from '../../src/server.ts';
import { Random } from '../support/random.ts';
import { RedisServer, redisMissing } from '../upstreams/redis-servers.ts';
import { folderFor, type Outcome, shibumi } from './command.ts';

const timeout = 110_000;

/** `shibumi move`, with its state in `folder`. */
function move(folder: string, ...args: string[]): Promise<Outcome> {
  return shibumi(['move', ...args, '--state', path.join(folder, 'state')], '', {
    SHIBUMI_PASSWORD: 'a password',
  });
}

test('vectors, texts, bytes and times to live, from folder to folder, and the source is deleted when asked', {
  timeout,
}, async (t) => {
  const folder = folderFor(t);
  const [a, b] = [path.join(folder, 'a'), path.join(folder, 'b')];
  const vectors = new Random(3).vectors(1200 * 16);
  {
    await using db = await open(a);
    await db.createSpace('v', 'vector', {
      dimension: 16,
      indexType: 'HNSW8',
      metric: 'Cosine',
      ids: 'string',
    });
    await db.insertVectors(
      Array.from({ length: 1200 }, (_, i) => `id ${i}`),
      vectors,
      { space: 'v' },
    );
    await db.createSpace('kv', 'key-value', { durability: 'relaxed' });
    await db.putMany(
      Array.from({ length: 1300 }, (_, i) => ({
        key: `k${i}`,
        value: i % 2 === 0 ? `v${i}` : Uint8Array.of(i % 256),
      })),
      { space: 'kv' },
    );
    await db.put('soon', 'gone', { space: 'kv', ttlMs: 3_600_000 });
  }
  const first = await move(folder, a, 'v', '--to', b);
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stderr, /1200 items of v moved, checksum [0-9a-f]{16} on both sides/);
  const second = await move(folder, a, 'kv', '--to', b, '--delete-source');
  assert.equal(second.status, 0, second.stderr);
  assert.deepEqual(globSync('state*', { cwd: folder }), [], 'nothing is left of them');
  {
    await using db = await open(b);
    const { indexType, metric, ids, count } = await db.describeSpace('v');
    assert.deepEqual(
      { indexType, metric, ids, count },
      { indexType: 'HNSW8', metric: 'Cosine', ids: 'string', count: 1200 },
    );
    assert.deepEqual(await db.getVector('id 77', { space: 'v' }), vectors.slice(77 * 16, 78 * 16));
    assert.equal(await db.size({ space: 'kv' }), 1301);
    assert.deepEqual(await db.get('k7', { space: 'kv' }), Uint8Array.of(7));
    const left = Number(await db.ttl('soon', { space: 'kv' }));
    assert.ok(left > 3_000_000 && left <= 3_600_000);
    assert.equal((await db.describeSpace('kv')).durability, 'relaxed');
  }
  await using db = await open(a);
  assert.deepEqual(
    (await db.listSpaces()).map(({ name }) => name),
    ['v'],
    'deleted only where it was asked for',
  );
});

test('a move that was interrupted goes on where it stopped', { timeout }, async (t) => {
  const folder = folderFor(t);
  const [a, b] = [path.join(folder, 'a'), path.join(folder, 'b')];
  {
    await using from = await open(a);
    await using to = await open(b);
    await from.createSpace('kv', 'key-value', { durability: 'none' });
    await from.putMany(
      Array.from({ length: 3000 }, (_, i) => ({ key: `k${String(i).padStart(4, '0')}`, value: `v${i}` })),
      { space: 'kv' },
    );
    const state = new MoveState(a, 'kv', b, path.join(folder, 'state'));
    let pages = 0;
    const onPage = (cursor: string | undefined, copied: number): void => {
      state.write(cursor ?? '', copied);
      if (++pages === 2) throw new Error('pulled the plug');
    };
    const interrupted = copySpace({
      from,
      to,
      space: 'kv',
      durability: undefined,
      cursor: undefined,
      onPage,
    });
    await assert.rejects(interrupted, /pulled the plug/);
    // What was copied already is not copied again.
    await to.put('k0000', 'changed in the target', { space: 'kv' });
  }
  const again = await move(folder, a, 'kv', '--to', b);
  assert.equal(again.status, 1, again.stderr);
  assert.match(again.stderr, /"kv" differs: 3000 items .* in the source, 3000 .* in the target/);
  {
    await using to = await open(b);
    assert.equal(await to.size({ space: 'kv' }), 3000);
    await to.put('k0000', 'v0', { space: 'kv' });
  }
  const refused = await move(folder, a, 'kv', '--to', b);
  assert.equal(refused.status, 1);
  assert.match(
    refused.stderr,
    /space "kv" that is not empty/,
    'begun anew, it does not write over another space',
  );
});

test('another kind of space, no target, and a state of something else are refused', {
  timeout,
}, async (t) => {
  const folder = folderFor(t);
  const [a, b] = [path.join(folder, 'a'), path.join(folder, 'b')];
  {
    await using from = await open(a);
    await from.createSpace('x', 'vector', { dimension: 2 });
    await using to = await open(b);
    await to.createSpace('x', 'vector', { dimension: 3 });
  }
  assert.match((await move(folder, a, 'x')).stderr, /Got no --to/);
  assert.match((await move(folder, a, 'x', '--to', a)).stderr, /the same place twice/);
  assert.match((await move(folder, a, 'x', '--to', b)).stderr, /has the dimension 3, expected 2/);
  assert.match((await move(folder, a, 'none', '--to', b)).stderr, /none/);
  const file = path.join(folder, 'state');
  writeFileSync(file, '{"move":"another"}');
  assert.match((await move(folder, a, 'x', '--to', b)).stderr, /is not of this move/);
});

test('from a folder through a server into Redis, and back', { skip: redisMissing(), timeout }, async (t) => {
  const folder = folderFor(t);
  await using redis = await RedisServer.start('--appendonly', 'yes', '--appendfsync', 'always');
  const upstream = `redis://127.0.0.1:${redis.port}`;
  const a = path.join(folder, 'a');
  {
    await using db = await open(a);
    await db.createSpace('kv', 'key-value');
    await db.putMany(
      Array.from({ length: 900 }, (_, i) => ({ key: `k${i}`, value: `v${i}` })),
      { space: 'kv' },
    );
  }
  const there = await move(folder, a, 'kv', '--to', upstream);
  assert.equal(there.status, 0, there.stderr);
  assert.equal(redis.cli('get', 'kv:k5'), 'v5');
  const admin = { username: 'root', password: 'a password' };
  await using server = await serve('target', { storage: 'memory', admin });
  const url = server.url.replace('ws://', 'ws://root@');
  const back = await move(folder, upstream, 'kv', '--to', url);
  assert.equal(back.status, 0, back.stderr);
  assert.match(back.stderr, /900 items of kv moved/);
});
