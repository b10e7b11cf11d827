/**
 * The scenarios `filter N%` of the vectors suite: a search among the vectors that match a filter beside one among all, at the
 * efSearch that either needs for the recall. The filter has nothing to do with where vectors lie. Runs in Node and in a page, on
 * the core, in the caller's thread.
 */

import type { IndexType, MetadataField } from '../../src/api/database.ts';
import type { Core } from '../../src/kernel/module.ts';
import { ByteWriter } from '../../src/space/metadata/byte-writer.ts';
import { writeRecord } from '../../src/space/metadata/record.ts';
import { encodeUpdate, operationsIn } from '../../src/space/operation.ts';
import type { VectorSpace } from '../../src/space/vector-space.ts';
import { compileWhere } from '../../src/space/where/compile.ts';
import { makeSpace } from '../data/core-space.ts';
import { type DataSet, exactDistance, rowAt, rowCount, truthK } from '../data/data-set.ts';
import type { Row, RowFrame } from './row.ts';
import { measureCurves, type SearchSubject } from './search-curve.ts';
import { efConstruction } from './shibumi-subject.ts';
import { m, type VectorsPlan } from './vectors-plan.ts';

const percents = [50, 10, 1, 0.1] as const;
const indexTypes: readonly IndexType[] = [`HNSW${m}`, `HNSW${m},SQ8`];
const fields: readonly MetadataField[] = [{ name: 'place', type: 'int' }];

export function filterScenario(percent: number): string {
  return `filter ${percent}%`;
}

export async function measureFilters(
  core: Core,
  data: DataSet,
  runtime: Row['runtime'],
  plan: VectorsPlan,
): Promise<Row[]> {
  const wanted = percents.filter((percent) => plan.wants(data, filterScenario(percent), runtime));
  if (wanted.length === 0) return [];
  const flat = labelled(makeSpace(core, data, 'Flat'), data);
  const truths = new Map(wanted.map((percent) => [percent, truthOf(flat, data, filterOf(data, percent))]));
  const rows: Row[] = [];
  for (const indexType of indexTypes) {
    const space = labelled(makeSpace(core, data, indexType, efConstruction), data);
    const frame = (scenario: string): RowFrame => ({
      suite: 'vectors',
      scenario,
      subject: 'shibumi',
      runtime,
      data: data.name,
      params: { build: core.build, path: 'core', indexType },
    });
    const subjects = wanted.map((percent): SearchSubject => {
      const filter = filterOf(data, percent);
      const search = searching(space, filter);
      return {
        frame: frame(filterScenario(percent)),
        chooses: true,
        truth: truths.get(percent) as Float64Array,
        search,
      };
    });
    // The same search without a filter is what the others are to be compared with: in the same rounds.
    subjects.push({ frame: frame('filter none'), chooses: true, search: searching(space, undefined) });
    rows.push(...(await measureCurves(data, subjects, plan.curve(indexType))));
  }
  return rows;
}

/** Every row's place in a random order: a filter on it takes any share of them. */
function labelled(space: VectorSpace, data: DataSet): VectorSpace {
  const count = rowCount(data);
  for (let row = 0; row < count; row++) {
    const writer = new ByteWriter();
    writeRecord(writer, { place: placeOf(row, count) }, fields, 'metadata');
    for (const operation of operationsIn(encodeUpdate(BigInt(row), writer.written, true)))
      space.apply(operation);
  }
  return space;
}

/** A permutation of 0 to count - 1: steps of a number that has no divisor in common with the count. */
function placeOf(row: number, count: number): number {
  return (row * 7_919 + 13) % count;
}

function filterOf(data: DataSet, percent: number): Uint8Array {
  // So many that ten can be found.
  const most = Math.max(truthK, Math.round((rowCount(data) * percent) / 100));
  return compileWhere(`place < ${most}`, fields);
}

function searching(space: VectorSpace, filter: Uint8Array | undefined): SearchSubject['search'] {
  const options = filter === undefined ? {} : { filter };
  return (query, efSearch) => {
    const ids: number[] = [];
    for (const { id } of space.searchTopK(query, truthK, efSearch === 0 ? {} : { efSearch }, options))
      ids.push(id as number);
    return ids;
  };
}

/** How far each query's 10th neighbour among those that match is. */
function truthOf(flat: VectorSpace, data: DataSet, filter: Uint8Array): Float64Array {
  const { base, queries, dimension, metric } = data;
  return Float64Array.from({ length: queries.length / dimension }, (_, q) => {
    const query = rowAt(queries, dimension, q);
    const hits = flat.searchTopK(query, truthK, {}, { filter });
    return Math.max(
      ...hits.map(({ id }) => exactDistance(metric, query, rowAt(base, dimension, Number(id)))),
    );
  });
}
