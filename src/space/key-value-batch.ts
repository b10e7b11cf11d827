/** Many keys in one call: atomic, and therefore bounded. */

import type { PackedEntries, PackedValues } from '../api/calls.ts';
import type { PutEntry } from '../api/database.ts';
import { invalid, shown } from '../base/arguments.ts';
import type { BufferPool } from '../base/buffer-pool.ts';
import { joined } from '../base/bytes.ts';
import { packedLengthMask } from '../base/packed-values.ts';
import {
  checkKey,
  deadlineOf,
  deleteOperation,
  type KeyValueSpace,
  putOperation,
} from './key-value-space.ts';
import { encodePackedPuts, type StoredForm } from './operation.ts';

/** What one atomic call may carry, keys and values together. */
export const batchBytesMax: number = 16 * 1024 * 1024;

/** @throws INVALID_ARGUMENT, naming the entry; everything is checked before anything is written */
export function putManyOperations(
  entries: readonly PutEntry[] | PackedEntries,
  now: number,
): { operations: Uint8Array; count: number; deadlines: boolean } {
  if (isPacked(entries)) {
    const { operations, count } = packedPutOperations(entries);
    return { operations, count, deadlines: false };
  }
  if (!Array.isArray(entries))
    throw invalid(`Got ${shown(entries)} for entries, expected an array of { key, value }`);
  const deadlines = entries.some((entry) => entry?.ttlMs !== undefined);
  const operations = joinedAtMost(
    entries.map((entry: PutEntry, i) => {
      if (typeof entry !== 'object' || entry === null) {
        throw invalid(`Got ${shown(entry)} for entry ${i}, expected { key, value }`);
      }
      return putOperation(entry.key, entry.value, deadlineOf(entry.ttlMs, now));
    }),
  );
  return { operations, count: entries.length, deadlines };
}

function isPacked(entries: readonly PutEntry[] | PackedEntries): entries is PackedEntries {
  return typeof entries === 'object' && entries !== null && 'heads' in (Object(entries).values ?? {});
}

/** @throws INVALID_ARGUMENT, as for entries that are not packed */
export function packedPutOperations({ keys, values }: PackedEntries): {
  operations: Uint8Array;
  count: number;
} {
  checkKeys(keys);
  const { heads, bytes } = values;
  if (!(heads instanceof Uint32Array) || !(bytes instanceof Uint8Array) || heads.length !== keys.length)
    throw invalid(`Got ${shown(heads)} for ${keys.length} keys, expected as many packed values`);
  let length = 0;
  for (const head of heads) length += head & packedLengthMask;
  if (length !== bytes.length) throw invalid(`Got ${bytes.length} bytes of values, expected ${length}`);
  if (length > batchBytesMax) throw tooLarge('The entries');
  const operations = encodePackedPuts(keys, heads, bytes);
  if (operations.length > batchBytesMax) throw tooLarge('The entries');
  return { operations, count: keys.length };
}

export function deleteManyOperations(keys: readonly string[]): Uint8Array {
  checkKeys(keys);
  return joinedAtMost(keys.map(deleteOperation));
}

export function checkKeys(keys: unknown): void {
  if (!Array.isArray(keys)) throw invalid(`Got ${shown(keys)} for keys, expected an array of strings`);
  for (const key of keys) checkKey(key);
}

/** An array where some are large. @throws INVALID_ARGUMENT when what is found is more than one answer may carry */
export function getMany(
  space: KeyValueSpace,
  keys: readonly string[],
  buffers?: BufferPool,
): PackedValues | (StoredForm | undefined)[] {
  const values = space.getPacked(keys, batchBytesMax, buffers);
  if (values === undefined) throw tooLarge('The values found');
  return values;
}

function joinedAtMost(operations: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const operation of operations) length += operation.length;
  if (length > batchBytesMax) throw tooLarge('The entries');
  return joined(operations);
}

function tooLarge(what: string): Error {
  return invalid(
    `${what} have more than ${batchBytesMax} bytes together, which one atomic call cannot carry; use several`,
  );
}
