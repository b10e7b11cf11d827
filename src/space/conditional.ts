/** Writes whose outcome depends on what is there. Each is decided once, in its place in the order of writes. */

import type { Value } from '../api/database.ts';
import { shibuDbError } from '../api/errors.ts';
import { invalid, shown } from '../base/arguments.ts';
import { checkKey, deadlineOf, putOperation } from './key-value-space.ts';
import { LargeValue } from './large-value.ts';
import type { PendingKeys } from './pending-keys.ts';
import { toPublicId } from './vector-ids.ts';

/** What a conditional write comes to: the operations to log (none: nothing changes) and the caller's answer. */
export interface Decision<Answer> {
  readonly operations: Uint8Array;
  readonly answer: Answer;
}

/** Throwing refuses this write alone. */
export type Decide<Answer> = (keys: PendingKeys) => Decision<Answer>;

const nothing = new Uint8Array(0);
const int64Least = -(2n ** 63n);
const int64Most = 2n ** 63n - 1n;
const canonicalInteger = /^(?:0|-?[1-9]\d{0,18})$/;

/** Adds to the integer in decimal that is the key's value; a missing key counts as 0. */
export function increment(key: string, by: unknown): Decide<number | bigint> {
  checkKey(key);
  const step = typeof by === 'number' && Number.isSafeInteger(by) ? BigInt(by) : by;
  if (typeof step !== 'bigint' || step < int64Least || step > int64Most) {
    throw invalid(`Got ${shown(by)} for by, expected a safe integer or a bigint of 64 bits`);
  }
  return (keys) => {
    const stored = keys.getStored(key);
    const found = stored?.value ?? '0';
    if (typeof found !== 'string' || !canonicalInteger.test(found)) {
      throw shibuDbError(
        'NOT_A_NUMBER',
        `Got ${found instanceof LargeValue ? `${found.length} bytes` : shown(found)} under ${shown(key)}, expected an integer of 64 bits`,
      );
    }
    const sum = BigInt(found) + step;
    if (sum < int64Least || sum > int64Most) {
      throw shibuDbError(
        'OVERFLOW',
        `${found} + ${step} under ${shown(key)} does not fit 64 bits; nothing was changed`,
      );
    }
    // What expires goes on expiring.
    return { operations: putOperation(key, String(sum), stored?.deadlineMs), answer: toPublicId(sum) };
  };
}

/** Whether a large value that is there is the one expected. */
export interface Compared {
  readonly value: LargeValue;
  readonly same: boolean;
}

/**
 * Stores the value only if what is there is `expected`, of the same type; `undefined` expects that there is nothing. A large
 * value that is there has been `compared` before; the answer is 'compare' when another has come in its place.
 */
export function putIf(
  key: string,
  value: unknown,
  expected: unknown,
  deadlineMs?: number,
  compared?: Compared,
): Decide<boolean | 'compare'> {
  const operations = putOperation(key, value, deadlineMs);
  if (expected !== undefined && typeof expected !== 'string' && !(expected instanceof Uint8Array)) {
    throw invalid(`Got ${shown(expected)} for expected, expected a string, a Uint8Array or undefined`);
  }
  return (keys) => {
    const found = keys.get(key);
    let met: boolean | 'compare' = 'compare';
    if (!(found instanceof LargeValue)) met = sameValue(found, expected);
    else if (compared?.value.is(found)) met = compared.same;
    return { operations: met === true ? operations : nothing, answer: met };
  };
}

/** Gives a key another time to live, or none. The answer is whether there was such a key. */
export function expire(key: string, ttlMs: unknown): Decide<boolean> {
  checkKey(key);
  deadlineOf(ttlMs, 0);
  return (keys) => {
    const stored = keys.getStored(key);
    if (stored === undefined) return { operations: nothing, answer: false };
    return { operations: putOperation(key, stored.value, deadlineOf(ttlMs, keys.now)), answer: true };
  };
}

export function sameValue(a: Value | undefined, b: Value | undefined): boolean {
  if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array)) return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
