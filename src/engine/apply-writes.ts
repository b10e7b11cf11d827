/** Applying writes that are in the log, in the order in which they are there. */

import { shibuDbError } from '../api/errors.ts';
import { AbsentBlocks } from '../kernel/instance.ts';
import { behind, operationAt } from '../space/operation.ts';
import type { ResidentSpace } from './resident-space.ts';
import type { Pins } from './space-blocks.ts';
import { countThere, type Waiting } from './waiting-writes.ts';

/** Applying the operations of one write, which are in the log. */
export class Application {
  readonly #write: Waiting;
  /** Where its next operation begins. */
  #at = 0;
  #there = 0;
  /** The blocks it came to. */
  #absent: AbsentBlocks | undefined;

  constructor(write: Waiting) {
    this.#write = write;
  }

  /** Goes on where it was and acknowledges at the end; false when it came to blocks that are not in memory. */
  run(): boolean {
    const { resident, operations, answer, resolve } = this.#write;
    try {
      if (resident.broken) throw new Error('an earlier operation failed while it was applied');
      while (this.#at < operations.length) {
        const operation = operationAt(operations, this.#at);
        if (resident.apply(operation)) this.#there++;
        this.#at = behind(operation, this.#at);
      }
      resolve((answer === countThere ? this.#there : answer) as never);
    } catch (cause) {
      if (cause instanceof AbsentBlocks && resident.blocks !== undefined) {
        this.#absent = cause;
        return false;
      }
      this.#fail(cause);
    }
    return true;
  }

  /** Runs to its end, with the blocks it comes to. */
  async settle(pins: Pins): Promise<void> {
    const { resident } = this.#write;
    try {
      while (!this.run()) await resident.blocks?.fetchFor(this.#absent, pins);
    } catch (cause) {
      resident.broken = true;
      this.#fail(cause);
    }
  }

  /** It is in the log: the space is opened again from there, where this write counts. */
  #fail(cause: unknown): void {
    const { resident, reject } = this.#write;
    reject(applyFailed(resident, cause));
  }
}

export function applyFailed({ entry: { name } }: ResidentSpace, cause: unknown): Error {
  const message = `The write to space "${name}" is stored but its memory failed; the space is reopened`;
  return shibuDbError('INTERNAL', message, { cause });
}

/**
 * Applies what is left of a commit: what was changed before it made it need other blocks than it seemed to. Until then nobody
 * reads half of it, and no checkpoint begins, for which the log record is one thing.
 */
export async function settle(
  resident: ResidentSpace,
  applications: readonly Application[],
  pins: Pins,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  resident.settling = promise;
  try {
    for (const application of applications) await application.settle(pins);
  } finally {
    resident.settling = undefined;
    resolve();
  }
}
