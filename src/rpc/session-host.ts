/** The worker's side: runs the requests of a session and hands out replies as they become ready. */

import * as Comlink from 'comlink';
import type { ArgumentsOf, CallContext, Method, PackedValues, ScanStep } from '../api/calls.ts';
import type { Value } from '../api/database.ts';
import { toEnvelope } from '../api/error-envelope.ts';
import { isShibuDbError, shibuDbError } from '../api/errors.ts';
import { nextTask } from '../base/next-task.ts';
import { unpackKeys } from '../base/packed-keys.ts';
import { unpackValues } from '../base/packed-values.ts';
import type { Message, Reply, Request } from './messages.ts';

/** What a host runs requests on: a session. */
export interface Callee {
  call(method: Method, args: never, context: CallContext): unknown;
  /** Takes the buffer of an answer back that the page has read. */
  giveBack?(buffer: ArrayBuffer): void;
}

export class SessionHost {
  readonly #callee: Callee;
  readonly #cancellations: Map<number, AbortController> = new Map();
  #ready: Reply[] = [];
  #waiting: ((replies: Reply[]) => void) | undefined;
  #flushing = false;

  constructor(callee: Callee) {
    this.#callee = callee;
  }

  exchange({ requests, cancels, spare = [] }: Message): Promise<Reply[]> {
    for (const buffer of spare) if (buffer instanceof ArrayBuffer) this.#callee.giveBack?.(buffer);
    for (const id of cancels)
      this.#cancellations.get(id)?.abort(shibuDbError('ABORTED', 'The call was aborted'));
    for (const request of requests) {
      const { id, method, args } = request;
      if (method === 'getEach' || method === 'putEach')
        this.#startRun(id, method, args as ArgumentsOf<'putEach'>);
      else this.#start(request);
    }
    // Only the newest message waits: an older one is answered with nothing and the page asks again if it needs to.
    this.#waiting?.(this.#take());
    const { promise, resolve } = Promise.withResolvers<Reply[]>();
    this.#waiting = resolve;
    this.#handOut();
    return promise;
  }

  #start({ id, method, args, progress }: Request): void {
    const controller = new AbortController();
    this.#cancellations.set(id, controller);
    const onProgress: CallContext['onProgress'] = progress
      ? (value) => this.#reply({ id, progress: value })
      : undefined;
    this.#run(
      method,
      args,
      { signal: controller.signal, onProgress },
      (value) => ({ id, value }),
      (error) => ({ id, error: toEnvelope(error) }),
      () => this.#cancellations.delete(id),
    );
  }

  /**
   * A run is tried as one call. If that is refused at once, each of its calls is made by itself, so that only those fail which
   * are at fault. If it fails later, all of them are told: what came after it has its place by then, and a put that was
   * tried again would come behind a later one of the same key (found by test/crash/simulation.ts).
   */
  #startRun(id: number, method: 'getEach' | 'putEach', args: ArgumentsOf<'putEach'>): void {
    let isApart = false;
    const refused = (error: unknown, settled: unknown = args): Reply | undefined => {
      if (!isShibuDbError(error) || error.code === 'INTERNAL') return { id, error: toEnvelope(error) };
      isApart = true;
      this.#startEach(id, method, settled as typeof args);
      return undefined;
    };
    const failed = (error: unknown): Reply | undefined => {
      if (isApart) return undefined;
      return method === 'getEach' ? refused(error) : { id, error: toEnvelope(error) };
    };
    this.#run(
      method,
      args,
      { onRefused: refused },
      (value) => ({ id, value }),
      failed,
      () => {},
      refused,
    );
  }

  #startEach(
    id: number,
    method: 'getEach' | 'putEach',
    { space, keys, packed, values }: ArgumentsOf<'putEach'> & ArgumentsOf<'getEach'>,
  ): void {
    const contents: readonly (Value | undefined)[] = method === 'putEach' ? unpackValues(values) : [];
    for (const [index, key] of (packed === undefined ? keys : unpackKeys(packed)).entries()) {
      const args = method === 'putEach' ? { space, key, value: contents[index] } : { space, key };
      this.#run(
        method === 'putEach' ? 'put' : 'get',
        args,
        {},
        (value) => ({ id, index, value }),
        (error) => ({ id, index, error: toEnvelope(error) }),
      );
    }
  }

  /** Makes a call and replies with what becomes of it: in this message where the answer is there at once. */
  #run(
    method: Method,
    args: unknown,
    context: CallContext,
    onValue: (value: unknown) => Reply,
    onError: (error: unknown) => Reply | undefined,
    onEnd: () => void = () => {},
    onRefusal: (error: unknown) => Reply | undefined = onError,
  ): void {
    try {
      const result = this.#callee.call(method, args as never, context);
      if (!(result instanceof Promise)) {
        onEnd();
        this.#ready.push(onValue(result));
        return;
      }
      result.then(
        (value: unknown) => {
          onEnd();
          this.#reply(onValue(value));
        },
        (error: unknown) => {
          onEnd();
          this.#reply(onError(error));
        },
      );
    } catch (error) {
      onEnd();
      const reply = onRefusal(error);
      if (reply !== undefined) this.#ready.push(reply);
    }
  }

  /** Answers that become ready in one turn (a group commit's, say) travel together. */
  #reply(reply: Reply | undefined): void {
    if (reply !== undefined) this.#ready.push(reply);
    if (this.#flushing) return;
    this.#flushing = true;
    nextTask().then(() => {
      this.#flushing = false;
      this.#handOut();
    });
  }

  #handOut(): void {
    if (this.#ready.length === 0 || this.#waiting === undefined) return;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting(this.#take());
  }

  /** Columns are handed over with the replies they belong to: nobody else has their buffers. */
  #take(): Reply[] {
    // A call that waited for its part of the script hears a moment later than those behind it, which were done after it.
    const replies = this.#ready.sort((a, b) => a.id - b.id);
    this.#ready = [];
    const buffers = buffersIn(replies);
    return buffers.length === 0 ? replies : Comlink.transfer(replies, buffers);
  }
}

/** The buffers that are handed over with replies. */
export function buffersIn(replies: readonly Reply[]): ArrayBuffer[] {
  return replies.flatMap((reply) => ('value' in reply ? buffersOf(reply.value) : []));
}

function buffersOf(value: unknown): ArrayBuffer[] {
  const { heads, columns } = (value ?? {}) as Partial<PackedValues & ScanStep<unknown>>;
  if (heads instanceof Uint32Array) return [heads.buffer];
  return columns === undefined ? [] : [columns.keys.heads.buffer];
}
