/** Assertions that run in Node and in a page alike: node:assert is not there in a browser. */

import {
  AuthenticationError,
  ConnectionError,
  type ErrorCode,
  isShibuDbError,
  QueryError,
  ShibuDbError,
} from '../../src/api/errors.ts';

export class CheckError extends Error {
  override readonly name = 'CheckError';
}

export function check(condition: unknown, what: string): asserts condition {
  if (!condition) throw new CheckError(what);
}

/** Deep and strict: types, classes of arrays, -0 and NaN are told apart; the order of an object's fields is not. */
export function same(actual: unknown, expected: unknown, what = 'values'): void {
  const difference = differenceOf(actual, expected, '');
  if (difference !== undefined) throw new CheckError(`${what} differ: ${difference}`);
}

export function near(actual: number, expected: number, tolerance: number, what = 'number'): void {
  check(
    Math.abs(actual - expected) <= tolerance,
    `${what} is ${actual}, expected ${expected} within ${tolerance}`,
  );
}

const connectionCodes: readonly ErrorCode[] = [
  'CLOSED',
  'LOCKED',
  'TIMEOUT',
  'WORKER_LOST',
  'OUTCOME_UNKNOWN',
  'NOT_OWNER',
  'BRIDGE_UNAVAILABLE',
  'PROTOCOL_ERROR',
  'RATE_LIMITED',
  'STORAGE_UNAVAILABLE',
  'STORAGE_LOST',
];
const queryCodes: readonly ErrorCode[] = [
  'INVALID_ARGUMENT',
  'NO_SPACE_SELECTED',
  'SPACE_NOT_FOUND',
  'SPACE_EXISTS',
  'WRONG_ENGINE',
  'UNSUPPORTED',
  'NOT_A_NUMBER',
  'OVERFLOW',
  'USER_NOT_FOUND',
  'USER_EXISTS',
  'LAST_ADMIN',
];
const authenticationCodes: readonly ErrorCode[] = [
  'NO_USERS',
  'NOT_AUTHENTICATED',
  'INVALID_CREDENTIALS',
  'PERMISSION_DENIED',
  'TOO_MANY_ATTEMPTS',
];

/** Expects a rejection with `code`, of the class that belongs to it, with a message that matches. */
export async function rejects(
  call: Promise<unknown> | (() => Promise<unknown>),
  code: ErrorCode,
  message: RegExp = /./,
): Promise<ShibuDbError> {
  let value: unknown;
  try {
    value = await (typeof call === 'function' ? call() : call);
  } catch (error) {
    const found = error instanceof Error ? (error.stack ?? error.message) : String(error);
    check(isShibuDbError(error) && error instanceof ShibuDbError, `expected ${code}, got: ${found}`);
    check(error.code === code, `expected ${code}, got ${error.code}: ${error.message}`);
    check(error instanceof QueryError === queryCodes.includes(code), `${code} has class ${error.name}`);
    check(
      error instanceof ConnectionError === connectionCodes.includes(code),
      `${code} has class ${error.name}`,
    );
    check(
      error instanceof AuthenticationError === authenticationCodes.includes(code),
      `${code} has class ${error.name}`,
    );
    check(message.test(error.message), `expected a message like ${message}, got: ${error.message}`);
    return error;
  }
  throw new CheckError(`expected ${code}, but the call answered ${show(value)}`);
}

function differenceOf(actual: unknown, expected: unknown, path: string): string | undefined {
  if (Object.is(actual, expected)) return undefined;
  const differ = (): string => `${path || 'it'} is ${show(actual)}, expected ${show(expected)}`;
  if (typeof actual !== 'object' || typeof expected !== 'object') return differ();
  if (actual === null || expected === null) return differ();
  if (Object.getPrototypeOf(actual) !== Object.getPrototypeOf(expected)) return differ();
  if (ArrayBuffer.isView(actual) || Array.isArray(actual)) return listDifference(actual, expected, path);
  const a = actual as Record<string, unknown>;
  const b = expected as Record<string, unknown>;
  for (const field of new Set([...Object.keys(a), ...Object.keys(b)])) {
    if (field in a !== field in b)
      return `${path}.${field} is there in ${field in a ? 'the answer' : 'what was expected'} only`;
    const inner = differenceOf(a[field], b[field], `${path}.${field}`);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

function listDifference(actual: object, expected: object, path: string): string | undefined {
  // Values of megabytes are usually equal, and item by item takes seconds to find that out.
  if (actual instanceof Uint8Array && expected instanceof Uint8Array && sameBytes(actual, expected))
    return undefined;
  const a = actual as ArrayLike<unknown>;
  const b = expected as ArrayLike<unknown>;
  if (a.length !== b.length)
    return `${path || 'it'} has ${a.length} items, expected ${b.length}: ${show(actual)}, ${show(expected)}`;
  for (let i = 0; i < a.length; i++) {
    const inner = differenceOf(a[i], b[i], `${path}[${i}]`);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function show(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (Object.is(value, -0)) return '-0';
  if (ArrayBuffer.isView(value))
    return `${value.constructor.name}[${cut(String(value as unknown as string))}]`;
  if (typeof value !== 'object' || value === null) return cut(JSON.stringify(value) ?? String(value));
  return cut(JSON.stringify(value, (_, field) => (typeof field === 'bigint' ? `${field}n` : field)));
}

function cut(text: string): string {
  return text.length <= 300 ? text : `${text.slice(0, 300)}…`;
}
