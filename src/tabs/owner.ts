/**
 * The engine of a worker that owns the database, and the sessions of all tabs on it.
 *
 * A worker may be stopped at any point and for any time (a frozen tab) and meanwhile lose the database. What it writes then
 * is refused by the fence; what it answers from memory is guarded here:
 *
 *   No reply leaves before it is certain that nobody else could have acknowledged anything when it was computed: either the
 *   database was confirmed to be ours after that moment, or it was less than `leaseMs` before.
 *
 * Whoever takes the database by force waits `leaseMs` after raising the epoch before it answers (tab-worker.ts). Every write
 * confirms, so only an owner that has written nothing for a while reads the epoch before it answers: 1 ms or so, once a
 * second. This is the lease of Gray & Cheriton (SOSP 1989) with the epoch in place of the server.
 */

import * as Comlink from 'comlink';
import {
  type ArgumentsOf,
  type CallContext,
  callsThatChangeNothing,
  type Method,
  standingCalls,
} from '../api/calls.ts';
import { isShibuDbError, type ShibuDbError, shibuDbError } from '../api/errors.ts';
import { nextTask } from '../base/next-task.ts';
import type { DatabaseEngine } from '../engine/database-engine.ts';
import { Session } from '../engine/session.ts';
import type { Message, Reply } from '../rpc/messages.ts';
import { buffersIn, SessionHost } from '../rpc/session-host.ts';
import type { Answer, SessionEndpoint } from './messages.ts';

/** How long a confirmed owner may answer without looking again. */
export const leaseMs = 1000;

/** How long a closed session can still be heard: its last answer is on its way. */
const lingerMs = 1000;

/** What the owner needs of its storage. */
export interface OwnedStorage {
  readonly epoch: number;
  readonly identity: string;
  readonly confirmedAtMs: number;
  /** @throws NOT_OWNER */
  confirm(): Promise<void>;
}

export interface OwnedDatabase {
  readonly engine: DatabaseEngine;
  readonly storage: OwnedStorage;
}

export class Owner {
  readonly #database: OwnedDatabase;
  readonly #sessions: Set<OwnedSession> = new Set();
  #confirming: Promise<void> | undefined;
  #ending: Promise<void> | undefined;
  /** No call is begun any more. */
  refusing = false;
  /** No reply leaves any more, save refusals. */
  isOver = false;

  constructor(database: OwnedDatabase) {
    this.#database = database;
  }

  get epoch(): number {
    return this.#database.storage.epoch;
  }

  get identity(): string {
    return this.#database.storage.identity;
  }

  /** There when the database is encrypted. */
  get encryption(): DatabaseEngine['encryption'] {
    return this.#database.engine.encryption;
  }

  /** `onClose` runs when the client closes its database. */
  session(onClose: () => Promise<void> = async () => {}): OwnedSession {
    const session = new OwnedSession(this, new Session(this.#database.engine, onClose));
    this.#sessions.add(session);
    return session;
  }

  forget(session: OwnedSession): void {
    this.#sessions.delete(session);
  }

  /**
   * Resolves when what was computed before the call may be told, or when it is clear that it may not: then the owner is over.
   */
  confirmed(): Promise<void> | undefined {
    const { storage } = this.#database;
    const atMs = performance.now();
    const ageMs = atMs - storage.confirmedAtMs;
    // Ahead of time, so that a busy owner never waits for it.
    if (ageMs > leaseMs / 2) this.#confirm();
    return ageMs < leaseMs ? undefined : this.#waitForConfirmation(atMs);
  }

  async #waitForConfirmation(atMs: number): Promise<void> {
    const { storage } = this.#database;
    while (!this.isOver) {
      await this.#confirm();
      if (storage.confirmedAtMs >= atMs || performance.now() < storage.confirmedAtMs + leaseMs) return;
    }
  }

  /** Looks at once: somebody says that it owns the database. */
  confirmNow(): void {
    this.#confirm();
  }

  #confirm(): Promise<void> {
    // Whatever the reason: who cannot make sure may not answer.
    this.#confirming ??= this.#database.storage
      .confirm()
      .catch(() => this.abandon())
      .finally(() => {
        this.#confirming = undefined;
      });
    return this.#confirming;
  }

  /** Finishes what was accepted and closes the engine; every other call is refused, to be made to the next owner. */
  handOver(): Promise<void> {
    this.refusing = true;
    this.#ending ??= this.#handOver();
    return this.#ending;
  }

  async #handOver(): Promise<void> {
    await this.#database.engine.close();
    while (!this.isOver && [...this.#sessions].some((session) => session.running > 0)) await nextTask();
    // The last replies are on their way in the task after the one that made them.
    await nextTask();
    await nextTask();
    this.#end();
    await nextTask();
  }

  #end(): void {
    this.isOver = true;
    for (const session of this.#sessions) session.wake();
  }

  /** Ends without another word: somebody else owns the database, or its storage is gone. */
  abandon(): void {
    this.refusing = true;
    this.#end();
    // It writes nothing any more, whatever it tries.
    this.#ending ??= this.#database.engine.close().catch(() => {});
  }
}

/** One client's session, as it is reached through its endpoint. */
export class OwnedSession implements SessionEndpoint {
  readonly #owner: Owner;
  readonly #session: Session;
  readonly #host: SessionHost;
  /** Ends the exchanges that wait for replies. */
  readonly #wakers: Set<(replies: Reply[]) => void> = new Set();
  /** Calls under way, but for `close`, which itself may wait for all others, and those that stand open. */
  running = 0;
  readonly #writes: Set<Promise<unknown>> = new Set();
  onEnd: () => void = () => {};

  constructor(owner: Owner, session: Session) {
    this.#owner = owner;
    this.#session = session;
    this.#host = new SessionHost(this);
  }

  ping(): Promise<number> {
    return Promise.resolve(this.#owner.epoch);
  }

  giveBack(buffer: ArrayBuffer): void {
    this.#session.giveBack(buffer);
  }

  async exchange(message: Message): Promise<Answer> {
    const { epoch } = this.#owner;
    if (this.#owner.isOver)
      return { epoch, replies: message.requests.map(({ id }) => refusalOf(id)), gone: true };
    const replies = await this.#repliesTo(message);
    if (replies.length > 0) await this.#owner.confirmed();
    // What is refused was not done, and that stays true. Anything else may be stale: somebody else may own the database.
    if (this.#owner.isOver) return { epoch, replies: replies.filter(isRefusal), gone: true };
    const answer: Answer = { epoch, replies, gone: false };
    const buffers = buffersIn(replies);
    return buffers.length === 0 ? answer : Comlink.transfer(answer, buffers);
  }

  /** The replies that are ready first, or none when the owner is over. */
  #repliesTo(message: Message): Promise<Reply[]> {
    return new Promise((resolve) => {
      this.#wakers.add(resolve);
      this.#host.exchange(message).then((replies) => {
        this.#wakers.delete(resolve);
        resolve(replies);
      });
    });
  }

  wake(): void {
    for (const waker of this.#wakers) waker([]);
    this.#wakers.clear();
  }

  /** Runs a call of the client: what the host calls. */
  call(method: Method, args: never, context: CallContext): unknown {
    if (method === 'close') return this.#close();
    if (this.#owner.refusing) throw refusal(method);
    const result = this.#session.call(method, args as ArgumentsOf<Method>, context);
    if (!(result instanceof Promise) || standingCalls.has(method)) return result;
    this.running++;
    const answer = result.then(
      (value) => {
        this.running--;
        return value;
      },
      (error: unknown) => {
        this.running--;
        throw interrupted(method, error, this.#owner.refusing);
      },
    );
    if (!callsThatChangeNothing.has(method)) this.#noteWrite(answer);
    return answer;
  }

  #noteWrite(answer: Promise<unknown>): void {
    this.#writes.add(answer);
    const forget = (): void => {
      this.#writes.delete(answer);
    };
    answer.then(forget, forget);
  }

  /** Ends the session when what it accepted is done: the engine lives on, so nothing else would wait for that. */
  async #close(): Promise<void> {
    await Promise.allSettled(this.#writes);
    setTimeout(() => this.end(), lingerMs);
    await this.#session.call('close', {}, {});
  }

  /** The client is gone. */
  end(): void {
    this.#owner.forget(this);
    this.onEnd();
    this.onEnd = () => {};
    this.#session.close().catch(() => {});
  }
}

/** What a call that ended with the engine tells: nothing was done, or how much of it was. */
function interrupted(method: Method, error: unknown, refusing: boolean): unknown {
  if (!isShibuDbError(error)) return error;
  if (error.code !== 'NOT_OWNER' && !(error.code === 'CLOSED' && refusing)) return error;
  const acknowledged = error.details.acknowledged;
  if (acknowledged === undefined || acknowledged === 0) return refusal(method);
  return shibuDbError(
    'OUTCOME_UNKNOWN',
    `The owner of the database changed during ${method}: ${error.message}`,
    {
      details: error.details,
    },
  );
}

function refusal(method: string): ShibuDbError {
  return shibuDbError('NOT_OWNER', `${method} was not begun: this worker does not own the database any more`);
}

function refusalOf(id: number): Reply {
  return {
    id,
    error: {
      code: 'NOT_OWNER',
      message: 'This worker does not own the database any more',
      details: {},
      stack: undefined,
    },
  };
}

function isRefusal(reply: Reply): boolean {
  return 'error' in reply && reply.error.code === 'NOT_OWNER';
}
