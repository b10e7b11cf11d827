/** What an error code is over HTTP (RFC 9110). */

import type { ErrorCode } from './errors.ts';

const statusOf: Partial<Record<ErrorCode, number>> = {
  INVALID_ARGUMENT: 400,
  NO_SPACE_SELECTED: 400,
  WRONG_ENGINE: 400,
  NOT_A_NUMBER: 400,
  OVERFLOW: 400,
  UNSUPPORTED: 400,
  NOT_AUTHENTICATED: 401,
  INVALID_CREDENTIALS: 401,
  NO_USERS: 403,
  PERMISSION_DENIED: 403,
  SPACE_NOT_FOUND: 404,
  USER_NOT_FOUND: 404,
  SPACE_EXISTS: 409,
  USER_EXISTS: 409,
  LAST_ADMIN: 409,
  SNAPSHOT_LOST: 409,
  RATE_LIMITED: 429,
  TOO_MANY_ATTEMPTS: 429,
  OUT_OF_MEMORY: 507,
  QUOTA_EXCEEDED: 507,
  LOCKED: 503,
  CLOSED: 503,
  STORAGE_UNAVAILABLE: 503,
  TIMEOUT: 504,
};

/** 500 for whatever is not the caller's doing. */
export function httpStatusOf(code: ErrorCode): number {
  return statusOf[code] ?? 500;
}
