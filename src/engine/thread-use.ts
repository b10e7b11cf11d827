/** Whether bulk work goes to threads. */

import type { Stats } from '../api/database.ts';
import type { Threads } from './helper.ts';

/** What goes wrong with them once goes wrong again: from then on this thread does everything, until the database is opened anew. */
export class ThreadUse {
  readonly #threads: Threads | undefined;
  #failure: string | undefined;

  constructor(threads: Threads | undefined) {
    this.#threads = threads;
  }

  get now(): Threads | undefined {
    return this.#failure === undefined ? this.#threads : undefined;
  }

  failed(error: unknown): void {
    this.#failure = error instanceof Error ? error.message : String(error);
  }

  describe(): Pick<Stats, 'threads' | 'threadsFailure'> {
    if (this.#failure !== undefined) return { threads: 1, threadsFailure: this.#failure };
    return { threads: this.#threads?.count ?? 1 };
  }
}
