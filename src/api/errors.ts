/**
 * The errors a caller can meet. One class with a closed list of codes, and the subclasses the ShibuDB client knows.
 *
 * An error is recognised by its brand, not by `instanceof`, where it may come from another realm or another copy of this
 * module; `rpc/` rebuilds the class on the caller's side, so that `instanceof` works there too.
 */

/** Every code an error may carry. Adding one is a compatible change, removing one is not. */
export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'NO_SPACE_SELECTED'
  | 'SPACE_NOT_FOUND'
  | 'SPACE_EXISTS'
  | 'WRONG_ENGINE'
  | 'UNSUPPORTED'
  | 'NOT_A_NUMBER'
  | 'OVERFLOW'
  | 'USER_NOT_FOUND'
  | 'USER_EXISTS'
  | 'LAST_ADMIN'
  | 'NO_USERS'
  | 'NOT_AUTHENTICATED'
  | 'INVALID_CREDENTIALS'
  | 'PERMISSION_DENIED'
  | 'TOO_MANY_ATTEMPTS'
  | 'ENCRYPTED'
  | 'NOT_ENCRYPTED'
  | 'POOL_EXHAUSTED'
  | 'ABORTED'
  | 'TIMEOUT'
  | 'SNAPSHOT_LOST'
  | 'PARTIAL_RESULT'
  | 'CLOSED'
  | 'LOCKED'
  | 'WORKER_LOST'
  | 'OUTCOME_UNKNOWN'
  | 'NOT_OWNER'
  | 'BRIDGE_UNAVAILABLE'
  | 'PROTOCOL_ERROR'
  | 'RATE_LIMITED'
  | 'STORAGE_UNAVAILABLE'
  | 'STORAGE_LOST'
  | 'STORAGE_FAILED'
  | 'QUOTA_EXCEEDED'
  | 'OUT_OF_MEMORY'
  | 'CORRUPTION'
  | 'DATA_LOST'
  | 'READ_ONLY'
  | 'WASM_UNAVAILABLE'
  | 'SCRIPT_UNAVAILABLE'
  | 'VERSION_MISMATCH'
  | 'INTERNAL';

/** Facts that go with an error, by name: plain data, so that it survives the worker boundary. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | undefined>>;

const brand = '@@shibumi/error';

/** Any failure of a database call. `code` says which; `message` says what was found and what was expected. */
export class ShibuDbError extends Error {
  override readonly name: string = 'ShibuDbError';
  /** Which failure it is: what programs decide by. */
  readonly code: ErrorCode;
  /** Facts beside the message; `{}` where there are none. */
  readonly details: ErrorDetails;
  readonly '@@shibumi/error': true = true;

  /**
   * `details` default to none. Programs rarely make one; `isShibuDbError` knows those of another copy of this module
   * too.
   */
  constructor(code: ErrorCode, message: string, options: { details?: ErrorDetails; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** The call itself is at fault: an argument, a name, a kind. Nothing was changed. */
export class QueryError extends ShibuDbError {
  override readonly name: string = 'QueryError';
}

/** The database could not be reached or is gone: worker, storage, lock, a deadline. */
export class ConnectionError extends ShibuDbError {
  override readonly name: string = 'ConnectionError';
}

/** Who is calling: not signed in, not with these credentials, or without the right to do it. Nothing was changed. */
export class AuthenticationError extends ShibuDbError {
  override readonly name: string = 'AuthenticationError';
}

/** Every connection of a pool is in use, and none came back in time. */
export class PoolExhaustedError extends ShibuDbError {
  override readonly name: string = 'PoolExhaustedError';
}

/** Some shards of a space gave no answer: `hits` are what the others found. Passing `allowPartial` makes it no error. */
export class PartialResultError<Hit = unknown> extends ShibuDbError {
  override readonly name: string = 'PartialResultError';
  /** What was found, best first. */
  readonly hits: readonly Hit[];

  /** `cause` is the failure of one of the shards. */
  constructor(message: string, hits: readonly Hit[], cause: unknown) {
    super('PARTIAL_RESULT', message, { cause, details: { hits: hits.length } });
    this.hits = hits;
  }
}

const queryCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
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
]);
const authenticationCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NO_USERS',
  'NOT_AUTHENTICATED',
  'INVALID_CREDENTIALS',
  'PERMISSION_DENIED',
  'TOO_MANY_ATTEMPTS',
]);
const connectionCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
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
]);

/** Makes an error of the class that belongs to its code. The only way errors are made in this project. */
export function shibuDbError(
  code: ErrorCode,
  message: string,
  options: { details?: ErrorDetails; cause?: unknown } = {},
): ShibuDbError {
  if (queryCodes.has(code)) return new QueryError(code, message, options);
  if (authenticationCodes.has(code)) return new AuthenticationError(code, message, options);
  if (code === 'POOL_EXHAUSTED') return new PoolExhaustedError(code, message, options);
  if (connectionCodes.has(code)) return new ConnectionError(code, message, options);
  return new ShibuDbError(code, message, options);
}

/**
 * Whether it is one of ours, also when it comes from another copy of this module or another realm, where `instanceof`
 * says no.
 */
export function isShibuDbError(error: unknown): error is ShibuDbError {
  return typeof error === 'object' && error !== null && brand in error;
}
