/** Removes expired entries, now and then: readers do not see them anyway, only their memory is at stake. */

import type { EventHub } from './event-hub.ts';
import type { ResidentSpace } from './resident-space.ts';
import type { Environment } from './settings.ts';
import { Pins, untilPresent } from './space-blocks.ts';

/** Expired entries removed at a time. */
const sweepSlice = 1000;

export interface SweeperHooks {
  readonly closing: () => boolean;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
  /** Something was removed. */
  readonly swept: (resident: ResidentSpace) => void;
}

export class Sweeper {
  readonly #environment: Environment;
  readonly #events: EventHub;
  readonly #hooks: SweeperHooks;
  readonly #timers: Map<number, ReturnType<typeof setTimeout>> = new Map();

  constructor(environment: Environment, events: EventHub, hooks: SweeperHooks) {
    this.#environment = environment;
    this.#events = events;
    this.#hooks = hooks;
  }

  schedule(resident: ResidentSpace): void {
    const { id, engine } = resident.entry;
    if (!this.#environment.settings.backgroundTimers) return;
    if (engine !== 'key-value' || this.#timers.has(id) || this.#hooks.closing()) return;
    const deadline = resident.keyValue.nextDeadline();
    if (deadline === undefined) return;
    const { sweepMsMin, sweepMsMax } = this.#environment.settings;
    const waitMs = Math.min(Math.max(deadline - this.#hooks.wallClock(), sweepMsMin), sweepMsMax);
    const timer = setTimeout(async () => {
      // What cannot be read is told to whoever reads it.
      const swept = resident.broken ? 0 : await this.sweepAll(resident).catch(() => 0);
      this.#timers.delete(id);
      if (resident.broken) return;
      // A slice; with more to do the next one follows soon.
      if (swept > 0) this.#hooks.swept(resident);
      this.schedule(resident);
    }, waitMs);
    this.#timers.set(id, timer);
  }

  /** The same wherever it lies: blocks that are not in memory are fetched. */
  async sweepAll(resident: ResidentSpace): Promise<number> {
    const pins = new Pins();
    try {
      return await untilPresent(resident.blocks, pins, () =>
        resident.broken ? 0 : this.sweep(resident, sweepSlice),
      );
    } finally {
      pins.release();
    }
  }

  /** Removes what has expired, up to so many; returns how many. @throws AbsentBlocks */
  sweep(resident: ResidentSpace, most: number): number {
    const count = resident.sweep(most);
    if (count > 0) this.#events.expired(resident.entry.name, count);
    return count;
  }

  /** The space leaves memory. */
  forget(id: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }
}
