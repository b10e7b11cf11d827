/**
 * Recall after mass deletes: with a random half gone, and with whole clusters gone, at least 95 % of the 10 true nearest
 * of what is left are found at efSearch 64 (over bits: by default), and nothing that was deleted is ever answered.
 *
 * Queries keep coming from everywhere, also from where nothing is left: their neighbours are then in clusters that the
 * graph reached only by way of the deleted ones. That is where a graph falls apart when deletes cut its paths. Half is
 * deleted a second time too, so that only a quarter remains. The truth is Flat's, over the same deletes.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IndexType } from '../../src/api/database.ts';
import { supportedBuild } from '../../src/kernel/module.ts';
import { encodeDeleteInt, operationsIn } from '../../src/space/operation.ts';
import type { SearchEffort, VectorSpace } from '../../src/space/vector-space.ts';
import { makeSpace, searchAll } from '../data/core-space.ts';
import { type DataSet, exactDistance, recallAt10, rowAt, rowCount, truthK } from '../data/data-set.ts';
import { generateSet, loadLatent, loadPublicSet, noPublicData } from '../data/sources.ts';
import { nodeCore } from '../support/node-database.ts';
import { Random } from '../support/random.ts';

const efSearch = 64;
const floor = 0.95;
const indexTypes = ['HNSW16', 'HNSW16,SQ8', 'HNSW16,BQ'] as const satisfies IndexType[];
/** Of bits an efSearch of 64 would bound the candidates too: they are searched as they are by default. */
const effortOf = (indexType: IndexType): SearchEffort => (indexType.endsWith('BQ') ? {} : { efSearch });

const sets: { name: string; load(): DataSet | Promise<DataSet> }[] = [
  { name: 'generated 4k x 64', load: () => generateSet(4000, 64, 200) },
];
if (noPublicData === undefined) {
  sets.push({ name: 'latent 6k x 384', load: () => loadLatent(6000) });
  sets.push({ name: 'sift10k', load: () => loadPublicSet('sift10k') });
} else {
  test('public sets', (t) => t.skip(noPublicData));
}

/** Rows by the nearest of 64 of them: every second such cell is deleted. */
function halfOfTheClusters(data: DataSet): number[] {
  const { base, dimension, metric } = data;
  const count = rowCount(data);
  const random = new Random(81);
  const anchors = Array.from({ length: 64 }, () => rowAt(base, dimension, random.below(count)));
  const rows: number[] = [];
  for (let row = 0; row < count; row++) {
    const from = anchors.map((anchor) => exactDistance(metric, anchor, rowAt(base, dimension, row)));
    if (from.indexOf(Math.min(...from)) % 2 === 0) rows.push(row);
  }
  return rows;
}

function randomHalf(rows: readonly number[], seed: number): number[] {
  const random = new Random(seed);
  return rows.filter(() => random.below(2) === 0);
}

function remove(space: VectorSpace, rows: readonly number[]): void {
  for (const row of rows) {
    for (const operation of operationsIn(encodeDeleteInt(BigInt(row)))) {
      assert.ok(space.apply(operation), `row ${row} is there`);
    }
  }
}

for (const { name, load } of sets) {
  test(`${name}: recall@10 is at least ${floor} at efSearch ${efSearch} after mass deletes`, async (t) => {
    const build = supportedBuild();
    assert.ok(build !== undefined, 'no WASM SIMD here');
    const data = await load();
    const all = Array.from({ length: rowCount(data) }, (_, row) => row);
    const first = randomHalf(all, 82);
    const gone = new Set(first);
    const second = randomHalf(
      all.filter((row) => !gone.has(row)),
      83,
    );
    // Bits of counts (SIFT's) tell little, and need so many candidates that half a minute goes into it.
    const own = indexTypes.filter((indexType) => data.metric !== 'L2' || !indexType.endsWith('BQ'));
    const courses: { what: string; steps: number[][] }[] = [
      { what: 'a random half, then half of the rest', steps: [first, second] },
      { what: 'whole clusters', steps: [halfOfTheClusters(data)] },
    ];
    for (const { what, steps } of courses) {
      const flat = makeSpace(nodeCore(build), data, 'Flat');
      const spaces = own.map((indexType) => makeSpace(nodeCore(build), data, indexType));
      const deleted = new Set<number>();
      for (const step of steps) {
        for (const row of step) deleted.add(row);
        for (const space of [flat, ...spaces]) remove(space, step);
        const truth = truthOf(data, searchAll(flat, data, truthK, {}));
        for (const [i, space] of spaces.entries()) {
          for (const linked of [false, true]) {
            while (linked && space.pending() > 0) space.maintain(1000);
            const found = searchAll(space, data, truthK, effortOf(own[i] as IndexType));
            for (const rows of found) {
              assert.equal(new Set(rows).size, truthK, 'ten different rows');
              assert.ok(!rows.some((row) => deleted.has(row)), 'a deleted row is answered');
            }
            const recall = recallAt10({ ...data, truth }, found);
            const left = `${rowCount(data) - deleted.size} left${linked ? ', linked' : ''}`;
            t.diagnostic(`${own[i]}, ${what}, ${left}: recall@10 ${recall.toFixed(4)}`);
            assert.ok(recall >= floor, `${own[i]}, ${what}: recall@10 is ${recall}`);
          }
        }
      }
    }
  });
}

/** How far the 10th of the true neighbours is, for every query. */
function truthOf(data: DataSet, found: readonly (readonly number[])[]): Float64Array {
  const { base, queries, dimension, metric } = data;
  return Float64Array.from(found, (rows, q) => {
    const query = rowAt(queries, dimension, q);
    return Math.max(...rows.map((row) => exactDistance(metric, query, rowAt(base, dimension, row))));
  });
}
