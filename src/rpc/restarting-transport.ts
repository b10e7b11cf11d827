/**
 * Keeps a database reachable when its worker dies: a new worker is spawned, opens the database, and is told what the
 * session had chosen. Then what was open goes on:
 *
 *   not sent yet         is made now
 *   changes nothing      is made again, once: a call that kills its worker must not kill every worker after it
 *   sent, may have       fails with OUTCOME_UNKNOWN, because nobody can tell whether it took effect
 *   changed something
 *
 * Nothing here runs on a timer: a worker that cannot be replaced fails what waits with WORKER_LOST, and the next call tries
 * again.
 */

import { type ArgumentsOf, callsThatChangeNothing, type Method, type ResultOf } from '../api/calls.ts';
import { type ShibuDbError, shibuDbError } from '../api/errors.ts';
import { SessionMemory } from '../client/session-state.ts';
import type { Transport, TransportOptions } from '../client/transport.ts';
import { OpenCall } from './open-call.ts';
import type { TakeOver, WorkerTransport } from './worker-transport.ts';

/** Makes a link to a new worker that has opened the database. */
export type Connect = (takeOver: TakeOver) => Promise<WorkerTransport>;

/** The calls that a session remembers. */
const setsState: ReadonlySet<Method> = new Set<Method>(['useSpace', 'authenticate', 'resumeSession']);
/** A worker that lived no longer is replaced when the next call needs it. */
const quickDeathMs = 1000;

export class RestartingTransport implements Transport {
  readonly #connect: Connect;
  readonly #memory: SessionMemory = new SessionMemory();
  /** Calls that were made again after a worker died with them. */
  readonly #repeated: WeakSet<OpenCall> = new WeakSet();
  #link: WorkerTransport | undefined;
  /** What waits for a new worker. */
  #waiting: OpenCall[] = [];
  #connecting: Promise<void> | undefined;
  #released = false;
  #since = 0;

  constructor(connect: Connect) {
    this.#connect = connect;
  }

  /** Opens the database the first time. @throws what opening throws */
  async open(): Promise<void> {
    await this.#install();
  }

  /** A link to a new worker counts from when its session is where the former one was. */
  async #install(): Promise<void> {
    let installed = false;
    const link = await this.#connect((calls, error) => {
      if (installed) this.#takeOver(calls, error);
      else for (const call of calls) call.reject(error);
    });
    const { state } = this.#memory;
    if (state !== undefined) {
      await link.call('resumeSession', state, {}).catch((error: ShibuDbError) => {
        // What cannot be restored (a space that is gone, a password that was changed) the calls that need it will say.
        if (error.code === 'WORKER_LOST') throw error;
      });
    }
    if (this.#released) link.release();
    installed = true;
    this.#link = link;
    this.#since = performance.now();
  }

  call<M extends Method>(method: M, args: ArgumentsOf<M>, options: TransportOptions): Promise<ResultOf<M>> {
    const link = this.#link;
    const answer = link === undefined ? this.#later(method, args, options) : link.call(method, args, options);
    if (!setsState.has(method)) return answer;
    return answer.then((result) => {
      this.#memory.note(method, args, result);
      return result;
    });
  }

  release(): void {
    this.#released = true;
    this.#link?.release();
  }

  #later<M extends Method>(method: M, args: ArgumentsOf<M>, options: TransportOptions): Promise<ResultOf<M>> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(new OpenCall(method, args, options, resolve, reject));
      this.#reconnect();
    });
  }

  #takeOver(calls: readonly OpenCall[], error: ShibuDbError): void {
    this.#link = undefined;
    for (const call of calls) {
      if (call.method === 'close' || this.#released) settleClosing(call, error);
      else if (!call.sent) this.#waiting.push(call);
      else if (!callsThatChangeNothing.has(call.method)) call.reject(outcomeUnknown(call, error));
      else if (this.#repeated.has(call)) call.reject(error);
      else {
        this.#repeated.add(call);
        this.#waiting.push(call);
      }
    }
    // At once, so that background work goes on; but not for one that dies again and again by itself.
    const lived = performance.now() - this.#since > quickDeathMs;
    if (this.#waiting.length > 0 || (lived && !this.#released)) this.#reconnect();
  }

  #reconnect(): void {
    this.#connecting ??= this.#replace().finally(() => {
      this.#connecting = undefined;
      // Lost again meanwhile.
      if (this.#waiting.length > 0 && this.#link === undefined) this.#reconnect();
    });
  }

  /** Never rejects: whoever waits is told. */
  async #replace(): Promise<void> {
    try {
      await this.#install();
      for (const call of this.#waiting.splice(0)) this.#link?.submit(call);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const error = shibuDbError(
        'WORKER_LOST',
        `The database's worker is gone and no other could open: ${reason}`,
        {
          cause,
        },
      );
      for (const call of this.#waiting.splice(0)) settleClosing(call, error);
    }
  }
}

/** What is to be closed and is gone is closed: the log has all that was acknowledged. */
function settleClosing({ method, resolve, reject }: OpenCall, error: ShibuDbError): void {
  if (method === 'close') resolve(undefined as never);
  else reject(error);
}

function outcomeUnknown({ method }: OpenCall, cause: ShibuDbError): ShibuDbError {
  return shibuDbError(
    'OUTCOME_UNKNOWN',
    `The worker was lost while ${method} was under way: it may have taken effect or not; look before you repeat it`,
    { cause, details: { method } },
  );
}
