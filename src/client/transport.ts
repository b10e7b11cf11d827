/** How a client reaches a session: directly, through a worker, or (later) over a wire. */

import type { ArgumentsOf, CallContext, Method, ResultOf } from '../api/calls.ts';
import type { DatabaseEvents, DatabaseEventType } from '../api/events.ts';

export interface TransportOptions extends CallContext {
  /** Buffers handed over instead of copied; detached for the caller afterwards. */
  readonly transfer?: readonly ArrayBuffer[] | undefined;
}

export interface Transport {
  call<M extends Method>(method: M, args: ArgumentsOf<M>, options: TransportOptions): Promise<ResultOf<M>>;
  /** Where the connection itself has something to tell (`ownerchange`): whom it tells, from now on. */
  listen?(listener: <Type extends DatabaseEventType>(type: Type, detail: DatabaseEvents[Type]) => void): void;
  /** Takes the buffer of an answer back, whose contents the client needs no more, where it can be used for another. */
  giveBack?(buffer: ArrayBuffer): void;
  /** Frees what the transport holds, after the session was closed. May be called twice. */
  release(): void;
}
