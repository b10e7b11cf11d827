/** searchTopKBatch and rangeSearchPages: the same answers as one at a time, whatever the index, metric and filter. */

import type { Database, IndexType, Metric, SearchHit, VectorData } from '../../../src/api/database.ts';
import { check, rejects, same } from '../../support/check.ts';
import { Random } from '../../support/random.ts';
import type { Case } from '../case.ts';
import { untyped } from './spaces.ts';

const count = 700;
const queryCount = 40;
const kinds: readonly (readonly [IndexType, Metric])[] = [
  ['Flat', 'L2'],
  ['Flat', 'InnerProduct'],
  ['Flat', 'Cosine'],
  ['Flat', 'L1'],
  ['Flat', 'Jaccard'],
  ['HNSW8', 'L2'],
  ['SQ8', 'Cosine'],
];

interface Filled {
  db: Database;
  queries: VectorData;
  query(i: number): VectorData;
}

/** Dimension 37 and some copies, so that tails and ties are met. */
async function fill(db: Database, indexType: IndexType, metric: Metric): Promise<Filled> {
  const random = new Random(9);
  const bits = metric === 'Jaccard';
  const items = bits ? 5 : 37;
  const dimension = bits ? 40 : 37;
  await db.createSpace('vec', 'vector', {
    dimension,
    indexType,
    metric,
    metadataFields: [{ name: 'n', type: 'int' }],
  });
  await db.useSpace('vec');
  const pack = (rows: number): VectorData =>
    bits ? random.bytes(rows * items) : random.vectors(rows * items);
  const vectors = pack(count);
  for (let row = 100; row < 120; row++) vectors.set(vectors.subarray(0, items), row * items);
  if (!bits) vectors.fill(0, 50 * items, 51 * items);
  const metadata = Array.from({ length: count }, (_, n) => ({ n }));
  await db.insertVectors(
    Array.from({ length: count }, (_, i) => (i * 7919) % 100_003),
    vectors,
    { metadata },
  );
  await db.waitForIndex();
  await db.deleteVector(0);
  const queries = pack(queryCount);
  queries.set(vectors.subarray(0, items), 0);
  return { db, queries, query: (i) => queries.slice(i * items, (i + 1) * items) };
}

/** Both measure by the same formulas, but a compiler may round them in its own way in each of the two loops. */
function sameHits(found: SearchHit[], expected: SearchHit[], what: string): void {
  const rest = (hits: SearchHit[]): unknown => hits.map((hit) => ({ ...hit, distance: undefined }));
  same(rest(found), rest(expected), what);
  for (const [i, { distance }] of found.entries()) {
    const other = expected[i]?.distance as number;
    check(
      Math.abs(distance - other) <= 1e-6 * Math.max(1, Math.abs(other)),
      `${what}: ${distance}, ${other}`,
    );
  }
}

export const batchCases: Case[] = [
  ...kinds.map(
    ([indexType, metric]): Case => ({
      name: `${indexType} ${metric}: a batch answers each query as a search for it alone`,
      async run(t) {
        const { db, queries, query } = await fill(await t.open(), indexType, metric);
        for (const options of [
          {},
          { where: 'n >= 350', includeMetadata: true },
          { where: 'n < 3', includeVectors: true },
          { where: 'n < 0' },
        ]) {
          const batch = await db.searchTopKBatch(queries, 10, options);
          same(batch.length, queryCount);
          const single = await Promise.all(batch.map((_, i) => db.searchTopK(query(i), 10, options)));
          for (const [i, hits] of batch.entries())
            sameHits(hits, single[i] ?? [], `query ${i} of ${JSON.stringify(options)}`);
        }
        const seen: number[] = [];
        const all = await db.searchTopKBatch(queries, 5000, { onProgress: ({ done }) => seen.push(done) });
        same(
          all.map((hits) => hits.length),
          Array.from({ length: queryCount }, () => count - 1),
        );
        same(seen.at(-1), queryCount);
      },
    }),
  ),
  {
    name: 'a batch without queries or of an empty space is empty; a wrong one is refused',
    async run(t) {
      const db = await t.open();
      await db.createSpace('vec', 'vector', { dimension: 3 });
      await db.useSpace('vec');
      same(await db.searchTopKBatch(new Float32Array(0), 5), []);
      same(await db.searchTopKBatch(new Float32Array(6), 5), [[], []]);
      await db.insertVector(1, [0, 0, 0]);
      same(await db.searchTopKBatch(new Float32Array(6)), [
        [{ id: 1, distance: 0 }],
        [{ id: 1, distance: 0 }],
      ]);
      const bad: [unknown, number, RegExp][] = [
        [new Float32Array(4), 1, /4 items for queries, expected a multiple of 3/],
        [new Uint8Array(3), 1, /packed Float32Array/],
        [[0, 0, 0], 1, /queries/],
        [new Float32Array([0, 0, 0, 0, Number.NaN, 0]), 1, /NaN at component 1 of vector 1 of queries/],
        [new Float32Array(3), 0, /k/],
        [new Float32Array(9), 1_000_000, /3 queries for 1000000 hits each/],
      ];
      for (const [queries, k, message] of bad)
        await rejects(db.searchTopKBatch(untyped(queries), k), 'INVALID_ARGUMENT', message);
    },
  },
  ...(['L2', 'InnerProduct', 'Jaccard'] as const).map(
    (metric): Case => ({
      name: `${metric}: pages of a range search are its whole answer, in order, each hit once`,
      async run(t) {
        const { db, query } = await fill(await t.open(), 'Flat', metric);
        const radius = { L2: 90, InnerProduct: -10, Jaccard: 0.9 }[metric];
        const whole = await db.rangeSearch(query(0), radius, { where: 'n != 300' });
        check(whole.length > 100, `${whole.length} hits`);
        for (const pageSize of [1, 7, 64, 10_000]) {
          const pages: SearchHit[][] = [];
          const options = { where: 'n != 300', pageSize };
          for await (const page of db.rangeSearchPages(query(0), radius, options)) pages.push(page);
          same(pages.flat(), whole, `pages of ${pageSize}`);
          check(
            pages.every(({ length }, i) => length === pageSize || i === pages.length - 1),
            'a page is full unless it is the last',
          );
        }
        for await (const page of db.rangeSearchPages(query(0), radius, { includeMetadata: true })) {
          check(page[0]?.metadata !== undefined, 'metadata');
          break;
        }
      },
    }),
  ),
  {
    name: 'pages go on behind hits that are gone; ids of texts tie by bytes',
    async run(t) {
      const db = await t.open();
      await db.createSpace('vec', 'vector', { dimension: 1, ids: 'string' });
      await db.useSpace('vec');
      const ids = Array.from({ length: 30 }, (_, i) => `id ${i} ${'é'.repeat(i % 3)}`);
      await db.insertVectors(ids, new Float32Array(30));
      const sorted = (await db.searchTopK([0], 30)).map(({ id }) => id);
      const found: unknown[] = [];
      for await (const page of db.rangeSearchPages([0], 1, { pageSize: 4 })) {
        for (const { id } of page) {
          found.push(id);
          await db.deleteVector(id);
        }
      }
      same(found, sorted);
      same(await db.countVectors(), 0);
    },
  },
];
