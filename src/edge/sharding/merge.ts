/** The best hits of several shards as one list: best first, ties by id, each id once. */

import type { Metric, SearchHit, VectorData, VectorId } from '../../api/database.ts';

type Hit = SearchHit<VectorData>;

/** @param lists of one id, the later one holds: its list is the newer owner's */
export function mergeHits(lists: readonly (readonly Hit[])[], most: number, metric: Metric): Hit[] {
  const byId = new Map<VectorId, Hit>();
  for (const hits of lists) for (const hit of hits) byId.set(hit.id, hit);
  const sign = metric === 'InnerProduct' ? -1 : 1;
  const hits = [...byId.values()];
  hits.sort((a, b) => sign * (a.distance - b.distance) || (idBefore(a.id, b.id) ? -1 : 1));
  return hits.slice(0, most);
}

/** Numbers by value; strings by their UTF-8 bytes, which is the order of their code points. */
export function idBefore(a: VectorId, b: VectorId): boolean {
  if (typeof a !== 'string' || typeof b !== 'string') return a < b;
  const as = [...a];
  const bs = [...b];
  const at = as.findIndex((character, i) => character !== bs[i]);
  if (at < 0) return as.length < bs.length;
  const [x, y] = [as[at] as string, bs[at]];
  return y !== undefined && (x.codePointAt(0) as number) < (y.codePointAt(0) as number);
}
