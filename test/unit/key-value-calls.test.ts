/** Conditional writes and batches: atomic, in order, and refused without a trace when they cannot be. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database } from '../../src/api/database.ts';
import { openInProcess } from './database.ts';

async function withSpace(run: (db: Database) => Promise<void>): Promise<void> {
  await using db = await openInProcess();
  await db.createSpace('kv', 'key-value');
  await db.useSpace('kv');
  await run(db);
}

test('a thousand increments at once count every one', () =>
  withSpace(async (db) => {
    const sums = await Promise.all(Array.from({ length: 1000 }, () => db.increment('n')));
    assert.deepEqual(
      sums,
      Array.from({ length: 1000 }, (_, i) => i + 1),
    );
    assert.equal(await db.get('n'), '1000');
  }));

test('increments see the writes that wait before them', () =>
  withSpace(async (db) => {
    const results = await Promise.all([
      db.put('n', '41'),
      db.increment('n'),
      db.delete('n'),
      db.increment('n', -5),
      db.putMany([{ key: 'n', value: '7' }]),
      db.increment('n', 3n),
    ]);
    assert.deepEqual(results, [undefined, 42, true, -5, undefined, 10]);
  }));

test('increment refuses what is not an integer and what overflows, and changes nothing', () =>
  withSpace(async (db) => {
    for (const value of ['x', '1.5', '', ' 1', '0x1', '99999999999999999999', new Uint8Array([49])]) {
      await db.put('n', value);
      await assert.rejects(db.increment('n'), { code: /NOT_A_NUMBER|OVERFLOW/ });
      assert.deepEqual(await db.get('n'), value);
    }
    await db.put('n', '9223372036854775806');
    assert.equal(await db.increment('n'), 9223372036854775807n);
    await assert.rejects(db.increment('n'), { code: 'OVERFLOW' });
    assert.equal(await db.increment('n', -9223372036854775807n), 0);
    await assert.rejects(db.increment('n', 1.5), { code: 'INVALID_ARGUMENT' });
  }));

test('putIf stores only over what is expected', () =>
  withSpace(async (db) => {
    assert.equal(await db.putIf('k', 'a', undefined), true);
    assert.equal(await db.putIf('k', 'b', undefined), false);
    assert.equal(await db.putIf('k', 'b', new Uint8Array([97])), false);
    assert.equal(await db.putIf('k', 'b', 'a'), true);
    assert.equal(await db.get('k'), 'b');
    await db.put('bytes', new Uint8Array([1, 2]));
    assert.equal(await db.putIf('bytes', 'done', new Uint8Array([1, 2])), true);
    const winners = await Promise.all(
      Array.from({ length: 50 }, (_, i) => db.putIf('race', `${i}`, undefined)),
    );
    assert.equal(winners.filter(Boolean).length, 1);
  }));

test('batches keep their order and are all or nothing', () =>
  withSpace(async (db) => {
    const entries = Array.from({ length: 500 }, (_, i) => ({ key: `k${i}`, value: `v${i}` }));
    await db.putMany(entries);
    assert.deepEqual(await db.getMany(['k3', 'none', 'k1']), ['v3', undefined, 'v1']);
    assert.equal(await db.size(), 500);
    await assert.rejects(
      db.putMany([
        { key: 'new', value: 'x' },
        { key: '', value: 'y' },
      ]),
      { code: 'INVALID_ARGUMENT' },
    );
    assert.equal(await db.exists('new'), false);
    assert.equal(await db.deleteMany(['k0', 'k0', 'none', 'k1']), 2);
    assert.equal(await db.size(), 498);
    const large = 'x'.repeat(9 * 1024 * 1024);
    await assert.rejects(
      db.putMany([
        { key: 'a', value: large },
        { key: 'b', value: large },
      ]),
      /16777216/,
    );
    await db.put('a', large);
    await db.put('b', large);
    await assert.rejects(db.getMany(['a', 'b']), /16777216/);
  }));

test('clear empties the space for everybody and leaves the others alone', () =>
  withSpace(async (db) => {
    await db.createSpace('other', 'key-value');
    await db.put('k', 'kept', { space: 'other' });
    await Promise.all([db.put('a', '1'), db.put('b', '2')]);
    await db.clear();
    assert.equal(await db.size(), 0);
    assert.equal(await db.get('a'), undefined);
    await db.put('a', 'again');
    assert.equal(await db.get('a'), 'again');
    assert.equal(await db.get('k', { space: 'other' }), 'kept');
  }));

test('what was decided and cleared is the same after reopening', async () => {
  const first = await openInProcess();
  await first.createSpace('kv', 'key-value');
  await first.useSpace('kv');
  await first.put('gone', 'x');
  await first.clear();
  await Promise.all([first.increment('n', 5), first.increment('n', 5), first.putIf('k', 'v', undefined)]);
  await first.crash();
  await using second = await openInProcess(first.disk);
  await second.useSpace('kv');
  assert.deepEqual(await second.getMany(['gone', 'n', 'k']), [undefined, '10', 'v']);
});
