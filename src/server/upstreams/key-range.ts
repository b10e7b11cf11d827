/** Keys that were gathered without an order, put into it: those of a scan's range, by their bytes. */

import type { ScanArguments } from '../../api/calls.ts';
import { invalid } from '../../base/arguments.ts';

/** @param keys each once */
export function sortedKeysIn(
  keys: readonly string[],
  { prefix, start, end, reverse, cursor }: Omit<ScanArguments, 'limit'>,
): string[] {
  if (prefix !== undefined && (start !== undefined || end !== undefined))
    throw invalid('Got a prefix and a range, expected one of them');
  const within = keys.filter((key) => {
    if (prefix !== undefined && !key.startsWith(prefix)) return false;
    if (start !== undefined && compareKeys(key, start) < 0) return false;
    return end === undefined || compareKeys(key, end) < 0;
  });
  const sorted = within.sort(reverse ? (a, b) => compareKeys(b, a) : compareKeys);
  if (cursor === undefined) return sorted;
  const behind = keyOfCursor(cursor);
  return sorted.filter((key) => (reverse ? compareKeys(key, behind) < 0 : compareKeys(key, behind) > 0));
}

export function keyOfCursor(cursor: string): string {
  if (!cursor.startsWith('k')) throw invalid('Got a cursor that no scan of this space gave');
  return cursor.slice(1);
}

/** The order of UTF-8, which is that of code points, not of JavaScript's code units. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
