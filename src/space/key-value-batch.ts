/** Many keys in one call: atomic, and therefore bounded. */

import type { PutEntry, Value } from '../api/database.ts';
import { invalid, shown } from '../base/arguments.ts';
import {
  checkKey,
  deadlineOf,
  deleteOperation,
  type KeyValueSpace,
  putOperation,
} from './key-value-space.ts';

/** What one atomic call may carry, keys and values together. */
export const batchBytesMax: number = 16 * 1024 * 1024;

/** @throws INVALID_ARGUMENT, naming the entry; everything is checked before anything is written */
export function putManyOperations(entries: readonly PutEntry[], now: number): Uint8Array {
  if (!Array.isArray(entries))
    throw invalid(`Got ${shown(entries)} for entries, expected an array of { key, value }`);
  return joined(
    entries.map((entry: PutEntry, i) => {
      if (typeof entry !== 'object' || entry === null) {
        throw invalid(`Got ${shown(entry)} for entry ${i}, expected { key, value }`);
      }
      return putOperation(entry.key, entry.value, deadlineOf(entry.ttlMs, now));
    }),
  );
}

export function deleteManyOperations(keys: readonly string[]): Uint8Array {
  checkKeys(keys);
  return joined(keys.map(deleteOperation));
}

export function checkKeys(keys: unknown): void {
  if (!Array.isArray(keys)) throw invalid(`Got ${shown(keys)} for keys, expected an array of strings`);
  for (const key of keys) checkKey(key);
}

export function getMany(space: KeyValueSpace, keys: readonly string[]): (Value | undefined)[] {
  let bytes = 0;
  return keys.map((key) => {
    const value = space.get(key);
    bytes += key.length + (value?.length ?? 0);
    if (bytes > batchBytesMax) throw tooLarge('The values found');
    return value;
  });
}

function joined(operations: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const operation of operations) length += operation.length;
  if (length > batchBytesMax) throw tooLarge('The entries');
  const all = new Uint8Array(length);
  let at = 0;
  for (const operation of operations) {
    all.set(operation, at);
    at += operation.length;
  }
  return all;
}

function tooLarge(what: string): Error {
  return invalid(
    `${what} have more than ${batchBytesMax} bytes together, which one atomic call cannot carry; use several`,
  );
}
