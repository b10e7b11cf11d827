/**
 * A clock and an event loop of the test's own, so that a whole run is a function of its seed: tasks, timers and the times of day
 * come from here and from nowhere else.
 *
 * While it runs a body, the globals that code schedules with (`setImmediate`, `setTimeout`, `performance.now`, `Date.now`) are
 * these. One task runs at a time, with all promises that it settles; which of the waiting ones is next is drawn from the
 * seed, mostly the oldest. Time passes a little whenever somebody looks at the clock, and leaps to the next timer when nobody
 * has anything to do: an idle hour costs nothing. A body that waits for something that cannot come any more fails at once
 * instead of hanging.
 */

import type { Random } from '../support/random.ts';

type Callback = (...args: unknown[]) => void;

interface Task {
  readonly run: () => void;
}

interface Timer extends Task {
  readonly atMs: number;
  readonly number: number;
}

/** Steps that are put before Node's event loop at a time: one by one, its own turn would cost more than the step. */
const stepsPerTurn = 64;
/** How much later the clock is at most when it is looked at again. */
const lookMs = 0.4;
/** When the simulated world begins, in milliseconds since 1970. */
const beginMs = 1_700_000_000_000;
/** More tasks than any seed takes: one that never ends is stopped and named. */
const tasksMax = 2_000_000;

const realImmediate = globalThis.setImmediate;

export class VirtualTime {
  readonly #random: Random;
  #nowMs = 0;
  #tasks: Task[] = [];
  readonly #timers: Map<number, Timer> = new Map();
  #number = 0;
  #ran = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  now(): number {
    this.#nowMs += this.#random.unit() * lookMs;
    return this.#nowMs;
  }

  wallClock(): number {
    return beginMs + Math.floor(this.now());
  }

  /** Resolves in a later task. */
  nextTask(): Promise<void> {
    return new Promise((resolve) => this.#tasks.push({ run: resolve }));
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#setTimer(resolve, ms));
  }

  /** Whoever still waits for a task or a timer was killed. */
  forgetAll(): void {
    this.#tasks = [];
    this.#timers.clear();
  }

  /** Runs `body` in this time until it settles. */
  async run<Result>(body: () => Promise<Result>): Promise<Result> {
    const restore = this.#install();
    try {
      let settled = false;
      const result = body().finally(() => {
        settled = true;
      });
      result.catch(() => {});
      await new Promise<void>((resolve, reject) => {
        const turn = (): void => {
          for (let i = 0; i < stepsPerTurn; i++) realImmediate(step);
        };
        let steps = 0;
        const step = (): void => {
          if (settled) resolve();
          else if (!this.#step())
            reject(new Error('Somebody waits for what cannot come: nothing is left to run'));
          else if (++steps % stepsPerTurn === 0) turn();
        };
        turn();
      });
      return await result;
    } finally {
      this.forgetAll();
      restore();
    }
  }

  /** Runs one task; false when there is none. The promises that it settles are Node's to run, before its next immediate. */
  #step(): boolean {
    if (++this.#ran > tasksMax) throw new Error(`Nothing came of ${tasksMax} tasks`);
    const timer = this.#dueTimer();
    if (timer !== undefined) {
      this.#timers.delete(timer.number);
      timer.run();
      return true;
    }
    const count = this.#tasks.length;
    if (count === 0) return false;
    const at = count > 1 && this.#random.unit() < 0.3 ? this.#random.below(count) : 0;
    const [task] = at === 0 ? [this.#tasks.shift()] : this.#tasks.splice(at, 1);
    task?.run();
    return true;
  }

  #dueTimer(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers.values())
      if (first === undefined || timer.atMs < first.atMs) first = timer;
    if (first === undefined) return undefined;
    if (this.#tasks.length === 0) this.#nowMs = Math.max(this.#nowMs, first.atMs);
    return first.atMs <= this.#nowMs ? first : undefined;
  }

  #setTimer(run: () => void, ms: number): number {
    const number = ++this.#number;
    this.#timers.set(number, { run, atMs: this.#nowMs + Math.max(0, ms), number });
    return number;
  }

  #install(): () => void {
    const globals = {
      setImmediate: (callback: Callback, ...args: unknown[]) => {
        this.#tasks.push({ run: () => callback(...args) });
      },
      setTimeout: (callback: Callback, ms = 0, ...args: unknown[]) =>
        this.#setTimer(() => callback(...args), ms),
      clearTimeout: (number: number | undefined) => {
        if (number !== undefined) this.#timers.delete(number);
      },
      performance: { now: () => this.now() },
    };
    const former = Object.keys(globals).map(
      (name) => [name, Object.getOwnPropertyDescriptor(globalThis, name) as PropertyDescriptor] as const,
    );
    const { now } = Date;
    for (const [name, value] of Object.entries(globals))
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    Date.now = () => this.wallClock();
    return () => {
      for (const [name, descriptor] of former) Object.defineProperty(globalThis, name, descriptor);
      Date.now = now;
    };
  }
}
