/** A vector space without a database around it: what index and kernels do by themselves. Runs in a page as well. */

import type { IndexType } from '../../src/api/database.ts';
import { CoreInstance } from '../../src/kernel/instance.ts';
import type { Core } from '../../src/kernel/module.ts';
import { encodeInsertInts, operationsIn } from '../../src/space/operation.ts';
import { VectorSpace } from '../../src/space/vector-space.ts';
import { type DataSet, rowAt, rowCount } from './data-set.ts';

const framesMax = 14336;
const chunkRows = 500;

/** A space that holds the whole set, its index complete; row i has id i. */
export function makeSpace(
  core: Core,
  set: Pick<DataSet, 'metric' | 'dimension' | 'base'>,
  indexType: IndexType,
  efConstruction = 128,
): VectorSpace {
  const { metric, dimension, base } = set;
  const instance = new CoreInstance(core);
  instance.exports.arena_init(framesMax);
  const space = new VectorSpace(instance, {
    dimension,
    metric,
    indexType,
    ids: 'int',
    efConstruction,
    seed: 42,
  });
  space.create();
  const count = rowCount(set);
  for (let from = 0; from < count; from += chunkRows) {
    const to = Math.min(count, from + chunkRows);
    const ids = BigInt64Array.from({ length: to - from }, (_, i) => BigInt(from + i));
    const rows = base.subarray(from * dimension, to * dimension);
    for (const operation of operationsIn(encodeInsertInts(ids, rows))) space.apply(operation);
  }
  while (space.pending() > 0) space.maintain(1000);
  return space;
}

/** The ids found for the set's queries, best first. */
export function searchAll(space: VectorSpace, set: DataSet, k: number, efSearch: number): number[][] {
  const found: number[][] = [];
  for (let q = 0; q * set.dimension < set.queries.length; q++) {
    const hits = space.searchTopK(rowAt(set.queries, set.dimension, q), k, efSearch, false);
    found.push(hits.map(({ id }) => Number(id)));
  }
  return found;
}
