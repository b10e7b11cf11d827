/**
 * The page's side: packs the calls of a tick into one message, keeps a register of open calls, and makes sure that every
 * one of them settles: with its reply, or with WORKER_LOST when the worker is gone.
 */

import * as Comlink from 'comlink';
import type { ArgumentsOf, Method, ResultOf } from '../api/calls.ts';
import type { Progress } from '../api/database.ts';
import { type ShibuDbError, shibuDbError } from '../api/errors.ts';
import type { Transport, TransportOptions } from '../client/transport.ts';
import { fromEnvelope, type Message, type Reply, type Request, type WorkerEndpoint } from './messages.ts';

interface OpenCall {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
  readonly onProgress: ((progress: Progress) => void) | undefined;
  readonly stopListening: (() => void) | undefined;
}

/** A request and the buffers that go with it. */
interface Outgoing {
  readonly request: Request;
  readonly transfer: readonly ArrayBuffer[];
}

export class WorkerTransport implements Transport {
  readonly #worker: Worker;
  readonly #remote: Comlink.Remote<WorkerEndpoint>;
  readonly #open: Map<number, OpenCall> = new Map();
  #nextId = 1;
  #outgoing: Outgoing[] = [];
  #cancels: number[] = [];
  #scheduled = false;
  #exchanging = 0;
  #lost: ShibuDbError | undefined;
  readonly #onLost: ((error: ShibuDbError) => void)[] = [];
  readonly #watching: AbortController = new AbortController();

  constructor(worker: Worker) {
    this.#worker = worker;
    this.#remote = Comlink.wrap<WorkerEndpoint>(worker);
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.#lose(`the worker failed: ${event.message || 'its script could not be loaded'}`);
    });
    worker.addEventListener('messageerror', () => this.#lose('a message could not be read'));
  }

  /** The endpoint itself, for the calls made before there is a session; each rejects when the worker is lost. */
  endpoint<Result>(call: (remote: Comlink.Remote<WorkerEndpoint>) => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) return reject(this.#lost);
      this.#onLost.push(reject);
      call(this.#remote).then(resolve, reject);
    });
  }

  /** Notices when the worker ends without an event, terminated or killed: it holds this lock as long as it lives. */
  watch(aliveLock: string): void {
    navigator.locks
      .request(aliveLock, { signal: this.#watching.signal }, () => this.#lose('it was ended'))
      .catch(() => {});
  }

  call<M extends Method>(method: M, args: ArgumentsOf<M>, options: TransportOptions): Promise<ResultOf<M>> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    return new Promise<ResultOf<M>>((resolve, reject) => {
      const id = this.#nextId++;
      const { signal, onProgress, transfer } = options;
      const onAbort = (): void => this.#cancel(id);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#open.set(id, {
        resolve,
        reject,
        onProgress,
        stopListening: signal === undefined ? undefined : () => signal.removeEventListener('abort', onAbort),
      });
      const request: Request = { id, method, args, progress: onProgress !== undefined };
      this.#outgoing.push({ request, transfer: transfer ?? [] });
      this.#schedule();
    });
  }

  release(): void {
    this.#watching.abort();
    this.#lose('the database was closed');
    this.#worker.terminate();
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
    if (this.#lost !== undefined) return;
    const outgoing = this.#outgoing;
    const cancels = this.#cancels;
    this.#outgoing = [];
    this.#cancels = [];
    this.#post(outgoing, cancels);
  }

  #post(outgoing: readonly Outgoing[], cancels: readonly number[]): void {
    const message: Message = { requests: outgoing.map(({ request }) => request), cancels };
    const transfer = outgoing.flatMap((call) => call.transfer);
    this.#exchanging++;
    this.#remote.exchange(transfer.length === 0 ? message : Comlink.transfer(message, transfer)).then(
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
      this.#open.get(reply.id)?.onProgress?.(reply.progress);
      return;
    }
    const call = this.#take(reply.id);
    if (call === undefined) return;
    if ('error' in reply) call.reject(fromEnvelope(reply.error));
    else call.resolve(reply.value as never);
  }

  #take(id: number): OpenCall | undefined {
    const call = this.#open.get(id);
    this.#open.delete(id);
    call?.stopListening?.();
    return call;
  }

  #lose(reason: string): void {
    this.#lost ??= shibuDbError('WORKER_LOST', `The database's worker is gone: ${reason}`);
    for (const reject of this.#onLost.splice(0)) reject(this.#lost);
    for (const id of [...this.#open.keys()]) this.#take(id)?.reject(this.#lost);
  }
}
