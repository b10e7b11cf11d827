/** Many copies of few vectors: the graph must not close in on itself. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openInProcess } from '../unit/database.ts';

const dimension = 32;

/** Unit vectors that are told from one another by their seed. */
function vectorOf(seed: number): Float32Array {
  let state = (seed + 1) * 2654435761;
  const values = Float32Array.from({ length: dimension }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  });
  const norm = Math.hypot(...values);
  return values.map((value) => value / norm);
}

for (const metric of ['L2', 'InnerProduct', 'Cosine'] as const) {
  for (const distinct of [1, 3, 40]) {
    test(`${metric}: one vector among 1500 copies of ${distinct} is found`, async () => {
      await using db = await openInProcess();
      await db.createSpace('v', 'vector', { dimension, metric, indexType: 'HNSW16' });
      await db.useSpace('v');
      const count = 1500;
      const odd = 700;
      const all = new Float32Array(count * dimension);
      for (let i = 0; i < count; i++) all.set(vectorOf(i === odd ? 1000 : i % distinct), i * dimension);
      await db.insertVectors(
        Array.from({ length: count }, (_, i) => i),
        all,
      );
      await db.waitForIndex();
      for (let seed = 0; seed < distinct; seed++) {
        const [hit] = await db.searchTopK(vectorOf(seed), 1);
        assert.equal(Number(hit?.id) % distinct, seed);
      }
      assert.equal((await db.searchTopK(vectorOf(1000), 1))[0]?.id, odd);
    });
  }
}

for (const metric of ['L2', 'InnerProduct', 'Cosine'] as const) {
  for (const indexType of ['HNSW8', 'HNSW16'] as const) {
    test(`${indexType}, ${metric}: all 100 copies among 2000 vectors are found by k 100 at the default efSearch`, async () => {
      await using db = await openInProcess();
      await db.createSpace('v', 'vector', { dimension, metric, indexType });
      await db.useSpace('v');
      const count = 2000;
      const all = new Float32Array(count * dimension);
      for (let i = 0; i < count; i++) all.set(vectorOf(i % 20 === 7 ? 5000 : i), i * dimension);
      await db.insertVectors(
        Array.from({ length: count }, (_, i) => i),
        all,
      );
      await db.waitForIndex();
      const hits = await db.searchTopK(vectorOf(5000), 100);
      assert.equal(new Set(hits.map(({ id }) => id)).size, 100);
      assert.ok(hits.every(({ id }) => Number(id) % 20 === 7));
    });
  }
}
