/** What most vector spaces are made as: known without anything else of a vector space, because it says which core to load. */

import type { IndexType, Metric } from '../api/database.ts';

/** Metrics that codes can be measured by, and that centroids, which are means, make sense for. */
export const metricsOfCodes: readonly Metric[] = ['L2', 'InnerProduct', 'Cosine'];

/**
 * Whether the core's part for vectors serves such a space (wasm/core/parts.h: has_metric, has_index, has_codes; a unit test compares
 * the two). The rest needs the whole core.
 */
export function isCommon(indexType: IndexType, metric: Metric): boolean {
  return /^(Flat|SQ8|HNSW\d+(,Flat|,SQ8)?)$/.test(indexType) && metricsOfCodes.includes(metric);
}
