/** A connection that is lent out: calls go through it, except `close`, which gives it back. */

import type { ArgumentsOf, Method, ResultOf } from '../api/calls.ts';
import type { Transport, TransportOptions } from './transport.ts';

export class LeasedTransport implements Transport {
  readonly #owner: Transport;
  readonly #giveBack: () => Promise<void>;
  /** Calls that are under way. Those that wait for events end when the session is taken back. */
  readonly #open: Set<Promise<unknown>> = new Set();

  constructor(owner: Transport, giveBack: () => Promise<void>) {
    this.#owner = owner;
    this.#giveBack = giveBack;
  }

  call<M extends Method>(method: M, args: ArgumentsOf<M>, options: TransportOptions): Promise<ResultOf<M>> {
    if (method === 'close') return this.#end() as Promise<ResultOf<M>>;
    const answer = this.#owner.call(method, args, options);
    if (method === 'nextEvents') return answer;
    const settled = answer.then(
      () => {},
      () => {},
    );
    this.#open.add(settled);
    settled.then(() => this.#open.delete(settled));
    return answer;
  }

  release(): void {
    // The connection stays open: it is the pool's.
  }

  /** The next borrower must not meet what this one has not waited for. */
  async #end(): Promise<undefined> {
    await Promise.all(this.#open);
    await this.#giveBack();
    return undefined;
  }
}
