/**
 * Background linking: vectors are durable and exactly searchable as soon as they are acknowledged, and the index follows
 * in slices that hold nobody up longer than `sliceMs`.
 */

import { nextTask } from '../base/next-task.ts';
import { AbsentBlocks } from '../kernel/instance.ts';
import type { ResidentSpace } from './resident-space.ts';
import type { Environment } from './settings.ts';
import { Pins, type SpaceBlocks } from './space-blocks.ts';

/** While somebody loads in bulk, one slice in so many of their time. */
const shareOfBulk = 16;

/** Held by a bulk insert while it is under way. */
export interface RightOfWay {
  /** Another chunk is stored: a slice may be due. */
  passed(): void;
  end(): void;
}

export class Indexer {
  readonly #environment: Environment;
  readonly #onIdle: (resident: ResidentSpace) => void;
  readonly #queue: Set<ResidentSpace> = new Set();
  readonly #watchers: Set<() => void> = new Set();
  #running: Promise<void> | undefined;
  #linksLeft: number;
  #stopped = false;
  #bulks = 0;
  #nextDuringBulk = 0;
  #goOn: (() => void) | undefined;

  /** `onIdle` is told when a space has nothing left to link. */
  constructor(environment: Environment, onIdle: (resident: ResidentSpace) => void) {
    this.#environment = environment;
    this.#onIdle = onIdle;
    this.#linksLeft = environment.settings.linksPerWakeMax;
  }

  /** Allows another `linksPerWakeMax` links. */
  wake(): void {
    this.#linksLeft = this.#environment.settings.linksPerWakeMax;
  }

  schedule(resident: ResidentSpace): void {
    if (this.#stopped || this.#linksLeft <= 0 || resident.broken || resident.space.pending() === 0) return;
    this.#queue.add(resident);
    this.#running ??= this.#run();
  }

  forget(resident: ResidentSpace): void {
    this.#queue.delete(resident);
  }

  /**
   * Slices become rare until `end`: what is loaded in bulk is to be stored first, and the index follows. They do not stop: whoever
   * loads for hours is not to be left without an index.
   */
  giveWay(): RightOfWay {
    this.#bulks++;
    return {
      passed: () => {
        if (this.#environment.now() >= this.#nextDuringBulk) this.#release();
      },
      end: () => {
        this.#bulks--;
        if (this.#bulks === 0) this.#release();
      },
    };
  }

  #release(): void {
    this.#goOn?.();
    this.#goOn = undefined;
  }

  /** Stops after the slice under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#queue.clear();
    this.#release();
    await this.#running;
    this.#tell();
  }

  /** Resolves when another slice is done or linking ended. */
  nextSlice(): Promise<void> {
    if (this.#running === undefined) return Promise.resolve();
    return new Promise((resolve) => this.#watchers.add(resolve));
  }

  async #run(): Promise<void> {
    await nextTask();
    while (this.#queue.size > 0 && this.#linksLeft > 0) {
      for (const resident of [...this.#queue]) {
        if (this.#bulks > 0 && !this.#stopped) await new Promise<void>((resolve) => (this.#goOn = resolve));
        if (this.#queue.has(resident)) await this.#slice(resident);
        this.#tell();
        await nextTask();
      }
    }
    this.#queue.clear();
    this.#running = undefined;
    this.#tell();
  }

  /** A promise only where blocks have to be fetched first. */
  #slice(resident: ResidentSpace): Promise<void> | undefined {
    const { now, settings } = this.#environment;
    const end = now() + settings.sliceMs;
    this.#nextDuringBulk = end + settings.sliceMs * (shareOfBulk - 1);
    try {
      resident.linkFailure = undefined;
      resident.space.instance.askBudget();
      let left = resident.space.pending();
      while (left > 0 && now() < end) {
        // A few at a time: one link costs tens of microseconds to a millisecond, by dimension and M.
        const after = resident.space.maintain(4);
        resident.unsavedLinks += left - after;
        resident.linkedEver += left - after;
        this.#linksLeft -= left - after;
        left = after;
      }
      if (left > 0) return undefined;
    } catch (error) {
      if (error instanceof AbsentBlocks && resident.blocks !== undefined)
        return this.#fetch(resident, resident.blocks, error);
      // Without memory for links the rest stays exactly searchable; the next write tries again.
      resident.linkFailure = error;
    }
    this.#end(resident);
    return undefined;
  }

  async #fetch(resident: ResidentSpace, blocks: SpaceBlocks, error: AbsentBlocks): Promise<void> {
    const pins = new Pins();
    try {
      await blocks.fetchFor(error, pins);
    } catch (failure) {
      resident.linkFailure = failure;
      if (this.#queue.has(resident)) this.#end(resident);
    } finally {
      pins.release();
    }
  }

  #end(resident: ResidentSpace): void {
    this.#queue.delete(resident);
    this.#onIdle(resident);
  }

  #tell(): void {
    for (const resolve of this.#watchers) resolve();
    this.#watchers.clear();
  }
}
