/** searchTopK and rangeSearch: distances as the contract says, order, ties, limits, and what is refused. */

import type { SearchHit, VectorId } from '../../../src/api/database.ts';
import { check, near, rejects, same } from '../../support/check.ts';
import { exactDistanceOf } from '../../support/metrics.ts';
import { Random } from '../../support/random.ts';
import type { Case } from '../case.ts';
import { untyped } from './spaces.ts';
import { withVectors } from './vectors.ts';

const indexTypes = ['Flat', 'HNSW8'] as const;

function sameHits(actual: SearchHit[], expected: [VectorId, number][], what = 'hits'): void {
  same(
    actual.map(({ id }) => id),
    expected.map(([id]) => id),
    `ids of ${what}`,
  );
  for (const [i, [, distance]] of expected.entries())
    near((actual[i] as SearchHit).distance, distance, 1e-6 * Math.max(1, Math.abs(distance)), what);
}

export const searchCases: Case[] = indexTypes.flatMap((indexType): Case[] => [
  {
    name: `${indexType}: L2 is squared, nearest first; rangeSearch strictly below`,
    async run(t) {
      const db = await withVectors(t, { dimension: 2, metric: 'L2', indexType });
      await db.insertVectors([1, 2, 3, 4], new Float32Array([0, 0, 3, 4, 6, 8, -3, -4]));
      for (const linked of [false, true]) {
        if (linked) await db.waitForIndex();
        sameHits(await db.searchTopK([0, 0], 4), [
          [1, 0],
          [2, 25],
          [4, 25],
          [3, 100],
        ]);
        sameHits(await db.searchTopK([3, 4], 2), [
          [2, 0],
          [1, 25],
        ]);
        sameHits(await db.searchTopK([3, 4]), [[2, 0]], 'hits for the default k');
        sameHits(await db.rangeSearch([0, 0], 25), [[1, 0]]);
        sameHits(await db.rangeSearch([0, 0], 25.000001), [
          [1, 0],
          [2, 25],
          [4, 25],
        ]);
        sameHits(await db.rangeSearch([0, 0], 25.0000000001), [
          [1, 0],
          [2, 25],
          [4, 25],
        ]);
        sameHits(await db.rangeSearch([0, 0], 0), []);
        sameHits(await db.rangeSearch([0, 0], -1), []);
        sameHits(await db.rangeSearch([0, 0], Number.POSITIVE_INFINITY), [
          [1, 0],
          [2, 25],
          [4, 25],
          [3, 100],
        ]);
        sameHits(await db.rangeSearch([0, 0], Number.NEGATIVE_INFINITY), []);
        sameHits(await db.rangeSearch([0, 0], 1e300, { limit: 2 }), [
          [1, 0],
          [2, 25],
        ]);
      }
    },
  },
  {
    name: `${indexType}: InnerProduct is the product, largest first; rangeSearch strictly above`,
    async run(t) {
      const db = await withVectors(t, { dimension: 2, metric: 'IP', indexType });
      await db.insertVectors([1, 2, 3, 4], new Float32Array([1, 0, 2, 0, -1, 5, 0, 0]));
      await db.waitForIndex();
      sameHits(await db.searchTopK([1, 0], 4), [
        [2, 2],
        [1, 1],
        [4, 0],
        [3, -1],
      ]);
      sameHits(await db.searchTopK([-1, 1], 2), [
        [3, 6],
        [4, 0],
      ]);
      sameHits(await db.rangeSearch([1, 0], 1), [[2, 2]]);
      sameHits(await db.rangeSearch([1, 0], 0.9999999999), [
        [2, 2],
        [1, 1],
      ]);
      sameHits(await db.rangeSearch([1, 0], 0), [
        [2, 2],
        [1, 1],
      ]);
      sameHits(await db.rangeSearch([1, 0], -1), [
        [2, 2],
        [1, 1],
        [4, 0],
      ]);
      sameHits(await db.rangeSearch([1, 0], Number.NEGATIVE_INFINITY), [
        [2, 2],
        [1, 1],
        [4, 0],
        [3, -1],
      ]);
      sameHits(await db.rangeSearch([1, 0], Number.NEGATIVE_INFINITY, { limit: 1 }), [[2, 2]]);
      // A product of zero is 0, never -0.
      same(
        (await db.searchTopK([0, 0], 4)).map(({ distance }) => distance),
        [0, 0, 0, 0],
      );
    },
  },
  {
    name: `${indexType}: Cosine is 1 - cosine; lengths do not matter; a zero vector is at 1`,
    async run(t) {
      const db = await withVectors(t, { dimension: 2, metric: 'COS', indexType });
      await db.insertVectors([1, 2, 3, 4, 5], new Float32Array([1, 0, 0, 1, -1, 0, 1e-3, 1e-3, 0, 0]));
      await db.waitForIndex();
      const half = 1 - Math.SQRT1_2;
      sameHits(await db.searchTopK([5, 0], 5), [
        [1, 0],
        [4, half],
        [2, 1],
        [5, 1],
        [3, 2],
      ]);
      sameHits(await db.searchTopK([1e30, 1e30], 1), [[4, 0]]);
      sameHits(await db.searchTopK([0, 0], 5), [
        [1, 1],
        [2, 1],
        [3, 1],
        [4, 1],
        [5, 1],
      ]);
      sameHits(await db.rangeSearch([5, 0], 1), [
        [1, 0],
        [4, half],
      ]);
      same(await db.getVector(4), new Float32Array([1e-3, 1e-3]));
    },
  },
  {
    name: `${indexType}: ties go by id, whatever the order of inserting`,
    async run(t) {
      const db = await withVectors(t, { dimension: 1, indexType });
      const ids = [9, -3, 500, 2n ** 60n, -(2n ** 60n), 0, 77];
      for (const id of ids) await db.insertVector(id, [1]);
      const order = [-(2n ** 60n), -3, 0, 9, 77, 500, 2n ** 60n];
      for (const linked of [false, true]) {
        if (linked) await db.waitForIndex();
        same(
          (await db.searchTopK([2], 7)).map(({ id }) => id),
          order,
        );
        same(
          (await db.rangeSearch([2], 2)).map(({ id }) => id),
          order,
        );
        same(
          (await db.rangeSearch([2], 2, { limit: 3 })).map(({ id }) => id),
          order.slice(0, 3),
        );
      }
      await db.createSpace('text', 'vector', { dimension: 1, indexType, ids: 'string' });
      const texts = ['b', 'a', '😀', '\uffff', 'aa', 'é'];
      await db.insertVectors(texts, new Float32Array(texts.length), { space: 'text' });
      const hits = await db.searchTopK([1], 6, { space: 'text' });
      same(
        hits.map(({ id }) => id),
        ['a', 'aa', 'b', 'é', '\uffff', '😀'],
      );
    },
  },
  {
    name: `${indexType}: k beyond the space gives all there is; bad k, efSearch, radius and limit are refused`,
    async run(t) {
      const db = await withVectors(t, { dimension: 1, indexType });
      await db.insertVectors([1, 2, 3], new Float32Array([1, 2, 3]));
      for (const k of [3, 4, 1000, 1_000_000]) same((await db.searchTopK([0], k)).length, 3);
      for (const k of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '3', null, 2 ** 31])
        await rejects(db.searchTopK([0], untyped(k)), 'INVALID_ARGUMENT', /k/);
      for (const efSearch of [0, -1, 2.5, Number.NaN, '64', null])
        await rejects(db.searchTopK([0], 1, { efSearch: untyped(efSearch) }), 'INVALID_ARGUMENT', /efSearch/);
      same((await db.searchTopK([0], 3, { efSearch: 1 })).length, 3, 'an efSearch below k is raised to k');
      for (const radius of [Number.NaN, '1', null, undefined, 1n])
        await rejects(db.rangeSearch([0], untyped(radius)), 'INVALID_ARGUMENT', /radius/);
      for (const limit of [0, -1, 1.5, Number.NaN, '1'])
        await rejects(db.rangeSearch([0], 1, { limit: untyped(limit) }), 'INVALID_ARGUMENT', /limit/);
    },
  },
  {
    name: `${indexType}: searches agree with f64 arithmetic for every metric`,
    async run(t) {
      const db = await t.open();
      const random = new Random(8);
      const dimension = 19;
      const count = 600;
      const vectors = random.vectors(count * dimension);
      const row = (i: number): Float32Array => vectors.slice(i * dimension, (i + 1) * dimension);
      for (const metric of ['L2', 'InnerProduct', 'Cosine'] as const) {
        await db.createSpace(metric, 'vector', { dimension, metric, indexType });
        await db.useSpace(metric);
        await db.insertVectors(
          Array.from({ length: count }, (_, i) => i),
          vectors,
        );
        await db.waitForIndex();
        for (let turn = 0; turn < 5; turn++) {
          const query = random.vectors(dimension);
          const sign = metric === 'InnerProduct' ? -1 : 1;
          const exact = Array.from({ length: count }, (_, i): [VectorId, number] => [
            i,
            exactDistanceOf(metric, query, row(i)),
          ]).sort((a, b) => sign * (a[1] - b[1]));
          const [, radius = 0] = exact[40] ?? [];
          const between = (radius + (exact[39]?.[1] ?? 0)) / 2;
          const ranged = await db.rangeSearch(query, between, { includeVectors: true });
          sameHits(ranged, exact.slice(0, 40), `${metric} rangeSearch`);
          for (const { id, vector } of ranged) same(vector, row(Number(id)));
          const hits = await db.searchTopK(query, 10, { efSearch: 600 });
          sameHits(hits, exact.slice(0, 10), `${metric} searchTopK`);
          check(
            hits.every((hit) => !('vector' in hit)),
            'vectors come only when asked for',
          );
        }
      }
    },
  },
]);

export const indexCases: Case[] = [
  {
    name: 'waitForIndex: everything linked, progress told up to the total; at once for Flat',
    async run(t) {
      const db = await t.open();
      const random = new Random(9);
      await db.createSpace('flat', 'vector', { dimension: 8 });
      await db.insertVectors([1, 2], random.vectors(16), { space: 'flat' });
      await db.waitForIndex({ space: 'flat' });
      same((await db.describeSpace('flat')).index, { linked: 2, pending: 0 });

      await db.createSpace('graph', 'vector', { dimension: 8, indexType: 'HNSW8' });
      await db.useSpace('graph');
      const count = 4000;
      await db.insertVectors(
        Array.from({ length: count }, (_, i) => i),
        random.vectors(count * 8),
      );
      const seen: { done: number; total: number }[] = [];
      await db.waitForIndex({ onProgress: (progress) => seen.push(progress) });
      same((await db.describeSpace('graph')).index, { linked: count, pending: 0 });
      for (const [i, { done, total }] of seen.entries()) {
        check(
          done <= total && done >= (seen[i - 1]?.done ?? 0),
          `progress went ${JSON.stringify(seen[i - 1])} -> ${done}/${total}`,
        );
      }
      const told = seen.length;
      await db.waitForIndex({ onProgress: (progress) => seen.push(progress) });
      check(
        seen.slice(told).every(({ done, total }) => done === total),
        'nothing was left to do',
      );
    },
  },
  {
    name: 'a linked graph never answers with a deleted or replaced vector',
    async run(t) {
      const db = await withVectors(t, { dimension: 4, indexType: 'HNSW8' });
      const random = new Random(10);
      const count = 2000;
      const vectors = random.vectors(count * 4);
      await db.insertVectors(
        Array.from({ length: count }, (_, i) => i),
        vectors,
      );
      await db.waitForIndex();
      await Promise.all(Array.from({ length: count / 2 }, (_, i) => db.deleteVector(i * 2)));
      await Promise.all(
        Array.from({ length: 100 }, (_, i) => db.insertVector(i * 4 + 1, [9, 9, 9, 9 + i / 50])),
      );
      const exact = Array.from({ length: 100 }, (_, i) => (i + 100) * 4 + 1);
      await Promise.all(exact.map((id) => db.insertVector(id, [-9, -9, -9, -9])));
      for (const linked of [false, true]) {
        if (linked) await db.waitForIndex();
        for (let turn = 0; turn < 50; turn++) {
          const at = random.below(count) * 4;
          const hits = await db.searchTopK(vectors.subarray(at, at + 4), 20);
          same(hits.length, 20);
          for (const { id, distance } of hits) {
            check(Number(id) % 2 === 1, `the deleted id ${id} was found`);
            if (Number(id) % 4 === 1 && Number(id) < 800)
              check(distance > 50, `${id} was found where it was before`);
          }
        }
        // Copies are found whole, by the default efSearch too.
        const copies = await db.searchTopK([-9, -9, -9, -9], 100);
        same(
          copies.map(({ id }) => Number(id)).toSorted((a, b) => a - b),
          exact,
        );
        check(
          copies.every(({ distance }) => distance === 0),
          'the copies are where they are now',
        );
      }
      const moved = await db.searchTopK([9, 9, 9, 10], 100, { efSearch: 200 });
      check(
        moved.filter(({ distance }) => distance < 1.1).length >= 95,
        'the replaced ones are where they are now',
      );
      same(await db.countVectors(), count / 2);
      same((await db.describeSpace('vec')).index, { linked: count / 2, pending: 0 });
    },
  },
];
