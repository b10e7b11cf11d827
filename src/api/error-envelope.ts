/** An error as plain data, for borders that an `Error` does not cross whole, and the error rebuilt on the caller's side. */

import {
  type ErrorCode,
  type ErrorDetails,
  isShibuDbError,
  type ShibuDbError,
  shibuDbError,
} from './errors.ts';

/** An error as plain data: Comlink alone would carry only name, message and stack, a wire nothing. */
export interface ErrorEnvelope {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
  readonly stack: string | undefined;
}

export function toEnvelope(error: unknown): ErrorEnvelope {
  if (isShibuDbError(error)) {
    return { code: error.code, message: error.message, details: error.details, stack: error.stack };
  }
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
  return { code: 'INTERNAL', message: `The engine failed: ${message}`, details: {}, stack };
}

/** The error rebuilt on the caller's side, of its own class, so that `instanceof` works there. */
export function fromEnvelope({ code, message, details, stack }: ErrorEnvelope): ShibuDbError {
  const error = shibuDbError(code, message, { details });
  if (stack !== undefined) error.stack = `${error.stack}\n    in the worker: ${stack}`;
  return error;
}
