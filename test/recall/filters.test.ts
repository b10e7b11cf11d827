/**
 * Recall of searches under a filter: of the 10 true nearest among the vectors that match at least 95 % are found, at
 * selectivities of 50 % to 0.1 %, whether the filter has nothing to do with where vectors lie or cuts out one region of
 * them (most queries then lie outside it, which is where walks through a graph get lost).
 *
 * The truth is computed here in float64, over the rows that match.
 */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { IndexType, MetadataField } from '../../src/api/database.ts';
import { supportedBuild } from '../../src/kernel/module.ts';
import { ByteWriter } from '../../src/space/metadata/byte-writer.ts';
import { writeRecord } from '../../src/space/metadata/record.ts';
import { encodeUpdate, operationsIn } from '../../src/space/operation.ts';
import type { VectorSpace } from '../../src/space/vector-space.ts';
import { compileWhere } from '../../src/space/where/compile.ts';
import { makeSpace } from '../data/core-space.ts';
import { exactDistance, queryCount, rowAt, rowCount, truthK } from '../data/data-set.ts';
import { generateSet } from '../data/sources.ts';
import { nodeCore } from '../support/node-database.ts';
import { Random } from '../support/random.ts';

const indexTypes: readonly IndexType[] = [
  'Flat',
  'HNSW16',
  'SQ8',
  'BQ',
  'HNSW16,SQ8',
  'IVF64',
  'IVF64,PQ16',
  'HNSW16,PQ16',
];
const selectivities = [0.5, 0.1, 0.01, 0.001];
const floor = 0.95;
const fields: readonly MetadataField[] = [
  { name: 'anywhere', type: 'int' },
  { name: 'region', type: 'int' },
];
type Field = 'anywhere' | 'region';

const data = generateSet(10_000, 64, 60);
const count = rowCount(data);
/** Each row's place in a random order, and in the order of distances from one of the rows. */
const places: Record<Field, Uint32Array> = {
  anywhere: new Uint32Array(count),
  region: new Uint32Array(count),
};

before(() => {
  const random = new Random(5);
  const shuffled = Array.from({ length: count }, (_, i) => [random.unit(), i] as const);
  const pivot = rowAt(data.base, data.dimension, 7);
  const ordered = Array.from(
    { length: count },
    (_, i) => [exactDistance(data.metric, pivot, rowAt(data.base, data.dimension, i)), i] as const,
  );
  for (const [field, order] of [
    ['anywhere', shuffled],
    ['region', ordered],
  ] as const) {
    order.sort(([a], [b]) => a - b);
    for (const [place, [, row]] of order.entries()) places[field][row] = place;
  }
});

function label(space: VectorSpace): void {
  for (let row = 0; row < count; row++) {
    const writer = new ByteWriter();
    const metadata = { anywhere: places.anywhere[row], region: places.region[row] };
    writeRecord(writer, metadata, fields, 'metadata');
    for (const operation of operationsIn(encodeUpdate(BigInt(row), writer.written, true)))
      assert.equal(space.apply(operation), true);
  }
}

/** The distance of the last true neighbour among rows that match, for each query. */
function truthOf(matches: readonly number[]): number[] {
  return Array.from({ length: queryCount(data) }, (_, q) => {
    const query = rowAt(data.queries, data.dimension, q);
    const distances = matches.map((row) =>
      exactDistance(data.metric, query, rowAt(data.base, data.dimension, row)),
    );
    return distances.sort((a, b) => a - b)[Math.min(truthK, matches.length) - 1] as number;
  });
}

for (const indexType of indexTypes) {
  test(`${indexType}: recall@10 under filters is at least ${floor} at every selectivity`, (t) => {
    const space = makeSpace(nodeCore(supportedBuild()), data, indexType);
    label(space);
    for (const field of ['anywhere', 'region'] as const) {
      for (const selectivity of selectivities) {
        const most = Math.round(count * selectivity);
        const filter = compileWhere(`${field} < ${most}`, fields);
        const matches = Array.from({ length: count }, (_, i) => i).filter(
          (i) => (places[field][i] as number) < most,
        );
        assert.equal(space.countWhere(filter), matches.length);
        const truth = truthOf(matches);
        let right = 0;
        for (let q = 0; q < truth.length; q++) {
          const query = rowAt(data.queries, data.dimension, q);
          const hits = space.searchTopK(query, truthK, {}, { filter });
          assert.equal(hits.length, Math.min(truthK, matches.length));
          for (const { id } of hits) {
            assert.ok((places[field][Number(id)] as number) < most, `${id} does not match`);
            const distance = exactDistance(data.metric, query, rowAt(data.base, data.dimension, Number(id)));
            if (distance <= (truth[q] as number) + 1e-6) right++;
          }
        }
        const recall = right / (truth.length * Math.min(truthK, matches.length));
        t.diagnostic(`${field} ${selectivity * 100} %: recall@10 ${recall.toFixed(4)}`);
        assert.ok(recall >= floor, `${field} at ${selectivity * 100} %: recall@10 is ${recall}`);
      }
    }
  });
}
