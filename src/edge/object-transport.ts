/**
 * The transport of another Worker that reaches an object by RPC. An object may be moved, redeployed or reset at any time, and
 * every stub of it is dead then: the next call opens another session in the state of the one before.
 */

import { type ArgumentsOf, callsThatChangeNothing, type Method, type ResultOf } from '../api/calls.ts';
import { fromEnvelope } from '../api/error-envelope.ts';
import { isShibuDbError, shibuDbError } from '../api/errors.ts';
import { type InsertCall, insertInParts, needsParts } from '../client/insert-in-parts.ts';
import { SessionMemory } from '../client/session-state.ts';
import { takeOver } from '../client/take-over.ts';
import type { Transport, TransportOptions } from '../client/transport.ts';
import { valueBytesMax } from '../space/key-value-space.ts';
import type { Outcome } from './object-session.ts';
import { isShardMethod, type ShardCalls, type ShardMethod } from './sharding/shard-calls.ts';

/** Messages may have 32 MiB; a quarter leaves room for ids and metadata, and for others in the isolate. */
const partBytes = 8 * 1024 * 1024;

/** An `ObjectSession`, seen from outside. */
export interface RemoteSession extends Partial<Disposable> {
  call(id: number, method: Method | ShardMethod, args: object, onProgress?: unknown): Promise<Outcome>;
  cancel(id: number): Promise<void> | void;
}

/** The stub of a `ShibumiObject`, as its namespace's `get` gives it. */
export interface ObjectStub {
  openSession(): Promise<RemoteSession>;
}

export class ObjectTransport implements Transport {
  /** A new stub each time: one whose object was reset stays broken. */
  readonly #stub: () => ObjectStub;
  readonly #memory: SessionMemory = new SessionMemory();
  #session: Promise<RemoteSession> | undefined;
  /** Scans that are open in the session there is now. */
  readonly #scans: Set<number> = new Set();
  #lastId = 0;

  constructor(stub: () => ObjectStub) {
    this.#stub = stub;
  }

  async call<M extends Method>(
    method: M,
    passed: ArgumentsOf<M>,
    options: TransportOptions,
  ): Promise<ResultOf<M>> {
    if (method === 'insertVectors' && needsParts(passed as ArgumentsOf<'insertVectors'>, partBytes)) {
      const call: InsertCall = (part, rest) => this.call('insertVectors', part, rest);
      const bulk = passed as ArgumentsOf<'insertVectors'>;
      return (await insertInParts(call, bulk, { partBytes, inFlight: 1 }, options)) as ResultOf<M>;
    }
    // They may wait for a session, or be sent twice.
    const args = takeOver(passed, options.transfer);
    if (method === 'scanNext' && !this.#scans.has((args as ArgumentsOf<'scanNext'>).scan))
      throw shibuDbError('SNAPSHOT_LOST', 'The scan ended with the session that it was made in');
    const outcome = await this.#reach(method, args, options);
    if ('error' in outcome) throw fromEnvelope(outcome.error);
    this.#memory.note(method, args, outcome.value);
    if (method === 'scanOpen' || method === 'scanVectorsOpen') this.#scans.add(outcome.value as number);
    return outcome.value as ResultOf<M>;
  }

  /** A call to a shard: all of them can be repeated. */
  async shardCall<M extends ShardMethod>(method: M, args: ShardCalls[M][0]): Promise<ShardCalls[M][1]> {
    const outcome = await this.#reach(method, args, {});
    if ('error' in outcome) throw fromEnvelope(outcome.error);
    return outcome.value as ShardCalls[M][1];
  }

  release(): void {
    const session = this.#session;
    this.#session = undefined;
    session?.then((open) => open[Symbol.dispose]?.()).catch(() => {});
  }

  /** Asks once, and where that can do no harm once more. @throws BRIDGE_UNAVAILABLE, OUTCOME_UNKNOWN */
  async #reach(method: Method | ShardMethod, args: object, options: TransportOptions): Promise<Outcome> {
    for (let attempt = 1; ; attempt++) {
      let opened: RemoteSession;
      try {
        this.#session ??= this.#open();
        opened = await this.#session;
      } catch (error) {
        this.#forget();
        if (isShibuDbError(error)) throw error;
        if (attempt === 1) continue;
        throw shibuDbError('BRIDGE_UNAVAILABLE', `The object could not be reached: ${reasonOf(error)}`, {
          cause: error,
        });
      }
      try {
        return await this.#ask(opened, method, args, options);
      } catch (error) {
        // Not the object's fault, and nothing has happened.
        if (isTooLarge(error)) {
          throw shibuDbError(
            'INVALID_ARGUMENT',
            `${method} is too large for RPC: ${reasonOf(error)} Values may have ${valueBytesMax} bytes, the large ones over the bridge`,
          );
        }
        this.#forget();
        if (!isShardMethod(method) && !callsThatChangeNothing.has(method)) {
          throw shibuDbError(
            'OUTCOME_UNKNOWN',
            `${method} was sent and may have taken effect: ${reasonOf(error)}`,
            { cause: error },
          );
        }
        if (attempt === 2) {
          throw shibuDbError('BRIDGE_UNAVAILABLE', `The object gave no answer: ${reasonOf(error)}`, {
            cause: error,
          });
        }
      }
    }
  }

  async #open(): Promise<RemoteSession> {
    const session = await this.#stub().openSession();
    const { state } = this.#memory;
    if (state === undefined) return session;
    const outcome = await session.call(++this.#lastId, 'resumeSession', state);
    if ('error' in outcome) throw fromEnvelope(outcome.error);
    return session;
  }

  async #ask(
    session: RemoteSession,
    method: Method | ShardMethod,
    args: object,
    { signal, onProgress }: TransportOptions,
  ): Promise<Outcome> {
    const id = ++this.#lastId;
    const cancel = (): void => {
      Promise.resolve(session.cancel(id)).catch(() => {});
    };
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      return await session.call(id, method, args, onProgress);
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  #forget(): void {
    this.#session = undefined;
    this.#scans.clear();
  }
}

/** Workers' RPC says so by this text alone. */
function isTooLarge(error: unknown): boolean {
  return /^Serialized RPC arguments or return values are limited/.test(reasonOf(error));
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
