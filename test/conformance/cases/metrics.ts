/** The metrics beside L2, InnerProduct and Cosine, of floats and of bits: distances, order, ranges, and what is refused. */

import type { Metric, VectorData, VectorSpaceOptions } from '../../../src/api/database.ts';
import { check, near, rejects, same } from '../../support/check.ts';
import { exactDistance } from '../../support/metrics.ts';
import { Random } from '../../support/random.ts';
import type { Case } from '../case.ts';
import { untyped } from './spaces.ts';
import { withVectors } from './vectors.ts';

const indexTypes = ['Flat', 'HNSW8'] as const;
const ofFloats: readonly { metric: Metric; p?: number }[] = [
  { metric: 'L1' },
  { metric: 'Linf' },
  { metric: 'Lp', p: 3 },
  { metric: 'Lp', p: 0.5 },
  { metric: 'Lp' },
  { metric: 'Canberra' },
  { metric: 'BrayCurtis' },
  { metric: 'JensenShannon' },
];
const ofBits = ['Hamming', 'Jaccard'] as const;
const count = 300;

/** Vectors that every metric takes. */
function vectorsFor(metric: Metric, random: Random, components: number): Float32Array {
  const vectors = random.vectors(components);
  return metric === 'JensenShannon' ? vectors.map(Math.abs) : vectors;
}

function bitsOf(random: Random, rows: number, bits: number): Uint8Array {
  const bytes = Math.ceil(bits / 8);
  const all = Uint8Array.from({ length: rows * bytes }, () => random.below(256));
  if (bits % 8 !== 0)
    for (let i = bytes - 1; i < all.length; i += bytes) all[i] = (all[i] as number) & ((1 << (bits % 8)) - 1);
  return all;
}

const row = <Vector extends VectorData>(all: Vector, items: number, i: number): Vector =>
  all.slice(i * items, (i + 1) * items) as Vector;

export const metricCases: Case[] = [
  ...indexTypes.flatMap((indexType): Case[] => [
    {
      name: `${indexType}: searches by every further metric agree with f64 arithmetic, before and after linking`,
      async run(t) {
        const db = await t.open();
        const random = new Random(51);
        for (const [i, { metric, p }] of ofFloats.entries()) {
          for (const dimension of [1, 19]) {
            const name = `${metric}-${i}-${dimension}`;
            const options: VectorSpaceOptions = { dimension, metric, indexType };
            await db.createSpace(name, 'vector', p === undefined ? options : { ...options, p });
            const space = db.space(name);
            const vectors = vectorsFor(metric, random, count * dimension);
            vectors.fill(0, 0, dimension);
            await space.insertVectors(
              Array.from({ length: count }, (_, id) => id),
              vectors,
            );
            for (const linked of [false, true]) {
              if (linked) await space.waitForIndex();
              const query = vectorsFor(metric, random, dimension);
              const exact = Array.from({ length: count }, (_, id) =>
                exactDistance(metric, query, row(vectors, dimension, id), p),
              ).sort((a, b) => a - b);
              const hits = await space.searchTopK(query, 10, { efSearch: count });
              for (const [at, { id, distance }] of hits.entries()) {
                const own = exactDistance(metric, query, row(vectors, dimension, Number(id)), p);
                near(distance, own, 1e-5 * Math.max(1e-3, own), `${name}: distance of ${id}`);
                near(own, exact[at] as number, 1e-5 * Math.max(1e-3, own), `${name}: hit ${at}`);
              }
              const radius = ((exact[39] as number) + (exact[40] as number)) / 2;
              const ranged = await space.rangeSearch(query, radius);
              check(Math.abs(ranged.length - 40) <= 2, `${name}: ${ranged.length} within the radius of 40`);
              check(
                ranged.every(({ distance }) => distance < radius),
                `${name}: strictly within the radius`,
              );
            }
          }
        }
      },
    },
    {
      name: `${indexType}: bits are kept and searched by Hamming and Jaccard at any dimension`,
      async run(t) {
        const db = await t.open();
        const random = new Random(52);
        for (const metric of ofBits) {
          for (const dimension of [1, 8, 13, 64, 777]) {
            const name = `${metric}-${dimension}`;
            await db.createSpace(name, 'vector', { dimension, metric, indexType });
            const space = db.space(name);
            const bytes = Math.ceil(dimension / 8);
            const vectors = bitsOf(random, count, dimension);
            vectors.fill(0, 0, bytes);
            const ids = Array.from({ length: count }, (_, id) => id);
            await space.insertVectors(ids, vectors);
            await space.insertVector(5, row(vectors, bytes, 5));
            same(await space.getVector<Uint8Array>(7), row(vectors, bytes, 7));
            for (const linked of [false, true]) {
              if (linked) await space.waitForIndex();
              const query = bitsOf(random, 1, dimension);
              const exact = ids
                .map((id) => exactDistance(metric, query, row(vectors, bytes, id)))
                .sort((a, b) => a - b);
              const hits = await space.searchTopK<Uint8Array>(query, 12, {
                efSearch: count,
                includeVectors: true,
              });
              for (const [at, { id, distance, vector }] of hits.entries()) {
                near(distance, exact[at] as number, 1e-6, `${name}: hit ${at}`);
                same(vector, row(vectors, bytes, Number(id)));
              }
              const radius = exact[20] as number;
              const ranged = await space.rangeSearch(query, radius);
              same(ranged.length, exact.filter((distance) => Math.fround(distance) < radius).length);
            }
            let scanned = 0;
            for await (const { id, vector } of space.scanVectors<Uint8Array>()) {
              same(vector, row(vectors, bytes, Number(id)));
              scanned++;
            }
            same(scanned, count);
          }
        }
      },
    },
  ]),
  {
    name: 'further metrics: values worked out by hand, also where a denominator or a logarithm is of zero',
    async run(t) {
      const db = await t.open();
      const a = [1, 0, 2];
      const b = [3, 0, 0];
      const expected: [VectorSpaceOptions, number][] = [
        [{ dimension: 3, metric: 'L1' }, 4],
        [{ dimension: 3, metric: 'Linf' }, 2],
        [{ dimension: 3, metric: 'Lp', p: 3 }, 16],
        [{ dimension: 3, metric: 'Lp', p: 1.5 }, 2 * 2 ** 1.5],
        [{ dimension: 3, metric: 'Canberra' }, 1.5],
        [{ dimension: 3, metric: 'BrayCurtis' }, 4 / 6],
        [{ dimension: 3, metric: 'JensenShannon' }, (Math.log(0.5) + 3 * Math.log(1.5) + 2 * Math.LN2) / 2],
      ];
      for (const [i, [options, distance]] of expected.entries()) {
        await db.createSpace(`s${i}`, 'vector', options);
        const space = db.space(`s${i}`);
        await space.insertVectors([1, 2], new Float32Array([...a, 0, 0, 0]));
        const hits = await space.searchTopK(b, 2);
        near(hits.find(({ id }) => id === 1)?.distance ?? -1, distance, 1e-6, options.metric ?? '');
        same(
          await space.searchTopK([0, 0, 0], 1),
          [{ id: 2, distance: 0 }],
          `a zero vector is at 0 from itself by ${options.metric}`,
        );
      }
      await db.createSpace('bits', 'vector', { dimension: 12, metric: 'Jaccard' });
      await db.useSpace('bits');
      await db.insertVectors([1, 2, 3], new Uint8Array([0b111, 0, 0, 0, 0b1111, 0b1111]));
      same(await db.searchTopK(new Uint8Array([0b111, 0]), 3), [
        { id: 1, distance: 0 },
        { id: 3, distance: 0.625 },
        { id: 2, distance: 1 },
      ]);
      same((await db.searchTopK(new Uint8Array(2), 1))[0], { id: 2, distance: 0 });
    },
  },
  {
    name: 'further metrics: p, dimensions, floats for bits, bits for floats and stray bits are refused; facts are told',
    async run(t) {
      const db = await withVectors(t, { dimension: 11, metric: 'Hamming' });
      for (const p of [0, -1, 65, Number.NaN, '2', null, 1e-50])
        await rejects(
          db.createSpace('no', 'vector', { dimension: 2, metric: 'Lp', p: untyped(p) }),
          'INVALID_ARGUMENT',
          /\bp\b/,
        );
      await rejects(
        db.createSpace('no', 'vector', { dimension: 2, metric: 'L1', p: 2 }),
        'INVALID_ARGUMENT',
        /p with metric L1/,
      );
      await rejects(
        db.createSpace('no', 'vector', { dimension: 4097, metric: 'L1' }),
        'INVALID_ARGUMENT',
        /4096/,
      );
      await rejects(
        db.createSpace('no', 'vector', { dimension: 65_537, metric: 'Jaccard' }),
        'INVALID_ARGUMENT',
        /65536/,
      );
      await rejects(
        db.insertVector(1, new Float32Array(11)),
        'INVALID_ARGUMENT',
        /Uint8Array of packed bits/,
      );
      await rejects(
        db.insertVector(1, new Uint8Array(11)),
        'INVALID_ARGUMENT',
        /11 bytes, expected 2 \(11 bits\)/,
      );
      await rejects(db.insertVector(1, new Uint8Array([0, 8])), 'INVALID_ARGUMENT', /bit set beyond 11/);
      await rejects(
        db.insertVectors([1, 2], new Uint8Array([0, 0, 0, 128])),
        'INVALID_ARGUMENT',
        /beyond 11 of vector 1/,
      );
      await rejects(db.insertVectors([1, 2], new Uint8Array(3)), 'INVALID_ARGUMENT', /3 bytes for 2 ids/);
      await rejects(db.insertVectors([1], new Float32Array(11)), 'INVALID_ARGUMENT', /Uint8Array/);
      await rejects(db.searchTopK(new Float32Array(11)), 'INVALID_ARGUMENT', /query/);
      same(await db.countVectors(), 0);
      await db.createSpace('floats', 'vector', { dimension: 2 });
      const floats = db.space('floats');
      await rejects(floats.insertVector(1, new Uint8Array(2)), 'INVALID_ARGUMENT', /Hamming or Jaccard/);
      await rejects(floats.insertVectors([1], new Uint8Array(2)), 'INVALID_ARGUMENT', /Hamming or Jaccard/);
      await db.createSpace('shares', 'vector', { dimension: 2, metric: 'JensenShannon' });
      await rejects(
        db.insertVectors([1, 2], new Float32Array([1, 0, 0.5, -0.5]), { space: 'shares' }),
        'INVALID_ARGUMENT',
        /-0.5 at component 1 of vector 1/,
      );
      await rejects(db.searchTopK([-1, 2], 1, { space: 'shares' }), 'INVALID_ARGUMENT', /no negative/);
      await db.createSpace('power', 'vector', { dimension: 2, metric: 'Lp', p: 0.5 });
      const { metric, p } = await db.describeSpace('power');
      same({ metric, p }, { metric: 'Lp', p: 0.5 });
    },
  },
];
