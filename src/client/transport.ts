/** How a client reaches a session: directly, through a worker, or (later) over a wire. */

import type { ArgumentsOf, CallContext, Method, ResultOf } from '../api/calls.ts';

export interface TransportOptions extends CallContext {
  /** Buffers handed over instead of copied; detached for the caller afterwards. */
  readonly transfer?: readonly ArrayBuffer[] | undefined;
}

export interface Transport {
  call<M extends Method>(method: M, args: ArgumentsOf<M>, options: TransportOptions): Promise<ResultOf<M>>;
  /** Frees what the transport holds, after the session was closed. May be called twice. */
  release(): void;
}
