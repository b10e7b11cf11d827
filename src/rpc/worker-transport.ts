/** The transport of a page to a worker of its own: calls open when the worker is gone fail with WORKER_LOST. */

import * as Comlink from 'comlink';
import type { ArgumentsOf, Method, ResultOf } from '../api/calls.ts';
import { type ShibuDbError, shibuDbError } from '../api/errors.ts';
import type { Transport, TransportOptions } from '../client/transport.ts';
import { Connection, exchangeWith, OpenCall } from './connection.ts';
import type { WorkerEndpoint } from './messages.ts';

export class WorkerTransport implements Transport {
  readonly #worker: Worker;
  readonly #remote: Comlink.Remote<WorkerEndpoint>;
  readonly #connection: Connection;
  #lost: ShibuDbError | undefined;
  readonly #onLost: ((error: ShibuDbError) => void)[] = [];
  readonly #watching: AbortController = new AbortController();

  constructor(worker: Worker) {
    this.#worker = worker;
    this.#remote = Comlink.wrap<WorkerEndpoint>(worker);
    this.#connection = new Connection(exchangeWith(this.#remote));
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
      this.#connection.submit(new OpenCall(method, args, options, resolve, reject));
    });
  }

  release(): void {
    this.#watching.abort();
    this.#lose('the database was closed');
    this.#worker.terminate();
  }

  #lose(reason: string): void {
    this.#lost ??= shibuDbError('WORKER_LOST', `The database's worker is gone: ${reason}`);
    for (const reject of this.#onLost.splice(0)) reject(this.#lost);
    for (const call of this.#connection.lose()) call.reject(this.#lost);
  }
}
