/** Aborts, deadlines, progress, transfer, stats, checkpoint, closing, and durabilities. */

import type { Durability, Progress } from '../../../src/api/database.ts';
import type { ShibuDbError } from '../../../src/api/errors.ts';
import { check, rejects, same } from '../../support/check.ts';
import { Random } from '../../support/random.ts';
import type { Case } from '../case.ts';
import { all, untyped, withKeyValue } from './spaces.ts';
import { withVectors } from './vectors.ts';

export const controlCases: Case[] = [
  {
    name: 'a signal that has fired already makes every call ABORTED, and nothing happens',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      await db.createSpace('vec', 'vector', { dimension: 1 });
      const signal = AbortSignal.abort(new Error('changed my mind'));
      const vec = db.space('vec');
      for (const call of [
        () => db.put('k', 'v', { signal }),
        () => db.get('k', { signal }),
        () => db.delete('k', { signal }),
        () => all(db.scan({ signal })),
        () => vec.insertVector(1, [1], { signal }),
        () => vec.insertVectors([1], new Float32Array(1), { signal, transfer: true }),
        () => vec.getVector(1, { signal }),
        () => vec.deleteVector(1, { signal }),
        () => vec.countVectors({ signal }),
        () => all(vec.scanVectors({ signal })),
        () => vec.searchTopK([1], 1, { signal }),
        () => vec.rangeSearch([1], 1, { signal }),
        () => vec.waitForIndex({ signal }),
        () => db.createSpace('new', 'key-value', { signal }),
        () => db.deleteSpace('kv', { signal }),
        () => db.useSpace('vec', { signal }),
        () => db.describeSpace('kv', { signal }),
        () => db.listSpaces({ signal }),
        () => db.stats({ signal }),
        () => db.checkpoint({ signal }),
        () => db.verify({ signal }),
        () => db.exportTo(new WritableStream(), { signal }),
        () => db.importFrom(new ReadableStream(), { signal }),
      ])
        same((await rejects(call, 'ABORTED')).cause, signal.reason);
      same([await db.get('k'), await vec.countVectors(), (await db.listSpaces()).length], [undefined, 0, 2]);
    },
  },
  {
    name: 'what was passed is the caller’s again as soon as the call returns, however often it is used within one turn',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      const dimension = 16;
      await db.createSpace('vec', 'vector', {
        dimension,
        metadataFields: [{ name: 'title', type: 'string' }],
      });
      const vec = db.space('vec');
      const vector = new Float32Array(dimension);
      const metadata = { title: '' };
      // Large enough to take another way than what is small.
      const rows = 3000;
      const ids = new Array<number>(rows);
      const vectors = new Float32Array(rows * dimension);
      const value = new Uint8Array(100);
      const entries = [{ key: '', value: '' }];
      const calls: Promise<unknown>[] = [];
      for (let turn = 1; turn <= 5; turn++) {
        vector.fill(turn);
        metadata.title = `title ${turn}`;
        calls.push(vec.insertVector(turn, vector, { metadata }));
        for (let row = 0; row < rows; row++) ids[row] = turn * 10_000 + row;
        vectors.fill(turn * 100);
        calls.push(vec.insertVectors(ids, vectors));
        value.fill(turn);
        calls.push(db.put(`k${turn}`, value));
        calls.push(db.put(`large${turn}`, value, { ttlMs: 1e9 }));
        Object.assign(entries[0] as object, { key: `many${turn}`, value: `value ${turn}` });
        calls.push(db.putMany(entries));
      }
      vector.fill(0);
      await Promise.all(calls);
      for (let turn = 1; turn <= 5; turn++) {
        same(await vec.getVector(turn), new Float32Array(dimension).fill(turn));
        same(await vec.getMetadata(turn), { title: `title ${turn}` });
        const last = turn * 10_000 + rows - 1;
        same(await vec.getVector(last), new Float32Array(dimension).fill(turn * 100));
        same(await db.get(`k${turn}`), new Uint8Array(100).fill(turn));
        same(await db.get(`large${turn}`), new Uint8Array(100).fill(turn));
        same(await db.get(`many${turn}`), `value ${turn}`);
      }
      const searches = [1, 2, 3].map((turn) => vec.searchTopK(vector.fill(turn)));
      vector.fill(300);
      same(
        (await Promise.all(searches)).map(([hit]) => hit?.id),
        [1, 2, 3],
      );
    },
  },
  {
    name: 'timeoutMs: a call in time is not disturbed, a late one is TIMEOUT, a senseless one is refused',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      await db.put('k', 'v', { timeoutMs: 30_000 });
      same(await db.get('k', { timeoutMs: Number.POSITIVE_INFINITY }), 'v');
      for (const timeoutMs of [0, -1, Number.NaN, '10', null])
        await rejects(db.get('k', { timeoutMs: untyped(timeoutMs) }), 'INVALID_ARGUMENT', /timeoutMs/);
      await db.createSpace('graph', 'vector', { dimension: 64, indexType: 'HNSW16', efConstruction: 400 });
      const count = 3000;
      const vectors = new Random(11).vectors(count * 64);
      const ids = Array.from({ length: count }, (_, i) => i);
      await db.insertVectors(ids, vectors, { space: 'graph' });
      await rejects(db.waitForIndex({ space: 'graph', timeoutMs: 20 }), 'TIMEOUT', /waitForIndex.*20 ms/);
      const controller = new AbortController();
      const waiting = db.waitForIndex({ space: 'graph', signal: controller.signal });
      controller.abort();
      await rejects(waiting, 'ABORTED', /waitForIndex/);
      same(await db.get('k'), 'v', 'other calls go on');
    },
  },
  {
    name: 'an aborted insertVectors reports the acknowledged prefix, which is exactly what is stored',
    async run(t) {
      const dimension = 256;
      const db = await withVectors(t, { dimension });
      const count = 48 * 1024;
      const vectors = new Float32Array(count * dimension);
      for (let i = 0; i < count; i++) vectors[i * dimension] = i;
      const ids = Array.from({ length: count }, (_, i) => i);
      const controller = new AbortController();
      const seen: Progress[] = [];
      let settled = false;
      const error: ShibuDbError = await rejects(
        db
          .insertVectors(ids, vectors, {
            signal: controller.signal,
            onProgress(progress) {
              check(!settled, 'progress was told after the call had settled');
              seen.push(progress);
              controller.abort();
            },
          })
          .finally(() => {
            settled = true;
          }),
        'ABORTED',
        /first \d+ of 49152/,
      );
      const { acknowledged } = error.details;
      check(typeof acknowledged === 'number' && acknowledged > 0, `acknowledged is ${acknowledged}`);
      check(acknowledged < count, 'the abort came in time');
      check((seen.at(-1)?.done ?? 0) <= acknowledged, 'no progress beyond what was acknowledged');
      same(seen[0]?.total, count);
      same(await db.countVectors(), acknowledged);
      for (const id of [0, acknowledged - 1]) same((await db.getVector(id))?.[0], id);
      same(await db.getVector(acknowledged), undefined);
    },
  },
  {
    name: 'onProgress of insertVectors grows to the total',
    async run(t) {
      const db = await withVectors(t, { dimension: 512 });
      const count = 4000;
      const seen: Progress[] = [];
      await db.insertVectors(
        Array.from({ length: count }, (_, i) => i),
        new Random(12).vectors(count * 512),
        { onProgress: (progress) => seen.push(progress) },
      );
      check(seen.length > 1, `${seen.length} reports`);
      for (const [i, { done, total }] of seen.entries()) {
        same(total, count);
        check(done > (seen[i - 1]?.done ?? 0), 'progress grows');
      }
      same(seen.at(-1)?.done, count);
    },
  },
  {
    name: 'transfer hands the buffer over; without it the buffer stays the caller’s',
    async run(t) {
      const db = await withVectors(t, { dimension: 2 });
      const kept = new Float32Array([1, 2]);
      await db.insertVectors([1], kept);
      same(kept, new Float32Array([1, 2]));
      const given = new Float32Array([3, 4, 5, 6]);
      await db.insertVectors([2, 3], given, { transfer: true });
      same([given.length, given.buffer.byteLength], [0, 0]);
      same(await db.getVector(3), new Float32Array([5, 6]));
      // A view into a larger buffer gives the whole buffer away, and inserts the view alone.
      const larger = new Float32Array([7, 8, 9, 10]);
      await db.insertVectors([4], larger.subarray(2), { transfer: true });
      same([larger.length, await db.getVector(4)], [0, new Float32Array([9, 10])]);
      const query = new Float32Array([1, 2]);
      await db.searchTopK(query);
      same(query.length, 2);
    },
  },
  {
    name: 'stats and checkpoint',
    async run(t) {
      const db = await withKeyValue(() => t.open('stats'));
      const value = new Random(15).bytes(100_000);
      await db.put('k', value);
      const before = await db.describeSpace('kv');
      check(before.storedBytes >= 100_000, `storedBytes is ${before.storedBytes} with the value in the log`);
      await db.checkpoint();
      const after = await db.describeSpace('kv');
      check(after.storedBytes >= 100_000, `storedBytes is ${after.storedBytes} with the value in blocks`);
      await db.checkpoint();
      same((await db.describeSpace('kv')).storedBytes, after.storedBytes);
      const stats = await db.stats();
      same([stats.build, stats.storage, stats.residentSpaces], [t.build, t.storage, 1]);
      check(stats.name.endsWith('stats'), `the name is ${stats.name}`);
      check(stats.memoryBytes >= after.memoryBytes, 'memoryBytes covers the space');
      same(await db.get('k'), value);
    },
  },
  {
    name: 'checkpoints while writing keep everything',
    reopens: true,
    async run(t) {
      let db = await t.open();
      await db.createSpace('kv', 'key-value', { durability: 'relaxed' });
      await db.createSpace('vec', 'vector', { dimension: 32, indexType: 'HNSW8', durability: 'relaxed' });
      const random = new Random(13);
      const vectors = random.vectors(1000 * 32);
      const writing: Promise<unknown>[] = [];
      for (let round = 0; round < 20; round++) {
        for (let i = 0; i < 50; i++) {
          writing.push(db.put(`k${round}.${i}`, `v${round}.${i}`, { space: 'kv' }));
          const at = round * 50 + i;
          writing.push(db.insertVector(at, vectors.subarray(at * 32, at * 32 + 32), { space: 'vec' }));
        }
        if (round % 3 === 0) writing.push(db.checkpoint());
        await writing[writing.length - 30];
      }
      await Promise.all(writing);
      await db.close();
      db = await t.open();
      same((await all(db.scan({ space: 'kv' }))).length, 1000);
      same(await db.get('k19.49', { space: 'kv' }), 'v19.49');
      const entries = await all(db.scanVectors({ space: 'vec' }));
      for (const [i, { id, vector }] of entries.entries())
        same([id, vector], [i, vectors.slice(i * 32, i * 32 + 32)]);
      same(entries.length, 1000);
    },
  },
  {
    name: 'every durability acknowledges and is there after closing',
    reopens: true,
    async run(t) {
      let db = await t.open();
      const durabilities: Durability[] = ['strict', 'relaxed', 'none', { everyOps: 3 }, { everyMs: 5 }];
      for (const [i, durability] of durabilities.entries()) {
        await db.createSpace(`s${i}`, 'key-value', { durability });
        for (let n = 0; n < 10; n++) await db.put(`k${n}`, `v${n}`, { space: `s${i}` });
        await Promise.all(Array.from({ length: 10 }, (_, n) => db.delete(`k${n * 2}`, { space: `s${i}` })));
      }
      await db.close();
      db = await t.open();
      for (const [i, durability] of durabilities.entries()) {
        const keys = (await all(db.scan({ space: `s${i}` }))).map(({ key }) => key);
        same(keys, ['k1', 'k3', 'k5', 'k7', 'k9'], JSON.stringify(durability));
      }
    },
  },
  {
    name: 'close may be called twice, finishes what was accepted, and later calls are CLOSED',
    reopens: true,
    async run(t) {
      let db = await withKeyValue(() => t.open());
      const iterator = db.scan()[Symbol.asyncIterator]();
      const handle = db.space('kv');
      const put = db.put('last', 'one');
      const closing = db.close();
      await Promise.all([put, closing, db.close()]);
      await db.close();
      await rejects(db.get('last'), 'CLOSED', /get/);
      await rejects(handle.put('k', 'v'), 'CLOSED', /put/);
      await rejects(db.listSpaces(), 'CLOSED');
      await rejects(db.createSpace('x', 'key-value'), 'CLOSED');
      await rejects(db.checkpoint(), 'CLOSED');
      await rejects(db.stats(), 'CLOSED');
      await rejects(iterator.next(), 'CLOSED');
      db = await t.open();
      same(await db.get('last', { space: 'kv' }), 'one');
    },
  },
  {
    name: 'closing in the middle of a scan and of linking ends both',
    reopens: true,
    async run(t) {
      let db = await withVectors(t, { dimension: 64, indexType: 'HNSW16' });
      const count = 2000;
      await db.insertVectors(
        Array.from({ length: count }, (_, i) => i),
        new Random(14).vectors(count * 64),
      );
      const iterator = db.scanVectors()[Symbol.asyncIterator]();
      await iterator.next();
      const waiting = db.waitForIndex().then(
        () => 'linked',
        (error: ShibuDbError) => error.code,
      );
      await db.close();
      const outcome = await waiting;
      check(['linked', 'CLOSED'].includes(outcome), `waitForIndex ended with ${outcome}`);
      await rejects(async () => {
        for (let step = await iterator.next(); !step.done; step = await iterator.next());
      }, 'CLOSED');
      db = await t.open();
      await db.useSpace('vec');
      same(await db.countVectors(), count);
      await db.waitForIndex();
      same((await db.describeSpace('vec')).index, { linked: count, pending: 0 });
    },
  },
  {
    name: 'await using closes',
    async run(t) {
      let db: Awaited<ReturnType<typeof t.open>>;
      {
        db = await t.open();
        await using scoped = db;
        await scoped.createSpace('s', 'key-value');
      }
      await rejects(db.listSpaces(), 'CLOSED');
    },
  },
];
