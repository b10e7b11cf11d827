/** The key-value calls beyond put, get and delete: counters, conditions, batches, deadlines, size and clear. */

import type { ShibuDbError } from '../../../src/api/errors.ts';
import { check, rejects, same } from '../../support/check.ts';
import type { Case } from '../case.ts';
import { all, untyped, withKeyValue } from './spaces.ts';

const badKeys = ['', 'x'.repeat(4097), '\ud800', 7, null, undefined, {}];

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export const keyValueCallCases: Case[] = [
  {
    name: 'exists, size and clear',
    reopens: true,
    async run(t) {
      let db = await withKeyValue(() => t.open());
      same([await db.exists('a'), await db.size()], [false, 0]);
      await db.clear();
      await db.put('a', '');
      await db.put('b', new Uint8Array(0));
      same(
        [await db.exists('a'), await db.exists('b'), await db.exists('c'), await db.size()],
        [true, true, false, 2],
      );
      await db.delete('a');
      same([await db.exists('a'), await db.size()], [false, 1]);
      await db.checkpoint();
      await db.put('c', 'in the log');
      await db.clear();
      same(
        [await db.size(), await db.exists('b'), await db.get('c'), await all(db.scan())],
        [0, false, undefined, []],
      );
      await db.put('d', 'after');
      await db.close();
      db = await t.open();
      same(await all(db.scan({ space: 'kv' })), [{ key: 'd', value: 'after' }]);
      same((await db.describeSpace('kv')).count, 1);
    },
  },
  {
    name: 'increment counts exactly, whoever else counts, up to 64 bits',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      same([await db.increment('n'), await db.increment('n', 41), await db.increment('n', -50)], [1, 42, -8]);
      same(await db.get('n'), '-8');
      const sums = await Promise.all(Array.from({ length: 300 }, () => db.increment('many')));
      same(
        sums,
        Array.from({ length: 300 }, (_, i) => i + 1),
      );
      same(await db.increment('n', 0n), -8);
      const most = 2n ** 63n - 1n;
      same(await db.increment('big', most), most);
      await rejects(db.increment('big'), 'OVERFLOW', /64 bits/);
      same(await db.increment('big', -most), 0);
      same(await db.increment('big', -(2n ** 63n)), -(2n ** 63n));
      await rejects(db.increment('big', -1), 'OVERFLOW');
      for (const value of ['', 'one', '1.5', ' 1', '01', '1e3', '-0', new Uint8Array([49])]) {
        await db.put('text', value);
        await rejects(db.increment('text'), 'NOT_A_NUMBER', /text/);
        same(await db.get('text'), value);
      }
      for (const by of [1.5, Number.NaN, 2 ** 53, 2n ** 63n, '1', null])
        await rejects(db.increment('n', untyped(by)), 'INVALID_ARGUMENT', /by/);
      for (const key of badKeys) await rejects(db.increment(untyped(key)), 'INVALID_ARGUMENT', /key/);
      same(await db.get('n'), '-8');
      // A count and a put made together: the count sees the put before it.
      const together = await Promise.all([
        db.put('m', '10'),
        db.increment('m'),
        db.delete('m'),
        db.increment('m'),
      ]);
      same(together, [undefined, 11, true, 1]);
    },
  },
  {
    name: 'putIf stores only over what was expected; of many at once exactly one wins',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      same(await db.putIf('k', 'one', 'something'), false);
      same(await db.putIf('k', 'one', undefined), true);
      same(await db.putIf('k', 'two', undefined), false);
      same(await db.putIf('k', 'two', new TextEncoder().encode('one')), false, 'bytes are not text');
      same(await db.putIf('k', new Uint8Array([1, 2]), 'one'), true);
      same(await db.putIf('k', 'three', new Uint8Array([1, 2])), true);
      same(await db.get('k'), 'three');
      const won = await Promise.all(
        Array.from({ length: 50 }, (_, i) => db.putIf('lock', `owner ${i}`, undefined)),
      );
      same(won.filter((one) => one).length, 1);
      same(await db.get('lock'), `owner ${won.indexOf(true)}`);
      for (const key of badKeys)
        await rejects(db.putIf(untyped(key), 'v', undefined), 'INVALID_ARGUMENT', /key/);
      await rejects(db.putIf('k', untyped(7), 'three'), 'INVALID_ARGUMENT', /value/);
      await rejects(db.putIf('k', untyped(null), 'three'), 'INVALID_ARGUMENT', /value/);
      await rejects(db.putIf('k', 'v', untyped(null)), 'INVALID_ARGUMENT', /expected/);
      same(await db.get('k'), 'three');
    },
  },
  {
    name: 'putMany, getMany and deleteMany are all or nothing, and bounded',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      await db.putMany([]);
      same([await db.getMany([]), await db.deleteMany([])], [[], 0]);
      await db.putMany([
        { key: 'b', value: 'two' },
        { key: 'a', value: new Uint8Array([1]) },
        { key: 'b', value: 'last wins' },
        { key: '😀', value: '' },
      ]);
      same(await db.getMany(['😀', 'none', 'a', 'b', 'a']), [
        '',
        undefined,
        new Uint8Array([1]),
        'last wins',
        new Uint8Array([1]),
      ]);
      for (const bad of [
        { key: '', value: 'v' },
        { key: 'k', value: 7 },
        { key: 'k' },
        null,
        'k',
        ['k', 'v'],
      ])
        await rejects(db.putMany(untyped([{ key: 'new', value: 'v' }, bad])), 'INVALID_ARGUMENT');
      await rejects(db.putMany(untyped({ key: 'k', value: 'v' })), 'INVALID_ARGUMENT', /entries/);
      for (const keys of [['a', ''], ['a', 7], 'a', null, undefined, [null]]) {
        await rejects(db.getMany(untyped(keys)), 'INVALID_ARGUMENT', /key/);
        await rejects(db.deleteMany(untyped(keys)), 'INVALID_ARGUMENT', /key/);
      }
      const half = new Uint8Array(8 * 1024 * 1024);
      await rejects(
        db.putMany([
          { key: 'x', value: half },
          { key: 'y', value: half },
        ]),
        'INVALID_ARGUMENT',
        /16777216/,
      );
      same(await db.size(), 3);
      await db.put('x', half);
      await db.put('y', half);
      await rejects(db.getMany(['x', 'y']), 'INVALID_ARGUMENT', /16777216/);
      same(await db.deleteMany(['x', 'y', 'x', 'none', 'a']), 3);
      same(
        (await all(db.scan())).map(({ key }) => key),
        ['b', '😀'],
      );
    },
  },
  {
    name: 'a key lives as long as ttlMs says: reads, scans, size and conditions agree',
    reopens: true,
    async run(t) {
      let db = await withKeyValue(() => t.open());
      await db.put('stays', 'v');
      await db.put('long', 'v', { ttlMs: 600_000 });
      await db.put('short', 'v', { ttlMs: 150 });
      await db.putMany([{ key: 'short too', value: 'v', ttlMs: 150 }]);
      same(await db.putIf('short three', 'v', undefined, { ttlMs: 150 }), true);
      same(await db.expire('long', 300_000), true);
      same(await db.expire('none', 300_000), false);
      same([await db.ttl('stays'), await db.ttl('none')], [Number.POSITIVE_INFINITY, undefined]);
      const left = (await db.ttl('long')) ?? 0;
      check(left > 200_000 && left <= 300_000, `long has ${left} ms left`);
      await sleep(300);
      same(await db.getMany(['stays', 'long', 'short', 'short too', 'short three']), [
        'v',
        'v',
        undefined,
        undefined,
        undefined,
      ]);
      same(
        [await db.exists('short'), await db.ttl('short'), await db.expire('short', 1000)],
        [false, undefined, false],
      );
      same(
        (await all(db.scan())).map(({ key }) => key),
        ['long', 'stays'],
      );
      same(await db.size(), 2);
      same(await db.delete('short too'), false);
      same(await db.putIf('short three', 'again', undefined), true);
      same(await db.expire('long', Number.POSITIVE_INFINITY), true);
      same(await db.ttl('long'), Number.POSITIVE_INFINITY);
      for (const ttlMs of [Number.NaN, '10', {}]) {
        await rejects(db.put('k', 'v', { ttlMs: untyped(ttlMs) }), 'INVALID_ARGUMENT', /ttlMs/);
        await rejects(db.expire('stays', untyped(ttlMs)), 'INVALID_ARGUMENT', /ttlMs/);
      }
      await db.put('over the reopen', 'v', { ttlMs: 250 });
      await db.close();
      db = await t.open();
      await db.useSpace('kv');
      await sleep(300);
      same(
        (await all(db.scan())).map(({ key }) => key),
        ['long', 'short three', 'stays'],
      );
    },
  },
  {
    name: 'these calls on a vector space, without a space or after closing are refused like the others',
    async run(t) {
      const db = await t.open();
      await db.createSpace('vec', 'vector', { dimension: 1 });
      const vec = db.space('vec');
      const calls = [
        () => vec.exists('k'),
        () => vec.size(),
        () => vec.clear(),
        () => vec.increment('k'),
        () => vec.putIf('k', 'v', undefined),
        () => vec.expire('k', 1),
        () => vec.ttl('k'),
        () => vec.putMany([]),
        () => vec.getMany([]),
        () => vec.deleteMany([]),
      ];
      for (const call of calls) await rejects(call, 'WRONG_ENGINE', /vec/);
      await rejects(db.increment('k'), 'NO_SPACE_SELECTED');
      await db.close();
      for (const call of calls) {
        const error: ShibuDbError = await rejects(call, 'CLOSED');
        same(error.name, 'ConnectionError');
      }
    },
  },
];
