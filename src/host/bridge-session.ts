/**
 * A client's session at the server. It outlives connections: a client that comes back with its token finds its user, space
 * and scans, and the outcomes of the calls whose answers it did not get. So a call that is sent twice runs once:
 *
 *   still running      its answer goes to the newest connection
 *   outcome is kept    it is sent again
 *   neither            the call never arrived, or changes nothing: it is run
 *
 * Outcomes of calls that change something are kept until the client says that it has them, within a budget; a call whose
 * outcome was dropped fails with OUTCOME_UNKNOWN when it is sent again.
 */

import {
  type ArgumentsOf,
  assertOverNetwork,
  type CallContext,
  callsThatChangeNothing,
  type Method,
  type SessionState,
  type SignedIn,
} from '../api/calls.ts';
import { type ErrorEnvelope, toEnvelope } from '../api/error-envelope.ts';
import { type ShibuDbError, shibuDbError } from '../api/errors.ts';
import { shown } from '../base/arguments.ts';
import { CallFlag, encodeFrame, type Frame, FrameType, valuesOf } from '../bridge/protocol/frames.ts';
import { frameBytesMax } from '../bridge/protocol/hello.ts';
import { SessionMemory } from '../client/session-state.ts';
import { type Callee, isShutOut } from './source.ts';

/** Where answers go: the newest connection of the client. */
export interface AnswerSink {
  push(frame: Uint8Array<ArrayBuffer>, id: number): void;
  /** Says why, and ends. */
  refuse(error: ShibuDbError): void;
}

export interface CallObserver {
  /** Throws to refuse a call of `user`, as far as that is known. */
  admit(method: Method, user: string | undefined): void;
  finished(method: Method, code: string | undefined, startedAt: number): void;
}

/** A session between two calls, as plain data: enough to go on with it in another memory, but for its scans. */
export interface SessionAtRest {
  readonly id: string;
  readonly state: SessionState | undefined;
  /** The last call there was: of earlier ones that come again the outcome is not known any more. */
  readonly lastCall: number;
}

interface RunningCall {
  readonly method: Method;
  readonly controller: AbortController;
  readonly settled: Promise<void>;
}

/**
 * Calls on scans change nothing that lasts, but the session: opening one twice would leave one behind, and a step that is
 * taken twice would leave out what the first one gave.
 */
const scanCalls: ReadonlySet<Method> = new Set<Method>(['scanOpen', 'scanVectorsOpen', 'scanNext']);

const runningMax = 65_536;
const outcomeBytesMax = 16 * 1024 * 1024;

export class BridgeSession {
  readonly id: string;
  readonly #callee: Callee;
  readonly #observer: CallObserver;
  readonly #running: Map<number, RunningCall> = new Map();
  readonly #outcomes: Map<number, Uint8Array<ArrayBuffer>> = new Map();
  /** Calls whose outcome there was no room for. */
  readonly #forgotten: Set<number> = new Set();
  #outcomeBytes = 0;
  #sink: AnswerSink | undefined;
  #ended: Promise<void> | undefined;
  /** Who is signed in, for limits: what they may do is the engine's business. */
  #user: string | undefined;
  readonly #memory: SessionMemory = new SessionMemory();
  #lastCall = 0;
  /** Calls up to here were answered in another memory. */
  #answeredBefore = 0;

  constructor(id: string, callee: Callee, observer: CallObserver) {
    this.id = id;
    this.#callee = callee;
    this.#observer = observer;
  }

  /** `undefined` while a call is running, or after the end. */
  get atRest(): SessionAtRest | undefined {
    if (this.#running.size > 0 || this.isEnded) return undefined;
    return { id: this.id, state: this.#memory.state, lastCall: this.#lastCall };
  }

  /** Becomes what another one was. @throws NOT_AUTHENTICATED */
  async resume({ state, lastCall }: SessionAtRest): Promise<void> {
    this.#lastCall = lastCall;
    this.#answeredBefore = lastCall;
    if (state !== undefined) await this.resumeState(state);
  }

  get isEnded(): boolean {
    return this.#ended !== undefined;
  }

  /** Answers go to `sink` from now on. */
  attach(sink: AnswerSink): void {
    this.#sink = sink;
  }

  /** The client is away; what is answered meanwhile is kept, or run again when it comes back. */
  detach(sink: AnswerSink): void {
    if (this.#sink === sink) this.#sink = undefined;
  }

  isAttached(): boolean {
    return this.#sink !== undefined;
  }

  /** Signs in with a hello. @throws INVALID_CREDENTIALS, NO_USERS, TOO_MANY_ATTEMPTS */
  async signIn(credentials: { readonly username: string; readonly password: string }): Promise<SignedIn> {
    const signedIn = (await this.#callee.call('authenticate', credentials as never, {})) as SignedIn;
    this.#user = signedIn.user.username;
    this.#memory.note('authenticate', credentials, signedIn);
    return signedIn;
  }

  /** Begins where a session that is gone stood. @throws NOT_AUTHENTICATED for a token that is not good any more */
  async resumeState(state: SessionState): Promise<SignedIn | undefined> {
    const signedIn = (await this.#callee.call('resumeSession', state as never, {})) as SignedIn | undefined;
    this.#user = signedIn?.user.username;
    this.#memory.note('resumeSession', state, signedIn);
    return signedIn;
  }

  /**
   * Starts the call of a frame. `done` runs once it is worked off, at once where it need not be run.
   * @throws PROTOCOL_ERROR
   */
  start(frame: Frame, done: () => void): void {
    const { id, flags } = frame;
    const outcome = this.#outcomes.get(id);
    if (outcome !== undefined) this.#sink?.push(outcome, id);
    if (outcome !== undefined || this.#running.has(id)) {
      done();
      return;
    }
    const [name, args] = valuesOf(frame, 2, { inPlace: true });
    if (typeof name !== 'string' || typeof args !== 'object' || args === null) {
      throw shibuDbError(
        'PROTOCOL_ERROR',
        `Got ${shown(name)} with ${shown(args)}, expected a method and its arguments`,
      );
    }
    const method = name as Method;
    const startedAt = performance.now();
    const fail = (error: unknown): void => {
      const envelope = { ...toEnvelope(error), stack: undefined } satisfies ErrorEnvelope;
      this.#observer.finished(method, envelope.code, startedAt);
      this.#answer(id, method, encodeFrame(FrameType.Error, id, 0, envelope));
      done();
    };
    const succeed = (value: unknown): void => {
      this.#observer.finished(method, undefined, startedAt);
      if (method === 'authenticate' || method === 'resumeSession')
        this.#user = (value as SignedIn | undefined)?.user.username;
      this.#memory.note(method, args as never, value);
      this.#answer(id, method, replyFrame(id, method, value));
      done();
    };
    try {
      this.#check(id, method);
      this.#lastCall = Math.max(this.#lastCall, id);
      this.#observer.admit(method, this.#user);
      const result = method === 'close' ? this.end() : this.#run(id, method, args, flags);
      if (result instanceof Promise) result.then(succeed, fail);
      else succeed(result);
    } catch (error) {
      fail(error);
    }
  }

  #check(id: number, method: Method): void {
    assertOverNetwork(method);
    const isOld = id <= this.#answeredBefore && !callsThatChangeNothing.has(method);
    if (isOld || this.#forgotten.has(id))
      throw shibuDbError(
        'OUTCOME_UNKNOWN',
        'The outcome of this call is not known any more: it may have taken effect',
      );
    if (this.#running.size >= runningMax)
      throw shibuDbError(
        'RATE_LIMITED',
        `${runningMax} calls are under way already, the most a session may have`,
      );
  }

  #run(id: number, method: Method, args: object, flags: number): unknown {
    const controller = new AbortController();
    const context: CallContext = {
      signal: controller.signal,
      onProgress:
        (flags & CallFlag.Progress) === 0
          ? undefined
          : (progress) => this.#sink?.push(encodeFrame(FrameType.Progress, id, 0, progress), id),
    };
    const result = this.#callee.call(method, args as never, context);
    if (!(result instanceof Promise)) return result;
    const { promise: settled, resolve } = Promise.withResolvers<void>();
    this.#running.set(id, { method, controller, settled });
    return result.finally(() => {
      this.#running.delete(id);
      resolve();
    });
  }

  cancel(id: number): void {
    this.#running.get(id)?.controller.abort(shibuDbError('ABORTED', 'The call was aborted'));
  }

  /** Whether whoever was signed in is not let in any more. */
  async isRevoked(): Promise<boolean> {
    return this.#user !== undefined && !this.isEnded && (await isShutOut(this.#callee));
  }

  /** Tells the client that its user is let in no more. */
  revoke(): void {
    this.#sink?.refuse(
      shibuDbError('NOT_AUTHENTICATED', 'The session has ended: the user was deleted or has a new password'),
    );
  }

  /** The client withdrew a call while it was being sent. */
  refuse(id: number): void {
    const error = shibuDbError('ABORTED', 'The call was aborted before it had arrived', {
      details: { acknowledged: 0 },
    });
    this.#sink?.push(encodeFrame(FrameType.Error, id, 0, { ...toEnvelope(error), stack: undefined }), id);
  }

  /** The client has the answers of all calls below `id`. */
  settle(id: number): void {
    for (const [kept, frame] of this.#outcomes) {
      if (kept >= id) continue;
      this.#outcomes.delete(kept);
      this.#outcomeBytes -= frame.length;
    }
    for (const forgotten of this.#forgotten) if (forgotten < id) this.#forgotten.delete(forgotten);
  }

  /** Ends the session: what was accepted is finished, all else given up. May be called twice. */
  end(): Promise<void> {
    this.#ended ??= this.#finish().then(() => {});
    return this.#ended;
  }

  async #finish(): Promise<undefined> {
    const changing = [...this.#running.values()].filter(({ method }) => !callsThatChangeNothing.has(method));
    await Promise.all(changing.map(({ settled }) => settled));
    await this.#callee.call('close', {} satisfies ArgumentsOf<'close'> as never, {});
    const closed = shibuDbError('CLOSED', 'The database was closed');
    for (const { controller } of this.#running.values()) controller.abort(closed);
  }

  #answer(id: number, method: Method, frame: Uint8Array<ArrayBuffer>): void {
    this.#sink?.push(frame, id);
    if (callsThatChangeNothing.has(method) && !scanCalls.has(method)) return;
    this.#outcomes.set(id, frame);
    this.#outcomeBytes += frame.length;
    for (const [oldest, { length }] of this.#outcomes) {
      if (this.#outcomeBytes <= outcomeBytesMax) break;
      this.#outcomes.delete(oldest);
      this.#outcomeBytes -= length;
      this.#forgotten.add(oldest);
    }
  }
}

function replyFrame(id: number, method: Method, value: unknown): Uint8Array<ArrayBuffer> {
  const frame = encodeFrame(FrameType.Reply, id, 0, value);
  if (frame.length <= frameBytesMax) return frame;
  const error = shibuDbError(
    'INVALID_ARGUMENT',
    `The answer of ${method} has ${frame.length} bytes, expected at most ${frameBytesMax}: ask for less at a time`,
  );
  return encodeFrame(FrameType.Error, id, 0, { ...toEnvelope(error), stack: undefined });
}
