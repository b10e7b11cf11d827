/** Token buckets by name (an address, a user): so many a second in the long run, and a burst of as many at once. */

interface Bucket {
  tokens: number;
  at: number;
}

/** Past this many names those that are full again are forgotten. */
const namesMax = 10_000;

export class RateLimiter {
  readonly #perMs: number;
  readonly #burst: number;
  readonly #now: () => number;
  readonly #buckets: Map<string, Bucket> = new Map();

  /** @param perSecond Infinity: no limit; @param burst default: what a second allows, at least 1 */
  constructor(perSecond: number, burst: number = Math.max(1, perSecond), now: () => number = Date.now) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#now = now;
  }

  /** Whether `name` may do it once more; if so, it counts. */
  take(name: string): boolean {
    if (this.#perMs === Number.POSITIVE_INFINITY) return true;
    const bucket = this.#filled(name);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  #filled(name: string): Bucket {
    const now = this.#now();
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      if (this.#buckets.size >= namesMax) this.#forgetFull(now);
      bucket = { tokens: this.#burst, at: now };
      this.#buckets.set(name, bucket);
    }
    bucket.tokens = Math.min(this.#burst, bucket.tokens + (now - bucket.at) * this.#perMs);
    bucket.at = now;
    return bucket;
  }

  #forgetFull(now: number): void {
    for (const [name, { tokens, at }] of this.#buckets)
      if (tokens + (now - at) * this.#perMs >= this.#burst) this.#buckets.delete(name);
    // All of them are busy: the oldest go, which is kinder than to stop serving strangers.
    for (const name of this.#buckets.keys()) {
      if (this.#buckets.size < namesMax) break;
      this.#buckets.delete(name);
    }
  }
}
