/**
 * Compacts spaces in the background, one at a time, in slices that hold nobody up longer than `sliceMs`.
 */

import { nextTask } from '../base/next-task.ts';
import { unref } from '../base/unref.ts';
import { Compaction } from './compaction.ts';
import { isIdle, isWorthCompacting } from './compaction-need.ts';
import type { ResidentSpace } from './resident-space.ts';
import type { Environment } from './settings.ts';
import { Pins, untilPresent } from './space-blocks.ts';

export class Compactor {
  readonly #environment: Environment;
  readonly #takeOver: (resident: ResidentSpace, compaction: Compaction) => Promise<boolean>;
  readonly #queue: Set<ResidentSpace> = new Set();
  readonly #timers: Map<ResidentSpace, ReturnType<typeof setTimeout>> = new Map();
  #running: Promise<void> | undefined;
  #stopped = false;

  /**
   * `takeOver` puts the new image in the old one's place when nothing is under way, and stores it; false when that could not
   * be.
   */
  constructor(
    environment: Environment,
    takeOver: (resident: ResidentSpace, compaction: Compaction) => Promise<boolean>,
  ) {
    this.#environment = environment;
    this.#takeOver = takeOver;
  }

  /** Begins with a space that has enough to give back. Cheap: called after every write. */
  consider(resident: ResidentSpace): void {
    const { now, settings } = this.#environment;
    if (this.#stopped || this.#queue.has(resident) || !isWorthCompacting(settings, resident)) return;
    const waitMs = resident.compactAgainAtMs - now();
    if (waitMs > 0) {
      this.#considerLater(resident, waitMs);
      return;
    }
    this.#queue.add(resident);
    this.#running ??= this.#run();
  }

  /** It may be that nobody writes to it any more. */
  #considerLater(resident: ResidentSpace, waitMs: number): void {
    if (this.#timers.has(resident)) return;
    const timer = setTimeout(() => {
      this.#timers.delete(resident);
      this.consider(resident);
    }, waitMs);
    unref(timer);
    this.#timers.set(resident, timer);
  }

  /** Stops after the slice under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    await nextTask();
    for (const resident of this.#queue) {
      const before = resident.nextSequence;
      await this.#compact(resident).catch(() => {});
      // A space whose image is as large as before, or whose memory did not suffice, is not tried at every write.
      const { compactPauseMs, checkpointIdleMs } = this.#environment.settings;
      // Without room to store it, a smaller one may be had when more was deleted.
      const pauseMs = resident.isNewImage ? checkpointIdleMs : compactPauseMs;
      resident.compactAgainAtMs = this.#environment.now() + pauseMs;
      this.#queue.delete(resident);
      // What was deleted meanwhile was not considered.
      if (resident.isNewImage && resident.nextSequence > before) this.consider(resident);
    }
    this.#running = undefined;
  }

  async #compact(resident: ResidentSpace): Promise<void> {
    if (!isIdle(resident)) return;
    const { now, settings } = this.#environment;
    const compaction = new Compaction(this.#environment, resident);
    resident.compaction = compaction;
    let tookOver = false;
    const pins = new Pins();
    try {
      for (;;) {
        const done = await untilPresent(resident.blocks, pins, () => {
          const endMs = now() + settings.sliceMs;
          return compaction.slice(() => now() >= endMs);
        });
        pins.release();
        if (this.#stopped || resident.broken || compaction.failed) return;
        if (done) break;
        await nextTask();
      }
      tookOver = await this.#takeOver(resident, compaction);
    } finally {
      pins.release();
      resident.compaction = undefined;
      compaction.end(tookOver);
    }
  }
}
