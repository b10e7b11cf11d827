/** Changing the index of a space in use, and `Auto`, which changes it by itself. */

import type { Database, IndexType } from '../../../src/api/database.ts';
import { check, rejects, same } from '../../support/check.ts';
import { Random } from '../../support/random.ts';
import { VectorModel } from '../../support/vector-model.ts';
import type { Case } from '../case.ts';
import { untyped } from './spaces.ts';
import { withVectors } from './vectors.ts';

const dimension = 8;
const row = (vectors: Float32Array, i: number): Float32Array =>
  vectors.slice(i * dimension, (i + 1) * dimension);

async function fill(db: Database, count: number, seed: number): Promise<VectorModel> {
  const model = new VectorModel('L2', dimension);
  const vectors = new Random(seed).vectors(count * dimension);
  for (let id = 0; id < count; id++) model.rows.set(id, row(vectors, id));
  await db.insertVectors([...model.rows.keys()], vectors);
  return model;
}

export const reindexCases: Case[] = [
  {
    name: 'reindex: a live space becomes every index type in turn, and is what it became when it is opened again',
    reopens: true,
    async run(t) {
      let db = await withVectors(t, { dimension, indexType: 'Flat' });
      const model = await fill(db, 2500, 91);
      const queries = new Random(92).vectors(10 * dimension);
      const types = ['HNSW8', 'IVF32', 'SQ8', 'IVF16,SQ8', 'HNSW4,SQ8', 'BQ', 'PQ4', 'Flat'] as const;
      for (const [turn, indexType] of types.entries()) {
        let last = 0;
        const work = db.reindex({ indexType, onProgress: ({ done, total }) => (last = done / total) });
        // Meanwhile everything is found and may be changed.
        check((await model.recall(db, queries)) >= 0.9, `searched while ${indexType} is made`);
        await db.insertVector(turn, row(queries, turn));
        model.rows.set(turn, row(queries, turn));
        same(await db.deleteVector(1000 + turn), model.rows.delete(1000 + turn));
        await work;
        check(last <= 1, 'progress');
        await db.waitForIndex();
        const { index, count, indexType: now } = await db.describeSpace('vec');
        same([now, count, index?.pending], [indexType, model.rows.size, 0]);
        const floor = indexType === 'BQ' ? 0.3 : 0.95;
        check((await model.recall(db, queries)) >= floor, `searched by ${indexType}`);
        if (turn % 3 === 1) {
          await db.checkpoint();
          await db.insertVector(5000 + turn, row(queries, 1));
          model.rows.set(5000 + turn, row(queries, 1));
        }
        if (turn % 2 === 1) continue;
        await db.close();
        db = await t.open();
        await db.useSpace('vec');
        same((await db.describeSpace('vec')).indexType, indexType);
        await db.waitForIndex();
        check((await model.recall(db, queries)) >= floor, `opened again as ${indexType}`);
        same((await db.verify({ deep: true })).ok, true);
      }
      same(await model.recall(db, queries), 1);
    },
  },
  {
    name: 'reindex: the same type makes the index anew; what cannot be is refused and changes nothing',
    async run(t) {
      const db = await withVectors(t, { dimension, indexType: 'IVF8' });
      await fill(db, 320, 93);
      await db.waitForIndex();
      same((await db.describeSpace('vec')).index?.training?.trainedOn, 320);
      const vectors = new Random(94).vectors(180 * dimension);
      await db.insertVectors(
        Array.from({ length: 180 }, (_, i) => 1000 + i),
        vectors,
      );
      await db.reindex({ indexType: 'IVF8' });
      same((await db.describeSpace('vec')).index?.training?.trainedOn, 500);
      for (const indexType of ['IVF', 'PQ9', 'HNSW1', undefined, 7, 'Auto8'])
        await rejects(db.reindex(untyped({ indexType })), 'INVALID_ARGUMENT', /indexType/);
      await rejects(
        db.reindex({ indexType: 'HNSW8', efConstruction: 1 }),
        'INVALID_ARGUMENT',
        /efConstruction/,
      );
      await rejects(db.reindex({ indexType: 'HNSW8', space: 'other' }), 'SPACE_NOT_FOUND');
      await db.createSpace('kv', 'key-value');
      await rejects(db.reindex({ indexType: 'HNSW8', space: 'kv' }), 'WRONG_ENGINE');
      await rejects(db.reindex({ indexType: 'HNSW8', signal: AbortSignal.abort() }), 'ABORTED');
      same((await db.describeSpace('vec')).indexType, 'IVF8');
    },
  },
  {
    name: 'reindex: an abort while the new index trains ends the waiting alone: searches are exact until it is made',
    async run(t) {
      const db = await withVectors(t, { dimension, indexType: 'Flat' });
      const model = await fill(db, 2500, 96);
      const queries = new Random(97).vectors(5 * dimension);
      const controller = new AbortController();
      const { signal } = controller;
      const work = db.reindex({ indexType: 'IVF48', signal, onProgress: () => controller.abort() });
      await rejects(work, 'ABORTED', /reindex/);
      const { index, indexType } = await db.describeSpace('vec');
      same(indexType, 'IVF48');
      if ((index?.pending ?? 0) > 0) same(await model.recall(db, queries), 1);
      await db.waitForIndex();
      check(((await db.describeSpace('vec')).index?.training?.trainedOn ?? 0) > 0, 'it was trained');
      check((await model.recall(db, queries)) >= 0.95, 'searched by IVF48');
    },
  },
  {
    name: 'Auto: Flat while a scan costs nothing, a graph over codes when it does, and Flat again; it says why',
    reopens: true,
    async run(t) {
      const wide = 4096;
      let db = await withVectors(t, { dimension: wide, indexType: 'Auto', metric: 'Cosine' });
      const chosen = async (): Promise<{ indexType: IndexType; reason: string }> => {
        const { indexType, index } = await db.describeSpace('vec');
        same(indexType, 'Auto');
        check(index?.chosen !== undefined, 'something is chosen');
        return index?.chosen as { indexType: IndexType; reason: string };
      };
      same(await chosen(), { indexType: 'Flat', reason: 'there are no vectors yet' });
      // 36 MB: no scan of them takes less than the 2 ms that are worth an index.
      const count = 2200;
      const vectors = new Random(95).vectors(count * wide);
      const ids = Array.from({ length: count }, (_, i) => i);
      await db.insertVectors(ids, vectors);
      // The choice is made behind the inserts; where it was made amid them, it is made again when there are twice as many.
      const more = new Random(98);
      for (let turn = 0; turn < 3000 && (await chosen()).indexType === 'Flat'; turn++) {
        const id = Math.min(ids.length, 2 * count);
        if (id === ids.length) ids.push(id);
        await db.insertVector(id, more.vectors(wide));
      }
      const { indexType, reason } = await chosen();
      same(indexType, 'HNSW16,SQ8');
      check(/an exact search of \d+ vectors takes [\d.e+]+ ms, more than [12]$/.test(reason), reason);
      same((await db.searchTopK(vectors.slice(wide, 2 * wide), 1))[0]?.id, 1);
      await db.close();
      db = await t.open();
      await db.useSpace('vec');
      same((await chosen()).indexType, 'HNSW16,SQ8');
      await Promise.all(ids.slice(500).map((id) => db.deleteVector(id)));
      for (let turn = 0; turn < 500 && (await chosen()).indexType !== 'Flat'; turn++)
        await db.insertVector(1, vectors.slice(wide, 2 * wide));
      same((await chosen()).indexType, 'Flat');
      same((await db.searchTopK(vectors.slice(wide, 2 * wide), 1))[0]?.id, 1);
      await db.reindex({ indexType: 'HNSW8' });
      const { index, indexType: fixed } = await db.describeSpace('vec');
      same([fixed, index?.chosen], ['HNSW8', undefined]);
    },
  },
];
