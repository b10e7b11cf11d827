/** Values too large for memory: stored apart, the same to whoever puts and gets them. */

import type { Value } from '../../../src/api/database.ts';
import { check, rejects, same } from '../../support/check.ts';
import type { Case } from '../case.ts';
import { all, withKeyValue } from './spaces.ts';

/** Bytes that differ from piece to piece and from seed to seed, quickly made. */
export function bytesOf(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0, state = seed; at < length; at += 61, state = (state * 1103515245 + 12345) >>> 0)
    bytes[at] = state >>> 16;
  return bytes;
}

export function sameValue(found: Value | undefined, expected: Value, what: string): void {
  const alike =
    typeof found === 'string' || typeof expected === 'string' || found === undefined
      ? found === expected
      : found.length === expected.length && found.every((byte, i) => byte === expected[i]);
  check(alike, `${what}: got ${typeof found} of ${found?.length}, expected ${expected.length}`);
}

const piece = 256 * 1024;

export const largeValueCases: Case[] = [
  {
    name: 'large values of both types come back as they were put, also after a reopening, and take no memory',
    reopens: true,
    async run(t) {
      const values = new Map<string, Value>([
        ['largest in memory', bytesOf(piece, 1)],
        ['smallest apart', bytesOf(piece + 1, 2)],
        ['two pieces', bytesOf(piece * 2, 3)],
        ['text', 'ä€😀\0 '.repeat(300_000)],
        ['nine megabytes', bytesOf(9 * 1024 * 1024 + 17, 4)],
      ]);
      let db = await withKeyValue(() => t.open());
      for (const [key, value] of values) await db.put(key, value);
      await db.put('small', 'beside them');
      for (const [key, value] of values) sameValue(await db.get(key), value, key);
      const { memoryBytes, storedBytes, count } = await db.describeSpace('kv');
      check(memoryBytes < 4 * 1024 * 1024, `${memoryBytes} bytes of memory`);
      check(storedBytes > 12 * 1024 * 1024, `${storedBytes} bytes stored`);
      same(count, 6);
      await db.close();
      db = await t.open();
      for (const [key, value] of values) sameValue(await db.get(key, { space: 'kv' }), value, key);
      same(await db.get('small', { space: 'kv' }), 'beside them');
    },
  },
  {
    name: 'a large value is replaced, deleted, cleared and expires like others, and its storage is given back',
    reopens: true,
    async run(t) {
      let db = await withKeyValue(() => t.open());
      const stored = async (): Promise<number> => {
        await db.checkpoint();
        return (await db.describeSpace('kv')).storedBytes;
      };
      for (let i = 0; i < 4; i++) await db.put('k', bytesOf(piece * 4, i));
      sameValue(await db.get('k'), bytesOf(piece * 4, 3), 'the last one');
      check((await stored()) < piece * 6, `${await stored()} bytes stored for one of ${piece * 4}`);
      await db.put('k', 'small');
      same(await db.get('k'), 'small');
      check((await stored()) < piece * 2, `${await stored()} bytes stored for none`);
      await db.put('k', bytesOf(piece * 4, 9), { ttlMs: 3_600_000 });
      check(((await db.ttl('k')) as number) > 3_000_000, 'it has a time to live');
      same(await db.expire('k', Number.POSITIVE_INFINITY), true);
      same(await db.ttl('k'), Number.POSITIVE_INFINITY);
      sameValue(await db.get('k'), bytesOf(piece * 4, 9), 'with another deadline');
      same([await db.delete('k'), await db.get('k'), await db.exists('k')], [true, undefined, false]);
      check((await stored()) < piece * 2, `${await stored()} bytes stored for none`);
      await db.put('k', bytesOf(piece * 4, 10), { ttlMs: 1 });
      while (await db.exists('k')) await new Promise((resolve) => setTimeout(resolve, 5));
      same([await db.get('k'), await db.size()], [undefined, 0]);
      check((await stored()) < piece * 2, `${await stored()} bytes stored for none`);
      await db.put('k', bytesOf(piece * 4, 11));
      await db.clear();
      await db.put('after', bytesOf(piece * 2, 12));
      await db.close();
      db = await t.open();
      same(await db.get('k', { space: 'kv' }), undefined);
      sameValue(await db.get('after', { space: 'kv' }), bytesOf(piece * 2, 12), 'after clear');
    },
  },
  {
    name: 'large values in batches, scans, conditions and counters',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      const [a, b, c] = [bytesOf(piece * 5, 1), 'x'.repeat(piece * 3), bytesOf(piece + 1, 3)];
      await db.putMany([
        { key: 'a', value: a },
        { key: 'm', value: 'small' },
        { key: 'b', value: b, ttlMs: 3_600_000 },
        { key: 'c', value: c },
      ]);
      const found = await db.getMany(['c', 'no', 'm', 'b', 'a']);
      for (const [i, value] of [c, undefined, 'small', b, a].entries())
        if (value === undefined) same(found[i], undefined);
        else sameValue(found[i], value, `value ${i} of getMany`);
      const entries = await all(db.scan());
      same(
        entries.map(({ key }) => key),
        ['a', 'b', 'c', 'm'],
      );
      sameValue(entries[0]?.value, a, 'a of a scan');
      sameValue(entries[1]?.value, b, 'b of a scan');
      const other = a.slice();
      other[other.length - 1] = 77;
      same(await db.putIf('a', 'no', other), false);
      same(await db.putIf('a', c, b), false);
      sameValue(await db.get('a'), a, 'after conditions that were not met');
      same(await db.putIf('a', other, a), true);
      sameValue(await db.get('a'), other, 'after one that was');
      same(await db.putIf('new', a, undefined), true);
      same(await db.putIf('new', 'small', a), true);
      await rejects(db.increment('a'), 'NOT_A_NUMBER');
      await rejects(
        db.put('too large', new Uint8Array(64 * 1024 * 1024 + 1)),
        'INVALID_ARGUMENT',
        /67108864/,
      );
      same(await db.exists('too large'), false);
    },
  },
  {
    name: 'writes keep their order, whatever their size, and buffers are the caller’s again in the next turn',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      const value = bytesOf(piece * 3, 5);
      const expected = value.slice();
      const calls = [db.put('k', value), db.put('k', 'second'), db.put('other', 'x')];
      calls.push(db.put('j', 'first'), db.put('j', value));
      // Calls are sent when the turn ends.
      await new Promise((resolve) => setTimeout(resolve, 0));
      value.fill(1);
      await Promise.all(calls);
      same(await db.get('k'), 'second');
      sameValue(await db.get('j'), expected, 'the later one');
    },
  },
  {
    name: 'a scan that has begun shows large values that were replaced since',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      for (let i = 0; i < 6; i++) await db.put(`k${i}`, bytesOf(piece * 10, i));
      let seen = 0;
      for await (const { key, value } of db.scan()) {
        sameValue(value, bytesOf(piece * 10, seen), key);
        if (seen++ === 0) {
          for (let i = 0; i < 6; i++) await db.put(`k${i}`, 'replaced');
          await db.checkpoint();
        }
      }
      same(seen, 6);
      same(await db.get('k5'), 'replaced');
      await db.put('last', '');
      await db.checkpoint();
      check((await db.describeSpace('kv')).storedBytes < piece * 2, 'the old ones are gone from storage');
    },
  },
];
