/** verify, exportTo and importFrom. Damage of every kind is in test/unit/transfer.test.ts and test/fuzz. */

import type { Database, Metadata, Progress } from '../../../src/api/database.ts';
import { check, rejects, same } from '../../support/check.ts';
import { Random } from '../../support/random.ts';
import type { Case } from '../case.ts';
import { all } from './spaces.ts';

const dimension = 5;
const vectorCount = 700;

/** A space of each kind, with texts, bytes, a deadline, large values, and vectors under ids of both kinds. */
async function fill(db: Database): Promise<void> {
  const random = new Random(3);
  await db.createSpace('notes', 'key-value', { durability: 'relaxed' });
  await db.putMany(
    Array.from({ length: 300 }, (_, i) => ({ key: `k${i}`, value: `value ${i} é` })),
    { space: 'notes' },
  );
  await db.put('bytes', random.bytes(200_000), { space: 'notes' });
  await db.put('later', 'expires', { space: 'notes', ttlMs: 1e7 });
  await db.createSpace('ints', 'vector', { dimension, indexType: 'HNSW8', metric: 'Cosine' });
  await db.createSpace('words', 'vector', {
    dimension,
    ids: 'string',
    metadataFields: [
      { name: 'n', type: 'int' },
      { name: 'tags', type: 'string[]' },
    ],
  });
  const vectors = random.vectors(vectorCount * dimension);
  const ids = Array.from({ length: vectorCount }, (_, i) => i * 3 - 500);
  await db.insertVectors(ids, vectors, { space: 'ints' });
  await db.insertVectors(
    ids.map((id) => `id ${id}`),
    vectors,
    { space: 'words', metadata: ids.map(metadataOf) },
  );
}

/** Indexed fields, others, and of every seventh vector none. */
function metadataOf(id: number): Metadata | undefined {
  return id % 7 === 0 ? undefined : { n: id, tags: [`t${id % 3}`, 'é'], free: { deep: [id, null] } };
}

async function contents(db: Database): Promise<unknown> {
  return {
    spaces: await db.listSpaces(),
    notes: (await all(db.scan({ space: 'notes' }))).map(({ key, value }) => [key, String(value)]),
    expires: ((await db.ttl('later', { space: 'notes' })) ?? 0) > 0,
    ints: (await all(db.scanVectors({ space: 'ints' }))).map(({ id, vector }) => [id, ...vector]),
    words: (await all(db.scanVectors({ space: 'words' }))).map(({ id, vector, metadata }) => [
      id,
      metadata,
      ...vector,
    ]),
    filtered: await db.countVectors({ space: 'words', where: 'tags = t1 AND n > 0' }),
  };
}

async function exported(db: Database, spaces?: string[]): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  const stream = new WritableStream<Uint8Array>({
    write(piece) {
      pieces.push(piece);
    },
  });
  await db.exportTo(stream, spaces === undefined ? {} : { spaces });
  return pieces;
}

function streamOf(pieces: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
}

export const transferCases: Case[] = [
  {
    name: 'exportTo and importFrom move all spaces bit for bit, and tell their progress up to the total',
    async run(t) {
      const db = await t.open('from');
      await fill(db);
      const seen: Progress[] = [];
      const pieces: Uint8Array[] = [];
      const sink = new WritableStream<Uint8Array>({
        write(piece) {
          pieces.push(piece);
        },
      });
      await db.exportTo(sink, { onProgress: (progress) => seen.push(progress) });
      const total = 302 + 2 * vectorCount;
      same(seen.at(-1), { done: total, total });
      const other = await t.open('to');
      const told: Progress[] = [];
      const { spaces } = await other.importFrom(streamOf(pieces), {
        onProgress: (progress) => told.push(progress),
      });
      same(spaces, ['notes', 'ints', 'words']);
      same(told.at(-1), { done: total, total });
      same(await contents(other), await contents(db));
      await rejects(other.importFrom(streamOf(pieces)), 'SPACE_EXISTS', /"notes"/);
    },
  },
  {
    name: 'exportTo takes some spaces; none of it is lost on the way through another pair of databases',
    async run(t) {
      const db = await t.open('from');
      await fill(db);
      const other = await t.open('to');
      await other.importFrom(streamOf(await exported(db, ['ints'])));
      same(
        (await other.listSpaces()).map(({ name }) => name),
        ['ints'],
      );
      same(await exported(other), await exported(db, ['ints']));
      await rejects(db.exportTo(new WritableStream(), { spaces: ['nowhere'] }), 'SPACE_NOT_FOUND', /nowhere/);
    },
  },
  {
    name: 'importFrom refuses a damaged stream, one that breaks off, and what is none; the database goes on',
    async run(t) {
      const db = await t.open('from');
      await fill(db);
      const whole = await exported(db, ['words']);
      const flipped = whole.map((piece) => piece.slice());
      const [, , third] = flipped;
      if (third !== undefined) third[third.length - 1] = (third.at(-1) ?? 0) ^ 1;
      const other = await t.open('to');
      await rejects(other.importFrom(streamOf(flipped)), 'CORRUPTION', /0 entries of the export are stored/);
      await other.deleteSpace('words');
      await rejects(other.importFrom(streamOf(whole.slice(0, -1))), 'CORRUPTION', /breaks off/);
      await other.deleteSpace('words');
      await rejects(other.importFrom(streamOf([new Uint8Array(100)])), 'CORRUPTION');
      await rejects(other.importFrom(streamOf([])), 'CORRUPTION');
      same(await other.listSpaces(), []);
      await other.importFrom(streamOf(whole));
      same(await other.countVectors({ space: 'words' }), vectorCount);
    },
  },
  {
    name: 'exportTo and importFrom stop when their signal fires or their stream fails',
    async run(t) {
      const db = await t.open('from');
      await fill(db);
      const failing = new WritableStream<Uint8Array>({
        write() {
          throw new Error('the disk of the other side is full');
        },
      });
      let message = '';
      await db.exportTo(failing).catch((error: Error) => {
        message = error.message;
      });
      check(/other side is full/.test(message), `got ${message}`);
      const controller = new AbortController();
      const slow = new WritableStream<Uint8Array>({
        write() {
          controller.abort();
          return new Promise(() => {});
        },
      });
      await rejects(db.exportTo(slow, { signal: controller.signal }), 'ABORTED', /exportTo/);
      const waiting = new AbortController();
      const endless = new ReadableStream<Uint8Array>({
        pull() {
          waiting.abort();
          return new Promise(() => {});
        },
      });
      await rejects(db.importFrom(endless, { signal: waiting.signal }), 'ABORTED', /importFrom/);
      await rejects(db.importFrom(streamOf([]), { timeoutMs: 0 }), 'INVALID_ARGUMENT');
      same((await exported(db)).length > 3, true);
    },
  },
  {
    name: 'verify reports every space, before and after a checkpoint, while others write',
    async run(t) {
      const db = await t.open();
      await fill(db);
      await db.put('more', 'in the log', { space: 'notes' });
      const before = await db.verify();
      same([before.ok, before.faults], [true, []]);
      same(
        before.spaces.map(({ name }) => name),
        ['notes', 'ints', 'words'],
      );
      const writing = Promise.all(
        Array.from({ length: 50 }, (_, i) => db.put(`w${i}`, 'x'.repeat(1000), { space: 'notes' })),
      );
      await db.checkpoint();
      const after = await db.verify({ deep: false });
      await writing;
      same(after.ok, true);
      check(
        after.spaces.every(({ blocks, bytes, faults }) => blocks > 0 && bytes > 0 && faults.length === 0),
        JSON.stringify(after),
      );
      same((await db.verify()).ok, true);
      await rejects(db.verify({ deep: 'very' as unknown as boolean }), 'INVALID_ARGUMENT', /deep/);
    },
  },
];
