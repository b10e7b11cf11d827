/**
 * Counts how long nothing was heard of an owner. Only time in which this page ran counts: after a pause of its own (a frozen
 * tab, a sleeping machine) it has missed what was said meanwhile, not the owner.
 *
 * It ticks only while somebody waits for the owner: an idle tab does nothing.
 */

export class Watch {
  readonly #tickMs: number;
  readonly #onTick: (silentMs: number) => void;
  #timer: ReturnType<typeof setInterval> | undefined;
  #tickedAtMs = 0;
  #silentMs = 0;

  /** `onTick` is called every `tickMs` while the watch is on, with the silence so far. */
  constructor(tickMs: number, onTick: (silentMs: number) => void) {
    this.#tickMs = tickMs;
    this.#onTick = onTick;
  }

  /** Something was heard. */
  hear(): void {
    this.#silentMs = 0;
  }

  /** Goes on if it is on; else begins anew, and returns true. */
  start(): boolean {
    if (this.#timer !== undefined) return false;
    this.#silentMs = 0;
    this.#tickedAtMs = performance.now();
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      // A tick that comes later than that was held up by a pause of our own.
      this.#silentMs += Math.min(nowMs - this.#tickedAtMs, 2 * this.#tickMs);
      this.#tickedAtMs = nowMs;
      this.#onTick(this.#silentMs);
    }, this.#tickMs);
    return true;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
