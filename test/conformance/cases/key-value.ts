/** put, get, delete: keys, values, and what is refused. */

import type { Value } from '../../../src/api/database.ts';
import { check, rejects, same } from '../../support/check.ts';
import { Random } from '../../support/random.ts';
import type { Case } from '../case.ts';
import { all, untyped, withKeyValue } from './spaces.ts';

/** All end well-formed; the last ones have the most bytes a key may have. */
const unusualKeys = [
  ' ',
  '\0',
  'a\0',
  'a\0b',
  '\ufeff',
  '\ufeffa',
  '\uffff',
  'é',
  'e\u0301',
  'ﬀ',
  '日本語',
  '😀',
  '👩‍👩‍👧',
  '\u{10ffff}',
  '__proto__',
  'x'.repeat(4096),
  'é'.repeat(2048),
  '😀'.repeat(1024),
];

export const keyValueCases: Case[] = [
  {
    name: 'put, get and delete one key',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      same(await db.get('k'), undefined);
      same(await db.delete('k'), false);
      same(await db.put('k', 'one'), undefined);
      same(await db.get('k'), 'one');
      await db.put('k', 'two');
      same(await db.get('k'), 'two');
      same((await db.describeSpace('kv')).count, 1);
      same(await db.delete('k'), true);
      same(await db.get('k'), undefined);
      same(await db.delete('k'), false);
      same((await db.describeSpace('kv')).count, 0);
    },
  },
  {
    name: 'a value comes back as the type it was put as, bit for bit',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      const random = new Random(1);
      const values: Value[] = [
        '',
        new Uint8Array(0),
        'text',
        new TextEncoder().encode('text'),
        '\0',
        new Uint8Array([0]),
        '\ufeffwith a byte order mark',
        '😀 \uffff \u{10ffff}',
        new Uint8Array([0xff, 0xfe, 0xc0, 0x80]),
        random.bytes(1000),
      ];
      for (const value of values) {
        await db.put('k', value);
        same(await db.get('k'), value);
      }
      for (const [i, value] of values.entries()) await db.put(`k${i}`, value);
      for (const [i, value] of values.entries()) same(await db.get(`k${i}`), value);
    },
  },
  {
    name: 'a view into a larger buffer puts the view alone, and later changes to it reach nobody',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      const buffer = new Uint8Array([1, 2, 3, 4, 5, 6]);
      const putting = db.put('k', buffer.subarray(2, 4));
      await putting;
      buffer.fill(9);
      const got = (await db.get('k')) as Uint8Array;
      same(got, new Uint8Array([3, 4]));
      got.fill(7);
      same(await db.get('k'), new Uint8Array([3, 4]));
    },
  },
  {
    name: 'values of every size class survive replacement, checkpoint and scan',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      const random = new Random(2);
      const sizes = [1, 100, 4095, 4096, 65_536, 262_143, 262_144, 300 * 1024, 5 * 1024 * 1024];
      const values = sizes.map((size) => random.bytes(size));
      const text = '語'.repeat(100_000);
      for (const [i, value] of values.entries()) await db.put(`k${i}`, value);
      await db.put('text', text);
      await db.checkpoint();
      for (const [i, value] of values.entries()) same(await db.get(`k${i}`), value, `${sizes[i]} bytes`);
      same(await db.get('text'), text);
      // Large to small, small to large, under the same keys.
      for (const [i, value] of values.entries()) await db.put(`k${values.length - 1 - i}`, value);
      for (const [i, value] of values.entries()) same(await db.get(`k${values.length - 1 - i}`), value);
      const scanned = await all(db.scan({ prefix: 'k' }));
      same(
        scanned.map(({ value }) => value),
        [...values].reverse(),
      );
    },
  },
  {
    name: 'unusual keys are distinct, and ordered by their UTF-8 bytes',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      for (const key of [...unusualKeys].reverse()) await db.put(key, `of ${key.slice(0, 20)}`);
      for (const key of unusualKeys) same(await db.get(key), `of ${key.slice(0, 20)}`);
      const keys = (await all(db.scan())).map(({ key }) => key);
      same(keys, [...unusualKeys].sort(byUtf8));
      // In UTF-16 the emoji (d83d de00) would come before ﬀ (fb00) and U+FFFF; in UTF-8 it comes behind.
      check(keys.indexOf('😀') > keys.indexOf('\uffff'), 'an emoji sorts behind U+FFFF');
      check([...unusualKeys].sort().join() !== keys.join(), 'the orders differ, so this case can fail');
      for (const key of unusualKeys) same(await db.delete(key), true);
      same(await all(db.scan()), []);
    },
  },
  {
    name: 'bad keys and values are refused and nothing changes',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      await db.put('k', 'v');
      const badKeys = [
        '',
        'x'.repeat(4097),
        'é'.repeat(2049),
        '😀'.repeat(1025),
        '\ud800',
        'a\udc00b',
        '😀'.slice(0, 1),
        7,
        null,
        undefined,
        {},
        new Uint8Array([1]),
      ];
      for (const key of badKeys) {
        await rejects(db.put(untyped(key), 'v'), 'INVALID_ARGUMENT', /key/);
        await rejects(db.get(untyped(key)), 'INVALID_ARGUMENT', /key/);
        await rejects(db.delete(untyped(key)), 'INVALID_ARGUMENT', /key/);
      }
      const badValues = [
        7,
        7n,
        true,
        null,
        undefined,
        {},
        [1],
        new Float32Array(1),
        new ArrayBuffer(4),
        '\udfff',
      ];
      for (const value of badValues) {
        await rejects(db.put('k', untyped(value)), 'INVALID_ARGUMENT', /value/);
        await rejects(db.put('new', untyped(value)), 'INVALID_ARGUMENT', /value/);
      }
      await rejects(db.put('k', new Uint8Array(64 * 1024 * 1024 + 1)), 'INVALID_ARGUMENT', /67108864/);
      same(await all(db.scan()), [{ key: 'k', value: 'v' }]);
    },
  },
  {
    name: 'what cannot be sent fails alone, not the calls made beside it',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      const outcomes = await Promise.allSettled([
        db.put('a', '1'),
        db.put(
          'b',
          untyped(() => {}),
        ),
        db.put('c', untyped(Symbol('s'))),
        db.put('d', '2'),
        db.get('a'),
      ]);
      same(
        outcomes.map(({ status }) => status),
        ['fulfilled', 'rejected', 'rejected', 'fulfilled', 'fulfilled'],
      );
      same(
        (await all(db.scan())).map(({ key }) => key),
        ['a', 'd'],
      );
    },
  },
  {
    name: 'calls made together are answered in order, each with its own answer',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      await Promise.all(Array.from({ length: 2000 }, (_, i) => db.put(`k${i % 500}`, String(i))));
      const values = await Promise.all(Array.from({ length: 500 }, (_, i) => db.get(`k${i}`)));
      same(
        values,
        Array.from({ length: 500 }, (_, i) => String(1500 + i)),
      );
      const deleted = await Promise.all([db.delete('k0'), db.delete('k0'), db.put('k0', 'again')]);
      same(deleted, [true, false, undefined]);
      same(await db.get('k0'), 'again');
    },
  },
  {
    name: 'a random run agrees with a map',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      const random = new Random(3);
      const model = new Map<string, Value>();
      for (let round = 0; round < 20; round++) {
        const calls: Promise<unknown>[] = [];
        for (let i = 0; i < 100; i++) {
          const key = `${random.pick(['a', 'ab', 'é', '😀'])}${random.below(60)}`;
          if (random.unit() < 0.3) {
            const there = model.delete(key);
            calls.push(db.delete(key).then((answer) => same(answer, there, `delete ${key}`)));
          } else {
            const value =
              random.unit() < 0.5 ? random.bytes(random.below(3000)) : 'é'.repeat(random.below(50));
            model.set(key, value);
            calls.push(db.put(key, value));
          }
        }
        await Promise.all(calls);
        if (round % 5 === 0) await db.checkpoint();
        const expected = [...model].sort(([a], [b]) => byUtf8(a, b)).map(([key, value]) => ({ key, value }));
        same(await all(db.scan()), expected, `entries after round ${round}`);
        same((await db.describeSpace('kv')).count, model.size);
      }
    },
  },
];

export function byUtf8(a: string, b: string): number {
  const left = [...a];
  const right = [...b];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = (left[i]?.codePointAt(0) ?? 0) - (right[i]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
