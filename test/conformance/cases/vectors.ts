/** Inserting, reading, counting and deleting vectors; ids of both kinds; what is refused. */

import type { Database, VectorId, VectorSpaceOptions } from '../../../src/api/database.ts';
import { rejects, same } from '../../support/check.ts';
import { Random } from '../../support/random.ts';
import type { Case, CaseContext } from '../case.ts';
import { all, untyped } from './spaces.ts';

export async function withVectors(t: CaseContext, options: VectorSpaceOptions): Promise<Database> {
  const db = await t.open();
  await db.createSpace('vec', 'vector', options);
  await db.useSpace('vec');
  return db;
}

const indexTypes = ['Flat', 'HNSW8'] as const;

export const vectorCases: Case[] = indexTypes.flatMap((indexType): Case[] => [
  {
    name: `${indexType}: insert, get, replace, delete one id`,
    async run(t) {
      const db = await withVectors(t, { dimension: 3, indexType });
      same([await db.countVectors(), await db.getVector(1), await db.deleteVector(1)], [0, undefined, false]);
      same(await db.searchTopK([0, 0, 0], 5), []);
      same(await db.insertVector(1, [1, 2, 3]), undefined);
      same(await db.getVector(1), new Float32Array([1, 2, 3]));
      await db.insertVector(1, new Float32Array([4, 5, 6]));
      same([await db.countVectors(), await db.getVector(1)], [1, new Float32Array([4, 5, 6])]);
      await db.insertVector(2, [1, 2, 3]);
      await db.waitForIndex();
      same(await db.searchTopK([4, 5, 6], 1), [{ id: 1, distance: 0 }]);
      same(await db.deleteVector(1), true);
      same([await db.deleteVector(1), await db.getVector(1), await db.countVectors()], [false, undefined, 1]);
      same(await db.searchTopK([4, 5, 6], 10), [{ id: 2, distance: 27 }]);
      same(await db.rangeSearch([4, 5, 6], 1000), [{ id: 2, distance: 27 }]);
      await db.insertVector(1, [0, 0, 0]);
      same(await db.searchTopK([0, 0, 0], 1), [{ id: 1, distance: 0 }]);
      same((await db.describeSpace('vec')).count, 2);
    },
  },
  {
    name: `${indexType}: a packed insert, duplicates in it, and many at once`,
    async run(t) {
      const db = await withVectors(t, { dimension: 2, indexType });
      await db.insertVectors([], new Float32Array(0));
      same(await db.countVectors(), 0);
      await db.insertVectors([5, 3, 5], new Float32Array([1, 1, 2, 2, 9, 9]));
      same(
        [await db.countVectors(), await db.getVector(5), await db.getVector(3)],
        [2, new Float32Array([9, 9]), new Float32Array([2, 2])],
      );
      await db.insertVectors(new BigInt64Array([7n, -7n]), new Float32Array([7, 7, -7, -7]));
      same(await db.getVector(-7), new Float32Array([-7, -7]));
      const random = new Random(5);
      const count = 20_000;
      const vectors = random.vectors(count * 2);
      const ids = Array.from({ length: count }, (_, i) => i + 100);
      const halves = [0, count / 2].map((from) =>
        db.insertVectors(ids.slice(from, from + count / 2), vectors.subarray(from * 2, from * 2 + count)),
      );
      await Promise.all([...halves, db.insertVector(99, [0.5, 0.5])]);
      same(await db.countVectors(), count + 5);
      for (const i of [0, 1, 9999, 10_000, count - 1])
        same(await db.getVector(i + 100), vectors.slice(i * 2, i * 2 + 2));
    },
  },
  {
    name: `${indexType}: originals are kept bit for bit, for every metric`,
    async run(t) {
      const db = await t.open();
      const vectors: number[][] = [
        [0, -0, 1, -1],
        [1e-45, -1e-45, 1.17e-38, 3.4028234e38],
        [0.1, 1 / 3, 16_777_217, -3.4028234e38],
        [0, 0, 0, 0],
      ];
      for (const metric of ['L2', 'InnerProduct', 'Cosine'] as const) {
        await db.createSpace(metric, 'vector', { dimension: 4, metric, indexType });
        const space = db.space(metric);
        for (const [i, vector] of vectors.entries()) await space.insertVector(i, vector);
        await space.waitForIndex();
        await db.checkpoint();
        for (const [i, vector] of vectors.entries())
          same(await space.getVector(i), Float32Array.from(vector), `${metric} ${i}`);
        const hits = await space.searchTopK([1, 0, 0, 0], 4, { includeVectors: true });
        for (const { id, vector } of hits)
          same(vector, Float32Array.from(vectors[Number(id)] as number[]), `${metric} hit ${id}`);
      }
    },
  },
  {
    name: `${indexType}: bad vectors are refused, nothing changes`,
    async run(t) {
      const db = await withVectors(t, { dimension: 3, indexType });
      await db.insertVector(1, [1, 2, 3]);
      const bad: [unknown, RegExp][] = [
        [[], /0 components, expected 3/],
        [[1, 2], /2 components, expected 3/],
        [[1, 2, 3, 4], /4 components, expected 3/],
        [[1, 2, Number.NaN], /NaN at component 2/],
        [[Number.POSITIVE_INFINITY, 2, 3], /Infinity at component 0/],
        [[1, Number.NEGATIVE_INFINITY, 3], /-Infinity at component 1/],
        [[1, 1e40, 3], /component 1/],
        [[1, 2, '3'], /component 2/],
        [[1, 2, 3n], /component 2/],
        [[1, undefined, 3], /component 1/],
        [new Array(3), /component 0/],
        [new Float32Array([1, Number.NaN, 3]), /NaN at component 1/],
        [new Float64Array([1, 2, 3]), /Float32Array/],
        [new Uint8Array([1, 2, 3]), /Float32Array/],
        ['1,2,3', /Float32Array/],
        [{ length: 3 }, /Float32Array/],
        [null, /Float32Array/],
        [undefined, /Float32Array/],
      ];
      for (const [vector, message] of bad) {
        await rejects(db.insertVector(1, untyped(vector)), 'INVALID_ARGUMENT', message);
        await rejects(db.insertVector(2, untyped(vector)), 'INVALID_ARGUMENT', message);
        await rejects(db.searchTopK(untyped(vector)), 'INVALID_ARGUMENT', message);
        await rejects(db.rangeSearch(untyped(vector), 1), 'INVALID_ARGUMENT', message);
      }
      const packed: [unknown, unknown, RegExp][] = [
        [[1, 2], new Float32Array(5), /5 components for 2 ids/],
        [[1], new Float32Array(6), /6 components/],
        [[], new Float32Array(3), /3 components for 0 ids/],
        [[1, 2], [1, 2, 3, 4, 5, 6], /Float32Array/],
        [[1, 2], undefined, /Float32Array/],
        [[1, 2], null, /Float32Array/],
        [2, new Float32Array(6), /ids/],
        [undefined, new Float32Array(0), /ids/],
        [new Int32Array(2), new Float32Array(6), /ids/],
        [[1, 2], new Float32Array([1, 2, 3, 4, 5, Number.NaN]), /NaN at component 2 of vector 1/],
        [[1, 1.5], new Float32Array(6), /1.5/],
        [[1, 'x'], new Float32Array(6), /ids: 'string'/],
        [[1, undefined], new Float32Array(6), /id/],
        [[1, 2 ** 53], new Float32Array(6), /safe integer/],
      ];
      for (const [ids, vectors, message] of packed)
        for (const transfer of [false, true])
          await rejects(
            db.insertVectors(untyped(ids), untyped(vectors), { transfer }),
            'INVALID_ARGUMENT',
            message,
          );
      same(await all(db.scanVectors()), [{ id: 1, vector: new Float32Array([1, 2, 3]) }]);
      same((await db.describeSpace('vec')).count, 1);
    },
  },
  {
    name: `${indexType}: a random run agrees with a map`,
    async run(t) {
      const dimension = 5;
      const db = await withVectors(t, { dimension, indexType, ids: 'string' });
      const random = new Random(6);
      const model = new Map<string, Float32Array>();
      for (let round = 0; round < 12; round++) {
        const calls: Promise<unknown>[] = [];
        for (let i = 0; i < 60; i++) {
          const id = `id ${random.below(200)}`;
          const vector = random.vectors(dimension);
          const roll = random.unit();
          if (roll < 0.35) {
            const there = model.delete(id);
            calls.push(db.deleteVector(id).then((answer) => same(answer, there, `delete ${id}`)));
          } else if (roll < 0.8) {
            model.set(id, vector);
            calls.push(db.insertVector(id, vector));
          } else {
            const other = `id ${random.below(200)}`;
            const pair = random.vectors(dimension * 2);
            calls.push(db.insertVectors([id, other], pair));
            model.set(id, pair.slice(0, dimension));
            model.set(other, pair.slice(dimension));
          }
        }
        await Promise.all(calls);
        if (round % 4 === 3) await db.checkpoint();
        if (round % 3 === 2) await db.waitForIndex();
        const scanned = new Map(
          (await all(db.scanVectors())).map(({ id, vector }) => [id as string, vector]),
        );
        same([...scanned.keys()].sort(), [...model.keys()].sort(), `ids after round ${round}`);
        for (const [id, vector] of model) same(scanned.get(id), vector, id);
        same(await db.countVectors(), model.size);
        // Exact for Flat, and for a graph this small with a pool larger than the space.
        const query = random.vectors(dimension);
        const nearest = [...model]
          .map(([id, vector]) => ({ id, exact: distanceL2(query, vector) }))
          .sort((a, b) => a.exact - b.exact);
        const hits = await db.searchTopK(query, 10, { efSearch: 500 });
        same(
          hits.map(({ id }) => id as VectorId),
          nearest.slice(0, 10).map(({ id }) => id as VectorId),
          `hits after round ${round}`,
        );
      }
    },
  },
]);

export const idCases: Case[] = [
  {
    name: '7 and 7n are one id; safe integers come back as numbers, others as bigints',
    async run(t) {
      const db = await withVectors(t, { dimension: 1 });
      await db.insertVector(7, [1]);
      await db.insertVector(7n, [2]);
      same([await db.countVectors(), await db.getVector(7)], [1, new Float32Array([2])]);
      same(await db.searchTopK([2]), [{ id: 7, distance: 0 }]);
      same(await db.deleteVector(7n), true);
      same(await db.getVector(7), undefined);
      await db.insertVector(-0, [3]);
      same(await db.searchTopK([3]), [{ id: 0, distance: 0 }]);
      await db.deleteVector(0);
      const ids: VectorId[] = [
        2n ** 63n - 1n,
        -(2n ** 63n),
        2n ** 53n,
        -(2n ** 53n),
        2 ** 53 - 1,
        -(2 ** 53) + 1,
      ];
      for (const [i, id] of ids.entries()) await db.insertVector(id, [i]);
      await db.checkpoint();
      for (const [i, id] of ids.entries()) {
        same(await db.getVector(id), new Float32Array([i]));
        same(await db.searchTopK([i]), [{ id, distance: 0 }]);
      }
      same(await db.getVector(2 ** 53 - 2), undefined);
    },
  },
  {
    name: 'integer ids: what is none is refused, and a string says how to have string ids',
    async run(t) {
      const db = await withVectors(t, { dimension: 1 });
      for (const id of [
        1.5,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        2 ** 53,
        2n ** 63n,
        -(2n ** 63n) - 1n,
        null,
        undefined,
        {},
        true,
      ])
        for (const call of [
          () => db.insertVector(untyped(id), [1]),
          () => db.getVector(untyped(id)),
          () => db.deleteVector(untyped(id)),
        ])
          await rejects(call, 'INVALID_ARGUMENT', /id/);
      for (const call of [
        () => db.insertVector('7', [1]),
        () => db.insertVectors(['7'], new Float32Array(1)),
        () => db.getVector('7'),
        () => db.deleteVector('7'),
      ])
        await rejects(call, 'INVALID_ARGUMENT', /"7".*ids: 'string'/);
      same(await db.countVectors(), 0);
    },
  },
  {
    name: 'string ids: any text of 1 to 1024 bytes, and a number says how to have integer ids',
    async run(t) {
      const db = await withVectors(t, { dimension: 1, ids: 'string' });
      const ids = [
        '7',
        '07',
        ' ',
        '\0',
        'é',
        'e\u0301',
        '😀',
        '__proto__',
        'x'.repeat(1024),
        '😀'.repeat(256),
      ];
      for (const [i, id] of ids.entries()) await db.insertVector(id, [i]);
      for (const [i, id] of ids.entries()) {
        same(await db.getVector(id), new Float32Array([i]));
        same(await db.searchTopK([i]), [{ id, distance: 0 }]);
      }
      const bad = ['', 'x'.repeat(1025), '😀'.repeat(257), '\ud800', null, undefined, {}];
      for (const id of bad)
        for (const call of [
          () => db.insertVector(untyped(id), [1]),
          () => db.getVector(untyped(id)),
          () => db.deleteVector(untyped(id)),
        ])
          await rejects(call, 'INVALID_ARGUMENT', /id/);
      for (const call of [
        () => db.insertVector(7, [1]),
        () => db.insertVectors(new BigInt64Array(1), new Float32Array(1)),
        () => db.getVector(7n),
        () => db.deleteVector(7),
      ])
        await rejects(call, 'INVALID_ARGUMENT', /ids: 'int'/);
      for (const [i, id] of ids.entries()) {
        same(await db.deleteVector(id), true);
        same(await db.countVectors(), ids.length - 1 - i);
      }
    },
  },
  {
    name: 'dimensions 1 and 4096 work, and every remainder of the kernels',
    async run(t) {
      const db = await t.open();
      const random = new Random(7);
      for (const dimension of [
        1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 63, 65, 100, 127, 383, 1025, 4095, 4096,
      ]) {
        const name = `d${dimension}`;
        await db.createSpace(name, 'vector', { dimension, durability: 'none' });
        const space = db.space(name);
        const vectors = random.vectors(dimension * 3);
        await space.insertVectors([0, 1, 2], vectors);
        const hits = await space.searchTopK(vectors.slice(dimension, 2 * dimension), 3, {
          includeVectors: true,
        });
        same(hits[0], { id: 1, distance: 0, vector: vectors.slice(dimension, 2 * dimension) }, name);
        await db.deleteSpace(name);
      }
    },
  },
];

export function distanceL2(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += ((a[i] as number) - (b[i] as number)) ** 2;
  return sum;
}
