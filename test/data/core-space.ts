/** A vector space without a database around it: what index and kernels do by themselves. Runs in a page as well. */

import type { IndexType } from '../../src/api/database.ts';
import { CoreInstance, checkStatus } from '../../src/kernel/instance.ts';
import type { Core } from '../../src/kernel/module.ts';
import { encodeInsertInts, operationsIn } from '../../src/space/operation.ts';
import { GroupMask } from '../../src/space/space.ts';
import { type SearchEffort, VectorSpace } from '../../src/space/vector-space.ts';
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

/** The space's image opened by another build of the core. */
export function copySpace(space: VectorSpace, core: Core): VectorSpace {
  const instance = new CoreInstance(core);
  instance.exports.arena_init(framesMax);
  const from = space.instance;
  const blocks = checkStatus(
    from.exports.checkpoint_begin(GroupMask.Primary | GroupMask.Derived),
    'begin a copy',
  );
  for (let i = 0; i < blocks; i++) {
    const out = from.scratch(16);
    from.exports.checkpoint_entry(i, out);
    const [segment = 0, index = 0, address = 0, usedBytes = 0] = from.u32(out, 4);
    const target = instance.exports.block_adopt(segment, index) >>> 0;
    instance.bytes().set(from.bytes().subarray(address, address + usedBytes), target);
    from.exports.checkpoint_copied(i);
  }
  from.exports.checkpoint_end(1);
  const copy = new VectorSpace(instance, space.shape);
  copy.open();
  return copy;
}

/** The ids found for the set's queries, best first. `effort`: an efSearch, or all there is to say. */
export function searchAll(
  space: VectorSpace,
  set: DataSet,
  k: number,
  effort: number | SearchEffort,
): number[][] {
  const tried = typeof effort === 'number' ? { efSearch: effort } : effort;
  const found: number[][] = [];
  for (let q = 0; q * set.dimension < set.queries.length; q++) {
    const hits = space.searchTopK(rowAt(set.queries, set.dimension, q), k, tried);
    found.push(hits.map(({ id }) => Number(id)));
  }
  return found;
}
