/**
 * `originals: 'storage'`: whatever is asked of such a space, the answer is the one that a space with everything in memory
 * gives, to the last bit, while most of its originals are not in memory.
 */

import type { Database, IndexType, SpaceCalls, VectorSpaceOptions } from '../../../src/api/database.ts';
import { check, rejects, same } from '../../support/check.ts';
import { Random } from '../../support/random.ts';
import type { Case } from '../case.ts';
import { untyped } from './spaces.ts';

/** 64 vectors a block. */
const dimension = 1024;
const count = 1280;
const blockBytes = 256 * 1024;
const originalsBytes = count * dimension * 4;
const metadataFields = [{ name: 'n', type: 'int' }] as const;

/** The same space twice, its originals in memory and in storage. */
async function twins(
  db: Database,
  indexType: IndexType,
  options: Partial<VectorSpaceOptions> = {},
): Promise<[SpaceCalls, SpaceCalls]> {
  const shape = { dimension, indexType, metadataFields, durability: 'relaxed', ...options } as const;
  await db.createSpace('memory', 'vector', { ...shape, originals: 'memory' });
  await db.createSpace('storage', 'vector', { ...shape, originals: 'storage' });
  return [db.space('memory'), db.space('storage')];
}

/** Does the same to both, and sees that it comes to the same. */
async function both<Result>(
  [memory, storage]: readonly [SpaceCalls, SpaceCalls],
  what: string,
  call: (space: SpaceCalls) => Promise<Result>,
): Promise<Result> {
  const [expected, found] = [await call(memory), await call(storage)];
  same(found, expected, what);
  return expected;
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function compare(spaces: readonly [SpaceCalls, SpaceCalls], random: Random): Promise<void> {
  const include = { includeVectors: true, includeMetadata: true };
  const query = random.vectors(dimension);
  for (const k of [1, 10, 400]) await both(spaces, `top ${k}`, (one) => one.searchTopK(query, k, include));
  await both(spaces, 'without re-ranking', (one) => one.searchTopK(query, 10, { rerank: false }));
  for (const where of ['n<3', 'n BETWEEN 100 AND 700', 'n>=0'])
    await both(spaces, where, (one) => one.searchTopK(query, 20, { where, ...include }));
  const queries = random.vectors(dimension * 5);
  await both(spaces, 'a batch', (one) => one.searchTopKBatch(queries, 7, include));
  const [, , , , fifth] = await both(spaces, 'five', (one) => one.searchTopK(query, 5));
  const radius = (fifth?.distance ?? 1) * 1.1;
  await both(spaces, 'a range', (one) => one.rangeSearch(query, radius, include));
  await both(spaces, 'everything in a range', (one) => one.rangeSearch(query, 1e9, { limit: 500 }));
  await both(spaces, 'a range in pages', (one) => all(one.rangeSearchPages(query, 1e9, { pageSize: 500 })));
  for (const id of [0, 1, 77, count - 1, count + 50])
    await both(spaces, `vector ${id}`, (one) => one.getVector(id));
  await both(spaces, 'a scan', (one) => all(one.scanVectors({ limit: 300 })));
  await both(spaces, 'a filtered scan', (one) => all(one.scanVectors({ where: 'n>1200' })));
  await both(spaces, 'counts', (one) => one.countVectors({ where: 'n>1200' }));
}

async function fill(spaces: readonly [SpaceCalls, SpaceCalls], random: Random): Promise<void> {
  const ids = Array.from({ length: count }, (_, i) => i);
  const vectors = random.vectors(count * dimension);
  for (const space of spaces) {
    await space.insertVectors(ids, vectors, { metadata: ids.map((n) => ({ n })) });
    await space.waitForIndex();
  }
}

export const originalsCases: Case[] = [
  {
    name: 'originals in storage: every answer is that of a space in memory, through writes, reopening and another index',
    reopens: true,
    async run(t) {
      let db = await t.open();
      let spaces = await twins(db, 'HNSW8,SQ8');
      const random = new Random(501);
      await fill(spaces, random);
      await db.checkpoint();
      const [inMemory, inStorage] = await Promise.all([
        db.describeSpace('memory'),
        db.describeSpace('storage'),
      ]);
      same(inMemory.originals, undefined);
      same(inStorage.originals, 'storage');
      // Of 20 blocks of originals 8 may stay.
      const saved = inMemory.memoryBytes - inStorage.memoryBytes;
      check(saved >= originalsBytes - 8 * blockBytes, `originals in storage save ${saved} bytes`);
      await compare(spaces, random);

      // Slots that are free, and lie in blocks that are not there, are used again.
      const gone = Array.from({ length: Math.ceil(count / 7) }, (_, i) => i * 7);
      await both(spaces, 'deletes', (one) => one.deleteVectors(gone));
      await compare(spaces, random);
      const changed = Array.from({ length: 200 }, (_, i) => i * 6 + (i % 2) * 1200);
      const vectors = random.vectors(changed.length * dimension);
      const metadata = changed.map((n) => ({ n }));
      for (const space of spaces) {
        await space.insertVectors(changed, vectors, { metadata });
        await space.waitForIndex();
      }
      await compare(spaces, random);
      await both(spaces, 'deletes', (one) => one.deleteVectors({ where: 'n BETWEEN 40 AND 60' }));

      await db.close();
      db = await t.open();
      spaces = [db.space('memory'), db.space('storage')];
      await compare(spaces, random);
      for (const space of spaces) await space.reindex({ indexType: 'SQ8' });
      await compare(spaces, random);
      same((await db.verify()).ok, true);
    },
  },
  {
    name: 'originals in storage: searches and writes go on while vectors come and go, and nothing is lost',
    async run(t) {
      const db = await t.open();
      await db.createSpace('storage', 'vector', {
        dimension,
        indexType: 'SQ8',
        originals: 'storage',
        durability: 'relaxed',
      });
      const space = db.space('storage');
      const random = new Random(502);
      const rows = new Map<number, Float32Array>();
      const write = async (): Promise<void> => {
        for (let round = 0; round < 12; round++) {
          const ids = Array.from({ length: 160 }, () => random.below(count));
          const unique = [...new Set(ids)];
          const vectors = random.vectors(unique.length * dimension);
          await space.insertVectors(unique, vectors);
          for (const [i, id] of unique.entries())
            rows.set(id, vectors.slice(i * dimension, (i + 1) * dimension));
          for (const id of unique.slice(0, 10)) if (await space.deleteVector(id)) rows.delete(id);
          if (round % 3 === 0) await db.checkpoint();
        }
      };
      let writing = true;
      const read = async (): Promise<void> => {
        for (let i = 0; writing; i++) {
          const query = random.vectors(dimension);
          const hits = await space.rangeSearch(query, 1e9, { limit: 50, includeVectors: true });
          for (const [at, { distance, vector }] of hits.entries()) {
            check(at === 0 || distance >= (hits[at - 1]?.distance ?? 0), 'hits come best first');
            check(vector?.length === dimension, 'a hit has its vector');
          }
          if (i % 4 === 0) await all(space.scanVectors({ limit: 100 }));
          // Where everything is at hand, a loop of answers would leave no turn to whoever waits for a disk.
          await new Promise((resolve) => setTimeout(resolve));
        }
      };
      const reading = read();
      await write();
      writing = false;
      await reading;
      await db.checkpoint();
      same(await space.countVectors(), rows.size);
      for (const [id, row] of rows) same(await space.getVector(id), row, `vector ${id}`);
      const query = random.vectors(dimension);
      const hits = await space.rangeSearch(query, 1e9, { limit: count });
      same(hits.length, rows.size);
    },
  },
  {
    name: 'originals in storage: an export holds them, and what is imported keeps them there',
    async run(t) {
      const db = await t.open();
      const spaces = await twins(db, 'SQ8');
      const random = new Random(503);
      await fill(spaces, random);
      await db.checkpoint();
      const other = await t.open('other');
      const stream = new TransformStream<Uint8Array, Uint8Array>();
      await Promise.all([db.exportTo(stream.writable), other.importFrom(stream.readable)]);
      same((await other.describeSpace('storage')).originals, 'storage');
      await compare([other.space('memory'), other.space('storage')], random);
      await compare([db.space('memory'), other.space('storage')], random);
    },
  },
  {
    name: 'originals in storage: index types that need them in memory are refused, with the reason',
    async run(t) {
      const db = await t.open();
      const refused: [IndexType | 'Auto', RegExp][] = [
        ['Flat', /without codes a search measures the originals themselves/],
        ['HNSW16', /without codes/],
        ['HNSW16,BQ', /trained on the originals/],
        ['IVF16,SQ8', /trained on the originals/],
        ['PQ16', /trained on the originals/],
        ['Auto', /may become one that searches the originals/],
      ];
      for (const [indexType, message] of refused) {
        const options: VectorSpaceOptions = { dimension: 64, indexType, originals: 'storage' };
        await rejects(db.createSpace('refused', 'vector', options), 'INVALID_ARGUMENT', message);
      }
      await rejects(
        db.createSpace('refused', 'vector', untyped({ dimension: 4, originals: 'disk' })),
        'INVALID_ARGUMENT',
        /"disk" for originals/,
      );
      same(await db.listSpaces(), []);
      await db.createSpace('kept', 'vector', { dimension: 64, indexType: 'SQ8', originals: 'storage' });
      await rejects(
        db.space('kept').reindex({ indexType: 'Flat' }),
        'INVALID_ARGUMENT',
        /expected SQ8 or HNSW\{M\},SQ8/,
      );
      same((await db.describeSpace('kept')).indexType, 'SQ8');
    },
  },
];
