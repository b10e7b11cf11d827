/** The worker's side: runs the requests of a session and hands out replies as they become ready. */

import type { CallContext, Method } from '../api/calls.ts';
import { toEnvelope } from '../api/error-envelope.ts';
import { shibuDbError } from '../api/errors.ts';
import { nextTask } from '../base/next-task.ts';
import type { Message, Reply, Request } from './messages.ts';

/** What a host runs requests on: a session. */
export interface Callee {
  call(method: Method, args: never, context: CallContext): unknown;
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

  exchange({ requests, cancels }: Message): Promise<Reply[]> {
    for (const id of cancels)
      this.#cancellations.get(id)?.abort(shibuDbError('ABORTED', 'The call was aborted'));
    for (const request of requests) this.#start(request);
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
    try {
      const result = this.#callee.call(method, args as never, { signal: controller.signal, onProgress });
      if (!(result instanceof Promise)) {
        this.#end(id);
        this.#ready.push({ id, value: result });
        return;
      }
      result.then(
        (value: unknown) => {
          this.#end(id);
          this.#reply({ id, value });
        },
        (error: unknown) => {
          this.#end(id);
          this.#reply({ id, error: toEnvelope(error) });
        },
      );
    } catch (error) {
      this.#end(id);
      this.#ready.push({ id, error: toEnvelope(error) });
    }
  }

  #end(id: number): void {
    this.#cancellations.delete(id);
  }

  /** Answers that become ready in one turn (a group commit's, say) travel together. */
  #reply(reply: Reply): void {
    this.#ready.push(reply);
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

  #take(): Reply[] {
    const replies = this.#ready;
    this.#ready = [];
    return replies;
  }
}
