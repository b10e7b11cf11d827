/**
 * Slows attempts to sign in down. Attempts for one name run one after another, and after some failures each waits longer
 * than the one before; it is counted by name, not by session, so that opening more of them gains nothing, and for names
 * that do not exist too, so that the waiting tells nothing.
 *
 * The price: whoever knows a user's name can make that user wait. A lock-out would be worse, and no limit worse still.
 */

import { shibuDbError } from '../../api/errors.ts';

interface Attempts {
  failures: number;
  lastFailureMs: number;
  waiting: number;
  tail: Promise<unknown>;
}

/** Time as the throttle needs it. */
export interface ThrottleClock {
  now(): number;
  /** Rejects with the signal's reason, and leaves no timer, once it is aborted. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

const freeFailures = 3;
const delayMsMin = 250;
const delayMsMax = 8000;
const forgottenAfterMs = 15 * 60_000;
const waitingMax = 8;
const waitingInAllMax = 64;
/** Names remembered. Filling it takes as many hashes, which are the real limit. */
const namesMax = 10_000;

export class LoginThrottle {
  readonly #clock: ThrottleClock;
  readonly #names: Map<string, Attempts> = new Map();
  /** One for each that waits: in Workers what belongs to one event cannot be used in another. */
  readonly #waits: Set<AbortController> = new Set();
  #waitingInAll = 0;
  #closed: Error | undefined;

  constructor(clock: ThrottleClock) {
    this.#clock = clock;
  }

  /**
   * Runs `check` in the turn of the name, and counts its outcome.
   * @throws TOO_MANY_ATTEMPTS when too many wait already; CLOSED; what `check` throws counts as a failure
   */
  async attempt(username: string, check: () => Promise<boolean>): Promise<boolean> {
    if (this.#closed !== undefined) throw this.#closed;
    const attempts = this.#attemptsOf(username);
    if (attempts.waiting >= waitingMax || this.#waitingInAll >= waitingInAllMax) {
      throw shibuDbError('TOO_MANY_ATTEMPTS', 'Too many attempts to sign in are waiting; try again later');
    }
    attempts.waiting++;
    this.#waitingInAll++;
    const turn = attempts.tail.then(() => this.#run(attempts, check));
    attempts.tail = turn.catch(() => {});
    try {
      return await turn;
    } finally {
      attempts.waiting--;
      this.#waitingInAll--;
    }
  }

  /** Whoever waits fails with CLOSED: a database that is closed keeps nobody, and no process, for a turn that is a minute away. */
  close(): void {
    this.#closed ??= shibuDbError('CLOSED', 'The database was closed while this attempt waited its turn');
    for (const wait of this.#waits) wait.abort(this.#closed);
  }

  async #run(attempts: Attempts, check: () => Promise<boolean>): Promise<boolean> {
    if (this.#closed !== undefined) throw this.#closed;
    const now = this.#clock.now();
    if (now - attempts.lastFailureMs > forgottenAfterMs) attempts.failures = 0;
    const waitMs = attempts.lastFailureMs + delayOf(attempts.failures) - now;
    if (waitMs > 0) await this.#wait(waitMs);
    let right = false;
    try {
      right = await check();
      return right;
    } finally {
      attempts.failures = right ? 0 : attempts.failures + 1;
      if (!right) attempts.lastFailureMs = this.#clock.now();
    }
  }

  async #wait(ms: number): Promise<void> {
    const wait = new AbortController();
    this.#waits.add(wait);
    try {
      await this.#clock.wait(ms, wait.signal);
    } finally {
      this.#waits.delete(wait);
    }
  }

  #attemptsOf(username: string): Attempts {
    const known = this.#names.get(username);
    if (known !== undefined) return known;
    if (this.#names.size >= namesMax) this.#forgetOne();
    const attempts: Attempts = {
      failures: 0,
      lastFailureMs: Number.NEGATIVE_INFINITY,
      waiting: 0,
      tail: Promise.resolve(),
    };
    this.#names.set(username, attempts);
    return attempts;
  }

  #forgetOne(): void {
    // In the order they came; there are always some that nobody waits for.
    for (const [username, { waiting }] of this.#names)
      if (waiting === 0) {
        this.#names.delete(username);
        return;
      }
  }
}

function delayOf(failures: number): number {
  return failures < freeFailures ? 0 : Math.min(delayMsMin * 2 ** (failures - freeFailures), delayMsMax);
}
