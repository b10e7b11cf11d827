/** Whether bulk work goes to threads, and copying a space to where they work. */

import type { Stats } from '../api/database.ts';
import type { CoreInstance } from '../kernel/instance.ts';
import type { SharedCore } from '../kernel/threads.ts';
import type { Threads } from './helper.ts';
import { blockBytes } from './resident-space.ts';

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

/** False when the block is not in memory. @throws without memory for it */
export function copyBlock(source: CoreInstance, target: SharedCore, segment: number, index: number): boolean {
  const from = source.exports.block_at(segment, index) >>> 0;
  if (from === 0) return false;
  const to = target.exports.block_adopt(segment, index) >>> 0;
  if (to === 0) throw new Error('no memory is left for a second copy of the space');
  target.bytes().set(source.bytes().subarray(from, from + blockBytes), to);
  return true;
}
