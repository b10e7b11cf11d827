/**
 * The transport of a page to a worker that nobody else uses: for a database in memory, which is gone with it. Calls that are
 * open then fail with WORKER_LOST.
 */

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

  /**
   * Notices when the worker ends without an event, terminated or killed: it holds a lock for as long as it lives. Without Web
   * Locks (an insecure context) that cannot be noticed.
   */
  watch(): void {
    if (globalThis.navigator?.locks === undefined) return;
    const aliveLock = `shibumi:alive:${crypto.randomUUID()}`;
    const { signal } = this.#watching;
    this.endpoint((remote) => remote.live(aliveLock))
      .then(() => navigator.locks.request(aliveLock, { signal }, () => this.#lose('it was ended')))
      .catch(() => {});
  }

  call<M extends Method>(method: M, args: ArgumentsOf<M>, options: TransportOptions): Promise<ResultOf<M>> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    return new Promise<ResultOf<M>>((resolve, reject) => {
      this.#connection.submit(new OpenCall(method, args, options, resolve, reject));
    });
  }

  giveBack(buffer: ArrayBuffer): void {
    this.#connection.giveBack(buffer);
  }

  release(): void {
    this.#lose('the database was closed');
  }

  #lose(reason: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = shibuDbError('WORKER_LOST', `The database's worker is gone: ${reason}`);
    this.#watching.abort();
    // One that only failed still runs, and would keep the database locked.
    this.#worker.terminate();
    for (const reject of this.#onLost.splice(0)) reject(this.#lost);
    for (const call of this.#connection.lose()) call.reject(this.#lost);
  }
}
