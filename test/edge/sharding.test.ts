/** Spaces sharded over objects inside workerd: the answers of one, growth while everybody reads and writes, a shard that fails. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownerOf, type ShardMap, Shards } from '../../src/edge/sharding/shard-map.ts';
import type { Scenarios } from './sharding-worker.ts';
import { missingWorkerd, startWorkerd } from './workerd.ts';

const skip = missingWorkerd();
const timeoutMs = 300_000;

/** What a scenario of the worker tells; the assertions say what it should be. */
async function run<Name extends keyof Scenarios>(
  scenario: Name,
): Promise<Awaited<ReturnType<Scenarios[Name]>>> {
  // One isolate has to hold all shards here, so each scenario has its own.
  const workerd = await startWorkerd({
    script: 'test/edge/sharding-worker.ts',
    objects: { SHARDS: 'Shard', DRIVERS: 'Driver' },
  });
  try {
    const response = await workerd.dispatchFetch(`http://edge.test/${scenario}`);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return JSON.parse(text);
  } finally {
    await workerd.dispose();
  }
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

function mapOf(...shards: string[]): ShardMap {
  return { version: 1, engine: 'vector', options: {}, virtualShards: 256, shards };
}

test('a shard that comes takes its part from all others, and nothing else moves', () => {
  const before = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  const virtuals = Array.from({ length: 256 }, (_, i) => i);
  const moved = virtuals.filter((virtual) => ownerOf(virtual, before) !== ownerOf(virtual, [...before, 'h']));
  for (const virtual of moved) assert.equal(ownerOf(virtual, [...before, 'h']), 'h');
  assert.ok(moved.length > 256 / 16 && moved.length < 256 / 4, `${moved.length} of 256 moved`);
  const donors = new Set(moved.map((virtual) => ownerOf(virtual, before)));
  assert.ok(donors.size >= 6, `only ${[...donors]} gave something`);
  // Whatever order they are listed in.
  for (const virtual of virtuals)
    assert.equal(ownerOf(virtual, before), ownerOf(virtual, [...before].reverse()));
});

test('7 and 7n are one id, the text 7 is another; ids spread evenly', () => {
  const shards = new Shards(mapOf('a', 'b', 'c', 'd'));
  for (let id = 0; id < 100; id++) assert.equal(shards.ownerOf(id), shards.ownerOf(BigInt(id)));
  const counts = new Map<string, number>();
  let sameAsText = 0;
  for (let id = 0; id < 4000; id++) {
    counts.set(shards.ownerOf(id), (counts.get(shards.ownerOf(id)) ?? 0) + 1);
    if (shards.ownerOf(id) === shards.ownerOf(String(id))) sameAsText++;
  }
  for (const [shard, count] of counts)
    assert.ok(count > 500 && count < 1700, `${shard} has ${count} of 4000`);
  assert.ok(sameAsText < 2000, `${sameAsText} texts went with their numbers`);
});

test('keys with one tag in braces go together, others are spread', () => {
  const shards = new Shards(mapOf('a', 'b', 'c', 'd'));
  const at = (key: string): number => shards.virtualOfKey(key);
  assert.equal(at('{user:7}:name'), at('mail of {user:7}'));
  assert.equal(at('{user:7}'), at('user:7'));
  assert.notEqual(at('user:7:name'), at('user:7:mail'));
  // No tag, or an empty one: the whole key counts.
  assert.notEqual(at('{}a'), at('{}b'));
  assert.notEqual(at('{a'), at('{b'));
});

test('eight shards answer as one object does', { skip, timeout: timeoutMs }, async () => {
  const told = await run('equal');
  assert.deepEqual(told.L2, []);
  assert.deepEqual(told.InnerProduct, []);
  assert.ok(told.pages > 3, `${told.pages} pages`);
  assert.deepEqual([told.count, told.described, sum(told.per)], [1999, 1999, 1999]);
  for (const count of told.per) assert.ok(count > 50, `the shards have ${told.per}`);
  assert.deepEqual([told.replaced, told.gone, told.deletedTwice, told.there], [5, true, false, true]);
  assert.deepEqual(told.codes, [
    'INVALID_ARGUMENT',
    'SPACE_EXISTS',
    'INVALID_ARGUMENT',
    'SPACE_NOT_FOUND',
    'NO_SPACE_SELECTED',
    'WRONG_ENGINE',
    'UNSUPPORTED',
  ]);
});

test('filters, metadata and scans over shards give what one object gives, also after shards came', {
  skip,
  timeout: timeoutMs,
}, async () => {
  const told = await run('filters');
  const same = ['top', 'range', 'count', 'scanned', 'metadata'];
  assert.deepEqual(told.before, { same, count: told.before.count, scanned: 300 });
  assert.deepEqual(told.changed.same, same);
  assert.deepEqual(told.grown, told.changed);
  const [one, other] = [told.updated.slice(0, 4), told.updated.slice(4)];
  assert.deepEqual(one, other);
  assert.deepEqual([one[0], one[1], one[3]], [true, false, 2]);
  assert.ok(Number(one[2]) > 20, `${one[2]} were deleted`);
  assert.deepEqual([told.ordered, told.scanned], [true, told.counted]);
  assert.equal(told.unknownField, 'INVALID_ARGUMENT');
});

test('shards are added while others read and write: nothing is missing, lost, doubled or raised from the dead', {
  skip,
  timeout: timeoutMs,
}, async () => {
  const told = await run('grow');
  console.log(JSON.stringify({ ...told, missing: told.missing.length, differences: undefined }));
  assert.deepEqual(told.missing, []);
  assert.equal(told.stopped, 'ABORTED');
  assert.deepEqual(told.differences, []);
  assert.equal(told.count, told.expected);
  assert.equal(sum(told.countsAfter), told.expected);
  assert.deepEqual(
    told.shards,
    Array.from({ length: 4 }, (_, i) => `grow${i}`),
  );
  for (const count of told.countsAfter) assert.ok(count > 100, `the shards have ${told.countsAfter}`);
});

test('a shard that comes gets the space with every option that it was created with', {
  skip,
  timeout: timeoutMs,
}, async () => {
  const { first, came, listed } = await run('options');
  assert.deepEqual(came, first);
  assert.deepEqual(
    [first?.seed, first?.efConstruction, first?.p, first?.ids, first?.durability],
    [77, 40, 1.5, 'string', { everyMs: 500 }],
  );
  assert.equal(listed, 'storage');
});

test('a sharded key-value space answers as one object does, also after shards came', {
  skip,
  timeout: timeoutMs,
}, async () => {
  const told = await run('keys');
  assert.deepEqual(told.differences, []);
  assert.deepEqual(told.many, { across: ['UNSUPPORTED', 'UNSUPPORTED', 'UNSUPPORTED'], read: 'UNSUPPORTED' });
  assert.deepEqual(told.tagged, [['1', '2', '3'], 1, ['1', null, '3']]);
  assert.ok(told.expiring > 50_000 && told.expiring <= 60_000, `${told.expiring} ms are left`);
  assert.equal(told.stays, true);
  for (const count of told.counts) assert.ok(count > 20, `the shards have ${told.counts}`);
  assert.deepEqual(told.cleared, [0, 0]);
  const streams = ['UNSUPPORTED', 'UNSUPPORTED'];
  assert.deepEqual(told.codes, [
    'INVALID_ARGUMENT',
    'UNSUPPORTED',
    'NOT_A_NUMBER',
    'WRONG_ENGINE',
    ...streams,
  ]);
});

test('shards are added to a key-value space while others read and write: no key is missing, lost, old or counted twice', {
  skip,
  timeout: timeoutMs,
}, async () => {
  const told = await run('growKeys');
  console.log(JSON.stringify({ ...told, wrong: told.wrong.length }));
  assert.deepEqual(told.wrong, []);
  assert.equal(told.stopped, 'ABORTED');
  assert.equal(told.size, told.expected);
  assert.equal(sum(told.counts), told.expected);
  for (const count of told.counts) assert.ok(count > 100, `the shards have ${told.counts}`);
});

test('a shard that fails makes a search throw what the others found, unless that is allowed', {
  skip,
  timeout: timeoutMs,
}, async () => {
  const told = await run('partial');
  assert.equal(told.code, 'PARTIAL_RESULT');
  assert.equal(told.whole, 400);
  assert.ok(Number(told.hits) > 200 && Number(told.hits) < 400, `${told.hits} hits came with the error`);
  assert.equal(told.allowed, told.hits);
  assert.deepEqual(told.batch, ['PARTIAL_RESULT', [told.hits, told.hits]]);
  assert.equal(told.lost, 'BRIDGE_UNAVAILABLE', 'a count is whole or none');
  assert.equal(told.again, 400);
});
