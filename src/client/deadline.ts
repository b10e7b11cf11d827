/** `signal` and `timeoutMs` of a call, turned into one signal and the right error. */

import { shibuDbError } from '../api/errors.ts';
import { invalid, shown } from '../base/arguments.ts';

export interface Deadline {
  readonly signal: AbortSignal | undefined;
  /** Rejects when the signal fires; `undefined` when there is none. */
  readonly expired: Promise<never> | undefined;
  /** Drops timer and listener. */
  end(): void;
}

const none: Deadline = { signal: undefined, expired: undefined, end() {} };

export function deadlineOf(
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
  call: string,
): Deadline {
  if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs > 0)) {
    throw invalid(`Got ${shown(timeoutMs)} for timeoutMs, expected a number of milliseconds above 0`);
  }
  if (signal === undefined && timeoutMs === undefined) return none;
  const aborted = (): Error => shibuDbError('ABORTED', `${call} was aborted`, { cause: signal?.reason });
  if (signal?.aborted) throw aborted();

  const controller = new AbortController();
  const { promise: expired, reject } = Promise.withResolvers<never>();
  // Whoever only watches the signal must not make an unhandled rejection of this.
  expired.catch(() => {});
  const fail = (error: Error): void => {
    controller.abort(error);
    reject(error);
  };
  const onAbort = (): void => fail(aborted());
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer =
    timeoutMs === undefined || timeoutMs === Number.POSITIVE_INFINITY
      ? undefined
      : setTimeout(
          () => fail(shibuDbError('TIMEOUT', `${call} took longer than ${timeoutMs} ms`)),
          timeoutMs,
        );
  return {
    signal: controller.signal,
    expired,
    end() {
      signal?.removeEventListener('abort', onAbort);
      clearTimeout(timer);
    },
  };
}
