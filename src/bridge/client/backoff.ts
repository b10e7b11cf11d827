/**
 * How long to wait before the next attempt to connect: exponential with full jitter (Brooker, "Exponential Backoff And
 * Jitter", 2015), so that the clients of a server that comes back do not all come back in the same moment. A connection counts
 * as a success only when it has lasted: a server that accepts and drops at once must not be hammered.
 */

const firstMs = 100;
const mostMs = 10_000;
export const stableMs = 1000;

export class Backoff {
  readonly #random: () => number;
  #attempts = 0;

  /** @param random 0 to 1 */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** The next waiting time in milliseconds. */
  next(): number {
    const ceiling = Math.min(mostMs, firstMs * 2 ** this.#attempts);
    this.#attempts = Math.min(this.#attempts + 1, 30);
    return this.#random() * ceiling;
  }

  /** A connection that lasted `lastedMs` has ended. */
  ended(lastedMs: number): void {
    if (lastedMs >= stableMs) this.#attempts = 0;
  }
}
