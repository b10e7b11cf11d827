/** The entries of a call, however they were packed. */

import type { PackedEntries } from '../../api/calls.ts';
import type { PutEntry } from '../../api/database.ts';
import { invalid, shown } from '../../base/arguments.ts';
import { unpackValues } from '../../base/packed-values.ts';

export function entriesOf(entries: readonly PutEntry[] | PackedEntries): readonly PutEntry[] {
  if (Array.isArray(entries)) return entries;
  const { keys, values } = entries as PackedEntries;
  if (!Array.isArray(keys)) throw invalid(`Got ${shown(entries)} for entries, expected an array`);
  const unpacked = unpackValues(values);
  return keys.map((key, i) => ({ key, value: unpacked[i] ?? '' }));
}
