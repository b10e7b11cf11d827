/** SQ8 and BQ: what is found by codes and measured again, through deletes, replacements and reopening; what is refused. */

import type { IndexType, Metric } from '../../../src/api/database.ts';
import { check, near, rejects, same } from '../../support/check.ts';
import { exactDistance } from '../../support/metrics.ts';
import { Random } from '../../support/random.ts';
import { VectorModel } from '../../support/vector-model.ts';
import type { Case } from '../case.ts';
import { untyped } from './spaces.ts';
import { withVectors } from './vectors.ts';

const indexTypes = ['SQ8', 'BQ', 'HNSW16,SQ8', 'HNSW16,BQ', 'HNSW16,Flat'] as const satisfies IndexType[];
const metrics = ['L2', 'InnerProduct', 'Cosine'] as const satisfies Metric[];
const dimension = 64;
const count = 4000;
/** So few that codes have to choose them, even of so few vectors. */
const oversample = 40;
const k = 10;

/** Points that differ in ten ways only, as embeddings do in some dozen, and a little noise in every component. */
function vectorsOf(random: Random, rows: number): Float32Array {
  const ways = 10;
  const basis = new Random(70).vectors(ways * dimension);
  const along = random.vectors(rows * ways);
  return random.vectors(rows * dimension).map((noise, i) => {
    const row = Math.floor(i / dimension);
    let value = noise * 0.05;
    for (let way = 0; way < ways; way++)
      value += (along[row * ways + way] as number) * (basis[way * dimension + (i % dimension)] as number);
    return value;
  });
}

export const codeCases: Case[] = [
  ...indexTypes.map(
    (indexType, at): Case => ({
      name: `${indexType}: what is near is found, measured exactly, through deletes, replacements and reopening`,
      reopens: true,
      async run(t) {
        const metric = metrics[at % metrics.length] as Metric;
        let db = await withVectors(t, { dimension, metric, indexType });
        const random = new Random(71);
        const model = new VectorModel(metric, dimension);
        const vectors = vectorsOf(random, count);
        const queries = vectorsOf(random, 30);
        const ids = Array.from({ length: count }, (_, i) => i);
        for (const id of ids) model.rows.set(id, vectors.slice(id * dimension, (id + 1) * dimension));
        await db.insertVectors(ids, vectors);
        const floor = 0.95;
        const expectRecall = async (when: string) => {
          const recall = await model.recall(db, queries, { oversample });
          check(recall >= floor, `${metric}, ${when}: recall@10 is ${recall}, expected at least ${floor}`);
        };
        await expectRecall('not linked yet');
        await db.waitForIndex();
        await expectRecall('linked');

        const changed = vectorsOf(random, 300);
        for (let i = 0; i < 600; i++) {
          if (i % 2 === 0) {
            same(await db.deleteVector(i * 3), model.rows.delete(i * 3));
          } else {
            const vector = changed.slice((i >> 1) * dimension, ((i >> 1) + 1) * dimension);
            await db.insertVector(i, vector);
            model.rows.set(i, vector);
          }
        }
        await db.waitForIndex();
        await expectRecall('after deletes and replacements');

        await db.close();
        db = await t.open();
        await db.useSpace('vec');
        same((await db.describeSpace('vec')).indexType, indexType);
        await db.waitForIndex();
        await expectRecall('opened again');
      },
    }),
  ),
  {
    name: 'SQ8 and BQ: without re-ranking distances are those of the codes; more candidates find no less',
    async run(t) {
      const db = await t.open();
      const random = new Random(72);
      const vectors = vectorsOf(random, count);
      const queries = vectorsOf(random, 20);
      for (const indexType of ['SQ8', 'BQ'] as const) {
        await db.createSpace(indexType, 'vector', { dimension, indexType });
        await db.useSpace(indexType);
        await db.insertVectors(
          Array.from({ length: count }, (_, i) => i),
          vectors,
        );
        const query = queries.slice(0, dimension);
        for (const { id, distance } of await db.searchTopK(query, k, { rerank: false })) {
          const row = vectors.slice(Number(id) * dimension, (Number(id) + 1) * dimension);
          const exact = exactDistance('L2', query, row);
          if (indexType === 'SQ8') near(distance, exact, 0.02 * exact, 'an estimate');
          else
            check(Number.isInteger(distance) && distance >= 0 && distance <= dimension, 'bits that differ');
        }
        const model = new VectorModel('L2', dimension);
        for (let id = 0; id < count; id++)
          model.rows.set(id, vectors.slice(id * dimension, (id + 1) * dimension));
        const few = await model.recall(db, queries, { oversample: 1 });
        const all = await model.recall(db, queries, { oversample: count / k });
        check(few <= all, `oversample: ${few} of few candidates, ${all} of many`);
        same(all, 1, 'every vector measured again');
      }
    },
  },
  {
    name: 'SQ8 and BQ: what a search or a space cannot have is refused',
    async run(t) {
      const db = await withVectors(t, { dimension: 4, indexType: 'SQ8' });
      await db.insertVector(1, [1, 2, 3, 4]);
      const wrong: [object, RegExp][] = [
        [{ rerank: 'yes' }, /"yes" for rerank, expected true or false/],
        [{ oversample: 0.5 }, /0\.5 for oversample, expected a number from 1 to 1000/],
        [{ oversample: NaN }, /NaN for oversample/],
        [{ oversample: '2' }, /"2" for oversample/],
      ];
      for (const [options, message] of wrong)
        await rejects(db.searchTopK([0, 0, 0, 0], 1, untyped(options)), 'INVALID_ARGUMENT', message);
      same(await db.searchTopK([1, 2, 3, 4], 1, { oversample: 1000 }), [{ id: 1, distance: 0 }]);

      const space = (indexType: unknown, metric = 'L2') =>
        db.createSpace('other', 'vector', untyped({ dimension: 8, indexType, metric }));
      for (const bad of ['SQ4', 'HNSW16,SQ4', 'HNSW,SQ8', 'SQ8,HNSW16', 'HNSW1,SQ8', 'BQ8', 'HNSW257,BQ'])
        await rejects(space(bad), 'INVALID_ARGUMENT', /indexType/);
      await rejects(space('SQ8', 'L1'), 'INVALID_ARGUMENT', /SQ8 is for L2, InnerProduct, Cosine/);
      await rejects(space('HNSW16,BQ', 'Hamming'), 'INVALID_ARGUMENT', /BQ is for/);
      same((await db.listSpaces()).length, 1);
    },
  },
];
