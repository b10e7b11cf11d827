/** IVF and PQ: exact until they are trained, which happens by itself; then through deletes, replacements and reopening. */

import type { Database, IndexType, Metric, SpaceDescription } from '../../../src/api/database.ts';
import { check, rejects, same } from '../../support/check.ts';
import { Random } from '../../support/random.ts';
import { VectorModel } from '../../support/vector-model.ts';
import type { Case } from '../case.ts';
import { untyped } from './spaces.ts';
import { withVectors } from './vectors.ts';

const dimension = 8;
/** PQ is trained on 39 vectors for each of its 256 codewords, IVF on 39 a list. */
const kinds = [
  { indexType: 'IVF48', metric: 'L2', count: 2500 },
  { indexType: 'IVF48,SQ8', metric: 'InnerProduct', count: 2500 },
  { indexType: 'IVF48,PQ3', metric: 'Cosine', count: 10_500 },
  { indexType: 'PQ4', metric: 'L2', count: 10_500 },
  { indexType: 'HNSW8,PQ4', metric: 'Cosine', count: 10_500 },
] as const satisfies { indexType: IndexType; metric: Metric; count: number }[];

const partOf = (id: number): number => id % 40;
/** Half of all, and one in forty. */
const filters: readonly [where: string, allows: (part: number) => boolean][] = [
  ['part < 20', (part) => part < 20],
  ['part = 7', (part) => part === 7],
];

const row = (vectors: Float32Array, i: number): Float32Array =>
  vectors.slice(i * dimension, (i + 1) * dimension);

async function indexOf(db: Database): Promise<NonNullable<SpaceDescription['index']>> {
  const { index } = await db.describeSpace('vec');
  check(index !== undefined, 'a vector space has an index');
  return index as NonNullable<SpaceDescription['index']>;
}

export const listCases: Case[] = [
  ...kinds.map(
    ({ indexType, metric, count }): Case => ({
      name: `${indexType}: exact until trained, then finds what is near and obeys where through deletes, replacements and reopening`,
      reopens: true,
      async run(t) {
        let db = await withVectors(t, {
          dimension,
          metric,
          indexType,
          metadataFields: [{ name: 'part', type: 'int' }],
        });
        const random = new Random(81);
        const model = new VectorModel(metric, dimension);
        const vectors = random.vectors(count * dimension);
        const queries = random.vectors(20 * dimension);
        const ids = Array.from({ length: count }, (_, i) => i);
        for (const id of ids) model.rows.set(id, row(vectors, id));
        await db.insertVectors(ids, vectors, { metadata: ids.map((id) => ({ part: partOf(id) })) });
        const expectFiltered = async () => {
          for (const [where, allows] of filters) {
            const some = new VectorModel(metric, dimension);
            for (const [id, vector] of model.rows) if (allows(partOf(id))) some.rows.set(id, vector);
            same(await db.countVectors({ where }), some.rows.size, where);
            // The model knows no others: an answer that does not match fails.
            const recall = await some.recall(db, queries.subarray(0, 6 * dimension), { where });
            check(recall >= 0.95, `${where}: recall@10 is ${recall}`);
          }
        };
        const expectRecall = async (floor: number, when: string) => {
          const recall = await model.recall(db, queries);
          check(recall >= floor, `${when}: recall@10 is ${recall}, expected at least ${floor}`);
        };
        await expectRecall(0.95, 'at once');
        const progress: number[] = [];
        await db.waitForIndex({ onProgress: ({ done, total }) => progress.push(done / total) });
        const { linked, pending, training } = await indexOf(db);
        same([linked, pending, training?.done], [count, 0, 1]);
        check((training?.trainedOn ?? 0) > 0, 'trained');
        check(
          progress.every((share, i) => share >= (progress[i - 1] ?? 0) && share <= 1),
          'progress grows',
        );
        await expectRecall(0.95, 'trained');
        await expectFiltered();

        const changed = random.vectors(300 * dimension);
        for (let i = 0; i < 600; i++) {
          if (i % 2 === 0) {
            same(await db.deleteVector(i * 3), model.rows.delete(i * 3));
          } else {
            await db.insertVector(i, row(changed, i >> 1), { metadata: { part: partOf(i) } });
            model.rows.set(i, row(changed, i >> 1));
          }
        }
        await expectRecall(0.95, 'while changes are taken in');
        await expectFiltered();
        await db.waitForIndex();
        await expectRecall(0.95, 'after changes');
        const hits = await db.rangeSearch(
          row(queries, 0),
          metric === 'L2' ? 4 : metric === 'Cosine' ? 0.3 : 3,
        );
        same(hits.length, model.within(row(queries, 0), metric === 'L2' ? 4 : metric === 'Cosine' ? 0.3 : 3));

        await db.close();
        db = await t.open();
        await db.useSpace('vec');
        same((await db.describeSpace('vec')).indexType, indexType);
        await expectRecall(0.95, 'opened again');
        await db.waitForIndex();
        same((await indexOf(db)).pending, 0);
        await expectRecall(0.95, 'opened again, complete');
      },
    }),
  ),
  {
    name: 'IVF and PQ: with too few vectors to train, searches are exact and nothing waits',
    async run(t) {
      for (const indexType of ['IVF8', 'IVF8,PQ4', 'PQ8,Flat', 'HNSW8,PQ2'] as const) {
        const db = await t.open(indexType.replace(',', '-'));
        await db.createSpace('vec', 'vector', { dimension, indexType });
        await db.useSpace('vec');
        const random = new Random(82);
        const vectors = random.vectors(300 * dimension);
        const model = new VectorModel('L2', dimension);
        for (let id = 0; id < 300; id++) model.rows.set(id, row(vectors, id));
        await db.insertVectors([...model.rows.keys()], vectors);
        await db.waitForIndex();
        const { pending, linked, training } = await indexOf(db);
        same([pending, linked, training?.trainedOn, training?.done], [0, 0, 0, 0]);
        same(training?.needs, indexType === 'IVF8' ? 8 * 39 : 256 * 39);
        same(await model.recall(db, random.vectors(5 * dimension)), 1);
      }
    },
  },
  {
    name: 'IVF: nprobe trades time for recall; all lists find everything',
    async run(t) {
      const db = await withVectors(t, { dimension, indexType: 'IVF40,Flat' });
      const random = new Random(83);
      const vectors = random.vectors(2000 * dimension);
      const model = new VectorModel('L2', dimension);
      for (let id = 0; id < 2000; id++) model.rows.set(id, row(vectors, id));
      await db.insertVectors([...model.rows.keys()], vectors);
      await db.waitForIndex();
      const queries = random.vectors(20 * dimension);
      const few = await model.recall(db, queries, { nprobe: 1 });
      const some = await model.recall(db, queries, { nprobe: 8 });
      check(few < some, `${few} of one list, ${some} of eight`);
      same(await model.recall(db, queries, { nprobe: 40 }), 1);
      same(await model.recall(db, queries, { nprobe: 1000 }), 1);
      // More than the nearest list has.
      same((await db.searchTopK(row(queries, 0), 1500, { nprobe: 1 })).length, 1500);
      for (const nprobe of [0, 1.5, -1, '4', Number.NaN]) {
        await rejects(db.searchTopK(row(queries, 0), 1, untyped({ nprobe })), 'INVALID_ARGUMENT', /nprobe/);
      }
    },
  },
  {
    name: 'IVF and PQ: numbers out of range and metrics without means are refused',
    async run(t) {
      const db = await t.open();
      const space = (indexType: unknown, metric = 'L2') =>
        db.createSpace('vec', 'vector', untyped({ dimension, indexType, metric }));
      for (const bad of [
        'IVF',
        'IVF0',
        'IVF16385',
        'IVF8,HNSW16',
        'PQ',
        'PQ0',
        'PQ9',
        'IVF8,PQ9',
        'PQ8,IVF8',
        'HNSW8,PQ',
      ])
        await rejects(space(bad), 'INVALID_ARGUMENT', /indexType/);
      await rejects(space('PQ9'), 'INVALID_ARGUMENT', /m of indexType with dimension 8/);
      await rejects(space('IVF8', 'L1'), 'INVALID_ARGUMENT', /IVF is for L2, InnerProduct, Cosine/);
      await rejects(space('PQ4', 'Hamming'), 'INVALID_ARGUMENT', /PQ is for/);
      same(await db.listSpaces(), []);
    },
  },
];
