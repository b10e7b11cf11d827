/**
 * The client's side of a bridge: a register of open calls, and a connection that is made again when it breaks.
 *
 * Every call keeps its frame until it is settled. After a reconnect the session is asked for by its token: if it goes on, all
 * open calls are sent again under their ids, and the server, which knows them, runs each at most once. If it is gone (the
 * server was started anew, or the client was away too long), reads are sent again, and writes that may have arrived fail with
 * OUTCOME_UNKNOWN.
 *
 * A call settles in any case: with its answer, its deadline, or BRIDGE_UNAVAILABLE when there has been no connection for
 * `timeoutMs`. Attempts go on in the background until `release`.
 */

import {
  type ArgumentsOf,
  callsThatChangeNothing,
  callsThatReportPrefix,
  type Method,
  type ResultOf,
  type ScanStep,
  standingCalls,
} from '../../api/calls.ts';
import type { Progress } from '../../api/database.ts';
import { isShibuDbError, type ShibuDbError, shibuDbError } from '../../api/errors.ts';
import { type InsertCall, insertInParts, needsParts } from '../../client/insert-in-parts.ts';
import { OpenScans } from '../../client/open-scans.ts';
import { callsThatChangeSession, SessionMemory } from '../../client/session-state.ts';
import type { Transport, TransportOptions } from '../../client/transport.ts';
import { CallFlag, encodeFrame, type Frame, FrameType, setFlag, valuesOf } from '../protocol/frames.ts';
import { frameBytesMax, type Welcome } from '../protocol/hello.ts';
import { malformed } from '../protocol/value-reader.ts';
import { Backoff } from './backoff.ts';
import { Connection, errorIn, makeHello, unavailable } from './connection.ts';

/** A bulk insert of more bytes goes as calls that each fit a message, so that nothing is put together at the other end. */
const wholeBytes = 16 * 1024 * 1024;
/** Together no more than the window: the next one would wait for credit anyway. */
const parts = { partBytes: 896 * 1024, inFlight: 16 };

/** Who is calling. Used once: sessions go on by tokens, passwords are not kept. */
export type Credentials =
  | { readonly username: string; readonly password: string }
  | { readonly ticket: string };

export interface SocketTransportOptions {
  readonly url: string;
  readonly timeoutMs: number;
  /** Default `Math.random`: spreads the attempts to connect again. */
  readonly random?: () => number;
}

interface OpenCall {
  readonly method: Method;
  readonly frame: Uint8Array<ArrayBuffer>;
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
  readonly onProgress: ((progress: Progress) => void) | undefined;
  readonly stopListening: (() => void) | undefined;
  /** For `scanNext` and `scanClose`: which scan. */
  readonly scan: number | undefined;
  /** Of a call that changes the session: what it says. */
  readonly sessionArgs: ArgumentsOf<Method> | undefined;
  /** It may have reached the server: it was handed to a connection. */
  sent: boolean;
}

export class SocketTransport implements Transport {
  readonly #options: SocketTransportOptions;
  readonly #backoff: Backoff;
  /** In the order of their ids, which is the order in which they are to take effect. */
  readonly #open: Map<number, OpenCall> = new Map();
  readonly #scans: OpenScans = new OpenScans();
  #nextId = 1;
  #settledTold = 1;
  #connection: Connection | undefined;
  #connectedAt = 0;
  #session: { readonly session: string; readonly token: string } | undefined;
  /** What a new session begins with, should this one be lost. */
  readonly #memory: SessionMemory = new SessionMemory();
  /** Why nothing works any more. */
  #lost: ShibuDbError | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #patience: ReturnType<typeof setTimeout> | undefined;

  constructor(options: SocketTransportOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
  }

  /** The first connection; later ones are made when they are needed. One attempt. */
  async connect(credentials: Credentials | undefined): Promise<void> {
    await this.#attempt(credentials);
  }

  call<M extends Method>(method: M, args: ArgumentsOf<M>, options: TransportOptions): Promise<ResultOf<M>> {
    // What is gone need not be closed.
    if (method === 'close' && (this.#lost !== undefined || this.#connection === undefined))
      return Promise.resolve(undefined as ResultOf<M>);
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    if (method === 'scanClose' && this.#scans.isLost((args as ArgumentsOf<'scanClose'>).scan))
      return Promise.resolve(undefined as ResultOf<M>);
    if (method === 'insertVectors' && needsParts(args as ArgumentsOf<'insertVectors'>, wholeBytes)) {
      const call: InsertCall = (part, partOptions) => this.#callOnce('insertVectors', part, partOptions);
      const bulk = args as ArgumentsOf<'insertVectors'>;
      return insertInParts(call, bulk, parts, options) as Promise<ResultOf<M>>;
    }
    return this.#callOnce(method, args, options);
  }

  #callOnce<M extends Method>(
    method: M,
    args: ArgumentsOf<M>,
    options: TransportOptions,
  ): Promise<ResultOf<M>> {
    return new Promise<ResultOf<M>>((resolve, reject) => {
      const { signal, onProgress, transfer } = options;
      const id = this.#nextId++;
      const scan = scanOf(method, args);
      const told = scan === undefined ? args : { ...args, scan: this.#scans.serverNumberOf(scan) };
      const flags = onProgress === undefined ? 0 : CallFlag.Progress;
      const frame = encodeFrame(FrameType.Call, id, flags, method, told);
      if (frame.length > frameBytesMax) {
        throw shibuDbError(
          'INVALID_ARGUMENT',
          `The arguments of ${method} have ${frame.length} bytes, expected at most ${frameBytesMax} in one call`,
        );
      }
      // What was handed over has been copied into the frame; the caller's buffer is gone as promised.
      handOver(transfer ?? []);
      const onAbort = (): void => this.#cancel(id, signal?.reason);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#open.set(id, {
        method,
        frame,
        resolve,
        reject,
        onProgress,
        stopListening: signal === undefined ? undefined : () => signal.removeEventListener('abort', onAbort),
        scan,
        sessionArgs: callsThatChangeSession.has(method) ? args : undefined,
        sent: false,
      });
      if (this.#connection !== undefined) this.#sendCall(id);
      else this.#becomeImpatient();
    });
  }

  release(): void {
    this.#lose(shibuDbError('CLOSED', 'The database was closed'));
    this.#connection?.close();
    this.#connection = undefined;
  }

  #sendCall(id: number): void {
    const call = this.#open.get(id);
    if (call === undefined) return;
    call.sent = true;
    this.#connection?.push(call.frame, id);
    this.#tellSettled();
  }

  /** Lets the server forget the outcomes of calls that have been answered. */
  #tellSettled(): void {
    let lowest = this.#nextId;
    for (const [id, { method }] of this.#open) {
      if (standingCalls.has(method)) continue;
      lowest = id;
      break;
    }
    if (lowest === this.#settledTold) return;
    this.#settledTold = lowest;
    this.#connection?.control(encodeFrame(FrameType.Settled, lowest));
  }

  #cancel(id: number, reason: unknown): void {
    const call = this.#open.get(id);
    if (call === undefined) return;
    const unsent = this.#connection === undefined ? !call.sent : this.#connection.withdraw(id);
    if (!unsent) this.#connection?.control(encodeFrame(FrameType.Cancel, id));
    const answers = callsThatReportPrefix.has(call.method);
    if (answers && !unsent) return;
    this.#take(id);
    // Whoever called the others has been told already.
    if (answers) call.reject(neverSent(call.method, reason));
  }

  // --- answers ----------------------------------------------------------------------------------------------------

  #onFrame(frame: Frame): void {
    switch (frame.type) {
      case FrameType.Reply: {
        const call = this.#take(frame.id);
        const [value] = valuesOf(frame, 1);
        if (call === undefined) break;
        call.resolve(this.#noted(call, value) as never);
        break;
      }
      case FrameType.Error:
        this.#take(frame.id)?.reject(errorIn(frame));
        break;
      case FrameType.Progress: {
        const [progress] = valuesOf(frame, 1) as [Progress];
        this.#open.get(frame.id)?.onProgress?.(progress);
        break;
      }
      default:
        throw malformed(`type ${frame.type} is not expected from a server`);
    }
  }

  /** Keeps what must be known when the session is lost. Gives the answer as the caller is to get it. */
  #noted({ method, scan, sessionArgs }: OpenCall, value: unknown): unknown {
    if (method === 'scanOpen' || method === 'scanVectorsOpen') return this.#scans.opened(value as number);
    if (method === 'scanNext' && scan !== undefined) this.#scans.stepped(scan, value as ScanStep<unknown>);
    else if (method === 'scanClose' && scan !== undefined) this.#scans.closed(scan);
    else if (sessionArgs !== undefined) this.#memory.note(method, sessionArgs, value);
    return value;
  }

  #take(id: number): OpenCall | undefined {
    const call = this.#open.get(id);
    this.#open.delete(id);
    call?.stopListening?.();
    return call;
  }

  // --- connections ------------------------------------------------------------------------------------------------

  async #attempt(login?: Credentials): Promise<void> {
    const { url, timeoutMs } = this.#options;
    const resume = this.#session;
    const ticket = login !== undefined && 'ticket' in login ? login.ticket : undefined;
    const connection: Connection = await Connection.open({
      url,
      hello: makeHello({
        ...(login !== undefined && 'password' in login ? { credentials: login } : {}),
        ...(resume === undefined ? {} : { resume, state: this.#memory.state ?? {} }),
      }),
      ticket,
      timeoutMs,
      onFrame: (frame) => this.#onFrame(frame),
      onEnd: (error) => this.#onEnd(connection, error),
    });
    if (this.#lost !== undefined) {
      connection.close();
      return;
    }
    this.#begin(connection, connection.welcome);
  }

  #begin(connection: Connection, { resumed, session, token, userToken }: Welcome): void {
    const isFirst = this.#session === undefined;
    this.#connection = connection;
    this.#connectedAt = Date.now();
    this.#session = { session, token };
    if (userToken !== undefined) this.#memory.signedIn(userToken);
    clearTimeout(this.#patience);
    this.#patience = undefined;
    this.#settledTold = 0;
    if (!resumed && !isFirst) this.#giveUpLost();
    for (const [id, call] of this.#open) {
      if (call.sent) setFlag(call.frame, CallFlag.Again);
      this.#sendCall(id);
    }
  }

  /** The session is gone, and with it what the server knew: scans, and the outcomes of writes. */
  #giveUpLost(): void {
    for (const [id, call] of [...this.#open]) {
      if (call.scan !== undefined) {
        this.#take(id)?.reject(this.#scans.lostError(call.scan));
      } else if (call.sent && !canRepeat(call.method)) {
        this.#take(id)?.reject(
          shibuDbError(
            'OUTCOME_UNKNOWN',
            `${call.method} was sent, and the session ended before its answer came: it may have taken effect`,
          ),
        );
      }
    }
    this.#scans.loseAll();
  }

  #onEnd(connection: Connection, error: ShibuDbError): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.#backoff.ended(Date.now() - this.#connectedAt);
    if (isFinal(error)) this.#lose(error);
    else this.#tryAgain();
  }

  #tryAgain(): void {
    if (this.#open.size > 0) this.#becomeImpatient();
    this.#retry = setTimeout(() => {
      this.#attempt().catch((error: ShibuDbError) => {
        if (this.#lost !== undefined) return;
        if (isFinal(error)) this.#lose(error);
        else this.#tryAgain();
      });
    }, this.#backoff.next());
  }

  /** From the first moment that a call waits for a connection, it waits no longer than `timeoutMs`. */
  #becomeImpatient(): void {
    const { url, timeoutMs } = this.#options;
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined;
      if (this.#connection !== undefined) return;
      const gone = unavailable(url, `there has been none for ${timeoutMs} ms`);
      for (const [id, { method, sent }] of [...this.#open]) {
        const unknown = sent && !canRepeat(method);
        this.#take(id)?.reject(
          unknown
            ? shibuDbError('OUTCOME_UNKNOWN', `${method} was sent and may have taken effect. ${gone.message}`)
            : gone,
        );
      }
    }, timeoutMs);
  }

  #lose(error: ShibuDbError): void {
    this.#lost ??= error;
    clearTimeout(this.#retry);
    clearTimeout(this.#patience);
    for (const id of [...this.#open.keys()]) {
      const call = this.#take(id);
      if (call?.method === 'close') call.resolve(undefined as never);
      else call?.reject(this.#lost);
    }
  }
}

/** The scan that a call goes on with, by the client's number. */
function scanOf(method: Method, args: ArgumentsOf<Method>): number | undefined {
  return method === 'scanNext' || method === 'scanClose' ? (args as ArgumentsOf<'scanNext'>).scan : undefined;
}

/** Choosing a space and signing in change nothing but the session, which is a new one. */
function canRepeat(method: Method): boolean {
  return method === 'useSpace' || method === 'authenticate' || callsThatChangeNothing.has(method);
}

/** What trying again cannot mend. */
function isFinal({ code }: ShibuDbError): boolean {
  return code !== 'BRIDGE_UNAVAILABLE' && code !== 'TIMEOUT' && code !== 'RATE_LIMITED';
}

function neverSent(method: Method, reason: unknown): ShibuDbError {
  const code = isShibuDbError(reason) ? reason.code : 'ABORTED';
  return shibuDbError(code, `${method} was given up before it was sent`, {
    details: { acknowledged: 0 },
    cause: reason,
  });
}

function handOver(buffers: readonly ArrayBuffer[]): void {
  try {
    for (const buffer of buffers) buffer.transfer(0);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw shibuDbError('INVALID_ARGUMENT', `The arguments cannot be handed over: ${reason}`);
  }
}
