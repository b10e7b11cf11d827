/**
 * When storage fails. Everything that changes something on a simulated disk is a *step*, numbered from 1 within the life of a
 * process; a plan, drawn before, says at which one the process is stopped and which fail with an error. A process may also be
 * frozen: its steps then wait, as those of a tab do that the browser has put to sleep.
 */

import { nextTask } from '../../src/base/next-task.ts';
import type { Random } from '../support/random.ts';

export type Trace = (line: string) => void;

/** `full`: there is no room. `broken`: the device answers with an error. */
export type Failure = 'full' | 'broken';

export interface FaultPlan {
  /** The step at which everything stops, from 1; whether it is still done. */
  readonly stop?: { readonly step: number; readonly done: boolean } | undefined;
  readonly fail?: ReadonlyMap<number, Failure>;
}

/** What is to become of a step. A step that `stops` is the last, done or not. */
export interface Verdict {
  readonly done: boolean;
  readonly stops: boolean;
  readonly failure?: Failure | undefined;
}

const goOn: Verdict = { done: true, stops: false };

/** Where steps wait: the simulation's time, or everybody's. */
export interface StepTime {
  now(): number;
  nextTask(): Promise<void>;
}

export const realTime: StepTime = { now: () => performance.now(), nextTask };

/** The process is gone: nobody is to see this, it only ends what was under way. */
export class Stopped extends Error {
  /** As the file system reports a device that went away. */
  readonly code = 'EIO';
  constructor() {
    super('The process was stopped');
  }
}

export class Faults {
  readonly time: StepTime;
  readonly random: Random;
  readonly #trace: Trace;
  #plan: FaultPlan;
  #thawed: Promise<void> | undefined;
  #thaw: () => void = () => {};
  steps = 0;
  failures = 0;
  /** There was no room for a step. */
  wasFull = false;
  /** A flush failed, or what undoes a failure: nobody can rely on the disk again before it is opened anew. */
  failedForGood = false;
  stopped = false;

  constructor(plan: FaultPlan, time: StepTime, random: Random, trace: Trace = () => {}) {
    this.#plan = plan;
    this.time = time;
    this.random = random;
    this.#trace = trace;
  }

  /** One that changes nothing. @throws Stopped */
  async read(): Promise<void> {
    await this.#wait();
  }

  /** @throws Stopped */
  async step(what: string): Promise<Verdict> {
    this.#assertRunning();
    const number = ++this.steps;
    await this.#wait();
    const { stop, fail } = this.#plan;
    if (stop?.step === number) {
      this.#trace(`    step ${number} ${what}: stopped, ${stop.done ? '' : 'not '}done`);
      this.stopped = true;
      return { done: stop.done, stops: true };
    }
    const failure = fail?.get(number);
    this.#trace(`    step ${number} ${what}${failure === undefined ? '' : `: ${failure}`}`);
    if (failure === undefined) return goOn;
    this.failures++;
    this.wasFull ||= failure === 'full';
    this.failedForGood ||= /^(flush|truncate)/.test(what);
    return { done: false, stops: false, failure };
  }

  /** Some answers take their time, so that calls overlap in many ways. */
  async #wait(): Promise<void> {
    this.#assertRunning();
    for (let turns = this.random.below(3); turns > 0; turns--) await this.time.nextTask();
    await this.#thawed;
    this.#assertRunning();
  }

  /** From here on everything waits. */
  freeze(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#thawed = promise;
    this.#thaw = resolve;
  }

  thaw(): void {
    this.#thawed = undefined;
    this.#thaw();
  }

  /** Nothing fails any more, and nothing is stopped. */
  calm(): void {
    this.#plan = {};
  }

  #assertRunning(): void {
    if (this.stopped) throw new Stopped();
  }
}
