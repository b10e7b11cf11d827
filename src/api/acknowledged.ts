/** How a bulk write that failed says how much of it is stored: in words, and as `details.acknowledged`. */

import { isShibuDbError, type ShibuDbError, shibuDbError } from './errors.ts';

const suffix = / \(the first \d+ of \d+ vectors are stored\)$/;

/** The same failure, of a load of `total` vectors whose first `acknowledged` are stored; what it said before of a part is replaced. */
export function withAcknowledged(error: unknown, acknowledged: number, total: number): ShibuDbError {
  const code = isShibuDbError(error) ? error.code : 'INTERNAL';
  const message = (error instanceof Error ? error.message : String(error)).replace(suffix, '');
  const details = isShibuDbError(error) ? error.details : {};
  return shibuDbError(code, `${message} (the first ${acknowledged} of ${total} vectors are stored)`, {
    cause: error,
    details: { ...details, acknowledged },
  });
}
