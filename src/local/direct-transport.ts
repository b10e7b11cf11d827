/**
 * Client and session in one process: a call is a call. What the caller passed is the caller's again as soon as the call
 * returns, as it would be behind a worker, so whatever is read later is copied, or taken over when it is handed over.
 */

import type { ArgumentsOf, CallContext, Method, ResultOf } from '../api/calls.ts';
import { isShibuDbError, shibuDbError } from '../api/errors.ts';
import { takeOver } from '../client/take-over.ts';
import type { Transport, TransportOptions } from '../client/transport.ts';
import type { Session } from '../engine/session.ts';

/** Frequent calls whose session has read everything before its first wait: nothing of theirs needs to be copied. */
const readsAtOnce: ReadonlySet<Method> = new Set<Method>(['get', 'put', 'putMany', 'delete', 'deleteMany']);

export class DirectTransport implements Transport {
  readonly #session: Pick<Session, 'call'> & Partial<Pick<Session, 'giveBack'>>;

  constructor(session: Pick<Session, 'call'> & Partial<Pick<Session, 'giveBack'>>) {
    this.#session = session;
  }

  async call<M extends Method>(
    method: M,
    args: ArgumentsOf<M>,
    { signal, onProgress, transfer }: TransportOptions,
  ): Promise<ResultOf<M>> {
    try {
      const owned = readsAtOnce.has(method) ? args : takeOver(args, transfer);
      return await this.#session.call(method, owned, { signal, onProgress: shielded(onProgress) });
    } catch (error) {
      if (isShibuDbError(error)) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw shibuDbError('INTERNAL', `The engine failed: ${reason}`, { cause: error });
    }
  }

  giveBack(buffer: ArrayBuffer): void {
    this.#session.giveBack?.(buffer);
  }

  release(): void {
    // Closing the session has freed everything.
  }
}

/** What a caller's callback throws is the caller's business, not the engine's. */
function shielded(onProgress: CallContext['onProgress']): CallContext['onProgress'] {
  return (
    onProgress &&
    ((progress) => {
      try {
        onProgress(progress);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    })
  );
}
