/** Factory strings: what kinds of index there are and how they are spelled. */

import type { IndexType } from '../api/database.ts';
import { integerIn, invalid, shown } from '../base/arguments.ts';

/** Parses a factory string. `m` is 0 for Flat. */
export function parseIndexType(text: unknown): { indexType: IndexType; m: number } {
  if (text === 'Flat') return { indexType: 'Flat', m: 0 };
  const match = typeof text === 'string' ? /^HNSW(\d{1,4})$/.exec(text) : null;
  if (match === null)
    throw invalid(`Got ${shown(text)} for indexType, expected Flat or HNSW followed by M, such as HNSW16`);
  return { indexType: text as IndexType, m: integerIn(Number(match[1]), 2, 256, 'M of indexType') };
}
