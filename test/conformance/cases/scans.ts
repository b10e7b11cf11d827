/** scan and scanVectors: ranges, order, limits, cursors, snapshots. */

import type { Entry, ScanOptions, Value } from '../../../src/api/database.ts';
import { check, rejects, same } from '../../support/check.ts';
import { Random } from '../../support/random.ts';
import type { Case } from '../case.ts';
import { byUtf8 } from './key-value.ts';
import { all, untyped, withKeyValue } from './spaces.ts';

const keys = ['a', 'aa', 'ab', 'b', 'ba', 'c', 'é', 'éa', '\uffff', '😀', '😀a', '😁'];

export const scanCases: Case[] = [
  {
    name: 'scans give the keys of a prefix or range, both ways, up to a limit',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      same(await all(db.scan()), []);
      for (const key of keys) await db.put(key, `of ${key}`);
      const expected = (options: ScanOptions): string[] => {
        const { prefix, start, end, reverse, limit } = options;
        const found = keys
          .filter((key) => prefix === undefined || key.startsWith(prefix))
          .filter((key) => start === undefined || byUtf8(key, start) >= 0)
          .filter((key) => end === undefined || byUtf8(key, end) < 0);
        if (reverse) found.reverse();
        return found.slice(0, limit);
      };
      const ranges: ScanOptions[] = [
        {},
        { prefix: '' },
        { prefix: 'a' },
        { prefix: 'aa' },
        { prefix: 'aaa' },
        { prefix: 'é' },
        { prefix: '\uffff' },
        { prefix: '😀' },
        { start: 'b' },
        { end: 'b' },
        { start: 'aa', end: 'ba' },
        { start: 'aaa', end: 'bb' },
        { start: 'b', end: 'b' },
        { start: 'c', end: 'a' },
        { start: '' },
        { end: '' },
        { start: '\uffff', end: '😁' },
        { start: '\u{10ffff}' },
      ];
      for (const range of ranges)
        for (const reverse of [false, true])
          for (const limit of [undefined, 0, 1, 3, 100]) {
            const options = { ...range, reverse, ...(limit === undefined ? {} : { limit }) };
            const found = await all(db.scan(options));
            same(
              found,
              expected(options).map((key) => ({ key, value: `of ${key}` })),
              JSON.stringify(options),
            );
          }
    },
  },
  {
    name: 'chunks give the same items in the same order, none of them empty, and the cursor stands behind each',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      for await (const chunk of db.scan().chunks())
        check(false, `a chunk of an empty space: ${chunk.length}`);
      const count = 5000;
      // Texts and bytes by turns, of ASCII and others; now and then one that is too long for columns.
      const contentOf = (i: number): Value => {
        if (i === 4000) return 'long '.repeat(2000);
        return i % 2 === 0 ? `${i} ü`.repeat(i % 5) : new Uint8Array(i % 50).fill(i);
      };
      const keyOf = (i: number): string => `${i % 3 === 0 ? 'k' : 'é'}${String(i).padStart(6, '0')}`;
      for (let i = 0; i < count; i += 1000)
        await db.putMany(
          Array.from({ length: 1000 }, (_, j) => ({ key: keyOf(i + j), value: contentOf(i + j) })),
        );
      for (const reverse of [false, true]) {
        const items = await all(db.scan({ reverse }));
        same(items.length, count);
        for (const { key, value } of items) same(value, contentOf(Number(key.slice(1))), key);
        const chunked: Entry[] = [];
        const scan = db.scan({ reverse });
        for await (const chunk of scan.chunks()) {
          check(chunk.length > 0, 'an empty chunk');
          chunked.push(...chunk);
          same(scan.cursor, `k${chunk.at(-1)?.key}`);
        }
        same(chunked, items);
      }
      const scan = db.scan();
      for await (const _ of scan.chunks()) break;
      const rest = await all(db.scan(scan.cursor === undefined ? {} : { cursor: scan.cursor }));
      check(rest.length > 0 && rest.length < count, `${rest.length} behind the first chunk`);
      // Items asked for without waiting come in their order, and none twice.
      const iterator = db.scan()[Symbol.asyncIterator]();
      const taken = await Promise.all(Array.from({ length: 2100 }, () => iterator.next()));
      const keysTaken = taken.map((one) => (one.done === true ? '' : one.value.key));
      same([...new Set(keysTaken)].length, 2100);
      same([...keysTaken].sort(byUtf8), keysTaken);
      await iterator.return?.();
      same((await iterator.next()).done, true);
    },
  },
  {
    name: 'chunks that are reused hold the same; of what is kept longer, texts stay and bytes are as they were or empty',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      const count = 12_000;
      const contentOf = (i: number): Value =>
        i % 8 < 4 ? `text ${i} ü` : new Uint8Array(20 + (i % 90)).fill(i);
      const keyOf = (i: number): string => `k${String(i).padStart(6, '0')}`;
      for (let i = 0; i < count; i += 1000)
        await db.putMany(
          Array.from({ length: 1000 }, (_, j) => ({ key: keyOf(i + j), value: contentOf(i + j) })),
        );
      // Twice: the second finds the buffers of the first.
      for (let round = 0; round < 2; round++) {
        const kept: Entry[] = [];
        for await (const chunk of db.scan().chunks({ reuse: true })) {
          for (const { key, value } of chunk) same(value, contentOf(Number(key.slice(1))), key);
          kept.push(...chunk);
        }
        same(kept.length, count);
        for (const [i, { key, value }] of kept.entries()) {
          same(key, keyOf(i));
          if (typeof value === 'string' || value.length > 0) same(value, contentOf(i), key);
        }
        // What others get meanwhile is theirs.
        const keys = Array.from({ length: 1000 }, (_, i) => keyOf(i * 3));
        const values = await db.getMany(keys);
        for await (const _ of db.scan().chunks({ reuse: true }));
        for (const [i, value] of values.entries()) same(value, contentOf(i * 3), keys[i]);
      }
      await rejects(
        () =>
          db
            .scan()
            .chunks({ reuse: 1 as unknown as boolean })
            [Symbol.asyncIterator]()
            .next(),
        'INVALID_ARGUMENT',
      );
    },
  },
  {
    name: 'bad scan options are refused when the scan begins',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      await db.put('a', '1');
      const bad: [Record<string, unknown>, RegExp][] = [
        [{ prefix: 'a', start: 'a' }, /prefix/],
        [{ prefix: 'a', end: 'b' }, /prefix/],
        [{ prefix: 7 }, /prefix/],
        [{ start: '\ud800' }, /start/],
        [{ end: null }, /end/],
        [{ limit: -1 }, /limit/],
        [{ limit: 1.5 }, /limit/],
        [{ limit: Number.NaN }, /limit/],
        [{ reverse: 'yes' }, /reverse/],
        [{ cursor: 'not one' }, /cursor/],
        [{ cursor: '' }, /cursor/],
        [{ cursor: 'i7' }, /cursor/],
        [{ cursor: 7 }, /cursor/],
      ];
      for (const [options, message] of bad)
        await rejects(all(db.scan(untyped(options))), 'INVALID_ARGUMENT', message);
      await db.createSpace('vec', 'vector', { dimension: 1 });
      for (const options of [
        { limit: -1 },
        { cursor: 'kx' },
        { cursor: 'i' },
        { cursor: 'i1e3' },
        { cursor: 's1' },
      ])
        await rejects(all(db.scanVectors({ ...options, space: 'vec' })), 'INVALID_ARGUMENT');
      await rejects(
        all(db.scanVectors({ cursor: `i${2n ** 63n}`, space: 'vec' })),
        'INVALID_ARGUMENT',
        /64 bits/,
      );
    },
  },
  {
    name: 'a cursor goes on behind the last item taken, in either direction',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      for (const key of keys) await db.put(key, '');
      for (const reverse of [false, true]) {
        const order = reverse ? [...keys].reverse() : keys;
        const found: string[] = [];
        let cursor: string | undefined;
        for (let turn = 0; turn <= keys.length; turn++) {
          const scan = db.scan({ reverse, limit: 5, ...(cursor === undefined ? {} : { cursor }) });
          same(scan.cursor, cursor, 'the cursor before the first item');
          let taken = 0;
          for await (const { key } of scan) {
            found.push(key);
            if (++taken === 2) break;
          }
          cursor = scan.cursor;
          if (taken === 0) break;
        }
        same(found, order);
      }
      // What the cursor names may be gone by then.
      const scan = db.scan({ limit: 3 });
      await all(scan);
      await db.delete('ab');
      const rest = await all(db.scan(scan.cursor === undefined ? {} : { cursor: scan.cursor }));
      same(
        rest.map(({ key }) => key),
        keys.slice(3),
      );
    },
  },
  {
    name: 'a scan is a snapshot: writes during it are not seen, and it blocks nobody',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      const count = 3000;
      const name = (i: number): string => `k${String(i).padStart(5, '0')}`;
      await Promise.all(Array.from({ length: count }, (_, i) => db.put(name(i), `v${i}`)));
      for (const reverse of [false, true]) {
        let i = 0;
        for await (const { key, value } of db.scan({ reverse })) {
          const at = reverse ? count - 1 - i : i;
          same([key, value], [name(at), `v${at}`]);
          if (i === 10) {
            await Promise.all([
              db.put(name(2000), 'changed'),
              db.delete(name(1000)),
              db.put(`${name(500)}new`, 'new'),
              db.put('zzz', 'new'),
              db.put('a', 'new'),
            ]);
            await db.checkpoint();
          }
          i++;
        }
        same(i, count);
        await db.put(name(2000), 'v2000');
        await db.put(name(1000), 'v1000');
        for (const key of [`${name(500)}new`, 'zzz', 'a']) same(await db.delete(key), true);
      }
    },
  },
  {
    name: 'many scans at once, left early or not, each see their own moment',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      for (let i = 0; i < 20; i++) await db.put(`k${i}`, '0');
      for (let round = 1; round <= 1200; round++)
        for await (const { value } of db.scan({ limit: 2 })) {
          same(value, '0');
          break;
        }
      const iterators = [];
      for (let round = 0; round < 10; round++) {
        const iterator = db.scan()[Symbol.asyncIterator]();
        iterators.push(iterator);
        same((await iterator.next()).value?.value, String(round));
        await Promise.all(Array.from({ length: 20 }, (_, i) => db.put(`k${i}`, String(round + 1))));
      }
      for (const [round, iterator] of iterators.entries()) {
        let seen = 1;
        for (let step = await iterator.next(); !step.done; step = await iterator.next()) {
          same(step.value.value, String(round));
          seen++;
        }
        same(seen, 20);
      }
    },
  },
  {
    name: 'beyond its budget a scan ends with SNAPSHOT_LOST and a cursor that goes on',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      const value = new Uint8Array(256 * 1024);
      const names = Array.from({ length: 88 }, (_, i) => `k${String(i).padStart(3, '0')}`);
      for (let i = 0; i < names.length; i += 8)
        await Promise.all(names.slice(i, i + 8).map((key) => db.put(key, value)));
      const scan = db.scan();
      const seen: string[] = [];
      const lost = await rejects(
        async () => {
          for await (const { key } of scan) {
            seen.push(key);
            if (seen.length === 1) await db.put('k000', 'changed');
          }
        },
        'SNAPSHOT_LOST',
        /cursor/,
      );
      check(seen.length > 1 && seen.length < names.length, `${seen.length} items came before the loss`);
      same(lost.details.cursor, scan.cursor);
      for await (const { key } of db.scan({ cursor: String(lost.details.cursor) })) seen.push(key);
      same(seen, names);
    },
  },
  {
    name: 'deleting a space ends its open scans',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      const value = new Uint8Array(60 * 1024);
      for (let i = 0; i < 20; i++) await db.put(`k${String(i).padStart(2, '0')}`, value);
      const iterator = db.scan()[Symbol.asyncIterator]();
      await iterator.next();
      await db.deleteSpace('kv');
      await rejects(async () => {
        for (let step = await iterator.next(); !step.done; step = await iterator.next());
      }, 'SNAPSHOT_LOST');
    },
  },
  {
    name: 'scanVectors goes by the value of integer ids, with limit, cursor and snapshot',
    async run(t) {
      const db = await t.open();
      await db.createSpace('vec', 'vector', { dimension: 2 });
      await db.useSpace('vec');
      same(await all(db.scanVectors()), []);
      const ids = [
        -(2n ** 63n),
        -(2n ** 53n),
        -1000,
        -1,
        0,
        1,
        255,
        256,
        65_536,
        2 ** 53 - 1,
        2n ** 53n,
        2n ** 63n - 1n,
      ];
      const shuffled = [...ids].sort(() => -1);
      for (const [i, id] of shuffled.entries()) await db.insertVector(id, [i, -i]);
      const entries = ids.map((id) => {
        const i = shuffled.indexOf(id);
        return { id, vector: new Float32Array([i, -i]) };
      });
      // -0 is what -i is for the first one, and bits are kept.
      same(await all(db.scanVectors()), entries);
      for (const limit of [0, 1, 5, 12, 100])
        same(await all(db.scanVectors({ limit })), entries.slice(0, limit));
      for (const stop of [1, 4, 11, 12]) {
        const scan = db.scanVectors({ limit: stop });
        await all(scan);
        same(await all(db.scanVectors({ cursor: scan.cursor ?? '' })), entries.slice(stop));
      }
      const iterator = db.scanVectors()[Symbol.asyncIterator]();
      same((await iterator.next()).value, entries[0]);
      await Promise.all([db.deleteVector(0), db.insertVector(1, [7, 7]), db.insertVector(2, [8, 8])]);
      const rest = [];
      for (let step = await iterator.next(); !step.done; step = await iterator.next()) rest.push(step.value);
      same(rest, entries.slice(1));
    },
  },
  {
    name: 'scanVectors goes by the bytes of string ids, over many chunks',
    async run(t) {
      const db = await t.open();
      await db.createSpace('vec', 'vector', { dimension: 3, ids: 'string', indexType: 'HNSW8' });
      await db.useSpace('vec');
      const random = new Random(4);
      const ids = Array.from(
        { length: 1500 },
        (_, i) => `${random.pick(['a', 'é', '\uffff', '😀', '\0'])}${i}`,
      );
      const vectors = random.vectors(ids.length * 3);
      await db.insertVectors(ids, vectors);
      const order = ids.map((_, i) => i).sort((a, b) => byUtf8(ids[a] as string, ids[b] as string));
      const expected = order.map((i) => ({ id: ids[i], vector: vectors.slice(i * 3, i * 3 + 3) }));
      same(await all(db.scanVectors()), expected);
      const scan = db.scanVectors({ limit: 700 });
      same(await all(scan), expected.slice(0, 700));
      same(await all(db.scanVectors({ cursor: scan.cursor ?? '' })), expected.slice(700));
    },
  },
];
