/**
 * A connection to a session elsewhere: packs the calls of a tick into one message and keeps a register of open calls. Every
 * one of them settles: with its reply, or by being handed back to whoever made the connection when that is lost.
 */

import * as Comlink from 'comlink';
import type { ArgumentsOf, Method } from '../api/calls.ts';
import type { Progress } from '../api/database.ts';
import { fromEnvelope } from '../api/error-envelope.ts';
import { shibuDbError } from '../api/errors.ts';
import type { TransportOptions } from '../client/transport.ts';
import type { Message, Reply, Request } from './messages.ts';

/** A call on its way. Whoever gets it back unanswered may submit it to another connection. */
export class OpenCall {
  readonly method: Method;
  readonly args: ArgumentsOf<Method>;
  readonly options: TransportOptions;
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
  /** Whether it was posted: what runs it may have begun. */
  sent = false;
  /** How far it has come, when the caller asked. */
  progress: Progress | undefined;
  stopListening: (() => void) | undefined;

  constructor(
    method: Method,
    args: ArgumentsOf<Method>,
    options: TransportOptions,
    resolve: (value: never) => void,
    reject: (error: Error) => void,
  ) {
    this.method = method;
    this.args = args;
    this.options = options;
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** Carries a message there and resolves with the replies that are ready by then. */
export type Exchange = (message: Message, transfer: readonly ArrayBuffer[]) => Promise<readonly Reply[]>;

interface Outgoing {
  readonly request: Request;
  readonly transfer: readonly ArrayBuffer[];
}

export class Connection {
  readonly #exchange: Exchange;
  readonly #open: Map<number, OpenCall> = new Map();
  #nextId = 1;
  #outgoing: number[] = [];
  #cancels: number[] = [];
  #scheduled = false;
  #exchanging = 0;
  #lost = false;
  /** Called for a call that its owner refused because it is none any more: nothing of it was done. */
  readonly #onRefused: (call: OpenCall) => void;

  constructor(exchange: Exchange, onRefused: (call: OpenCall) => void = rejectRefused) {
    this.#exchange = exchange;
    this.#onRefused = onRefused;
  }

  /** Calls that are not answered yet. */
  get openCalls(): number {
    return this.#open.size;
  }

  /** Requires: the connection is not lost. */
  submit(call: OpenCall): void {
    const id = this.#nextId++;
    const { signal } = call.options;
    if (signal !== undefined) {
      const onAbort = (): void => this.#cancel(id);
      signal.addEventListener('abort', onAbort, { once: true });
      call.stopListening = () => signal.removeEventListener('abort', onAbort);
    }
    call.sent = false;
    this.#open.set(id, call);
    this.#outgoing.push(id);
    this.#schedule();
  }

  /** Ends the connection and hands back, in order, every call that was not answered. Replies that come later are dropped. */
  lose(): OpenCall[] {
    this.#lost = true;
    return [...this.#open.keys()].map((id) => this.#take(id) as OpenCall);
  }

  #cancel(id: number): void {
    this.#cancels.push(id);
    this.#schedule();
  }

  /** What is called until the current turn ends goes out in one message. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#send();
    });
  }

  #send(): void {
    if (this.#lost) return;
    const outgoing = this.#outgoing.flatMap((id) => this.#requestOf(id));
    const cancels = this.#cancels;
    this.#outgoing = [];
    this.#cancels = [];
    this.#post(outgoing, cancels);
  }

  #requestOf(id: number): Outgoing[] {
    const call = this.#open.get(id);
    if (call === undefined) return [];
    call.sent = true;
    const { method, args, options } = call;
    const request: Request = { id, method, args, progress: options.onProgress !== undefined };
    return [{ request, transfer: options.transfer ?? [] }];
  }

  #post(outgoing: readonly Outgoing[], cancels: readonly number[]): void {
    const message: Message = { requests: outgoing.map(({ request }) => request), cancels };
    const transfer = outgoing.flatMap((call) => call.transfer);
    this.#exchanging++;
    this.#exchange(message, transfer).then(
      (replies) => {
        this.#exchanging--;
        for (const reply of replies) this.#settle(reply);
        // Somebody still waits and no message does: ask for what becomes ready later.
        if (this.#open.size > 0 && this.#exchanging === 0 && !this.#scheduled) this.#send();
      },
      (error: unknown) => {
        this.#exchanging--;
        this.#refuse(outgoing, cancels, error);
      },
    );
  }

  /** The message could not travel: something in it cannot be cloned. Only the call whose argument that is fails. */
  #refuse(outgoing: readonly Outgoing[], cancels: readonly number[], error: unknown): void {
    if (outgoing.length > 1 && error instanceof DOMException && error.name === 'DataCloneError') {
      // Nothing of it was sent, so each may be sent again by itself.
      this.#post([], cancels);
      for (const call of outgoing) this.#post([call], []);
      return;
    }
    const reason = error instanceof Error ? error.message : String(error);
    for (const { request } of outgoing) {
      this.#take(request.id)?.reject(
        shibuDbError(
          'INVALID_ARGUMENT',
          `The arguments of ${request.method} cannot be sent to the worker: ${reason}`,
        ),
      );
    }
    if (this.#open.size > 0) this.#schedule();
  }

  #settle(reply: Reply): void {
    if ('progress' in reply) {
      const call = this.#open.get(reply.id);
      if (call !== undefined) call.progress = reply.progress;
      call?.options.onProgress?.(reply.progress);
      return;
    }
    const call = this.#take(reply.id);
    if (call === undefined) return;
    if (!('error' in reply)) call.resolve(reply.value as never);
    else if (reply.error.code === 'NOT_OWNER') this.#onRefused(call);
    else call.reject(fromEnvelope(reply.error));
  }

  #take(id: number): OpenCall | undefined {
    const call = this.#open.get(id);
    this.#open.delete(id);
    call?.stopListening?.();
    return call;
  }
}

function rejectRefused(call: OpenCall): void {
  call.reject(shibuDbError('NOT_OWNER', `${call.method} was refused: another took the database over`));
}

/** The exchange of an endpoint that offers it over Comlink. */
export function exchangeWith(
  remote: Pick<Comlink.Remote<{ exchange(message: Message): Promise<Reply[]> }>, 'exchange'>,
): Exchange {
  return (message, transfer) =>
    remote.exchange(transfer.length === 0 ? message : Comlink.transfer(message, [...transfer]));
}
