/**
 * Background linking: vectors are durable and exactly searchable as soon as they are acknowledged, and the index follows
 * in slices that hold nobody up longer than `sliceMs`. A bulk is linked by several threads where there are any
 * (threaded-links.ts); slices then do what is left.
 */

import { nextTask } from '../base/next-task.ts';
import { AbsentBlocks } from '../kernel/instance.ts';
import type { Threads } from './helper.ts';
import { indexingPart } from './parts.ts';
import { blockBytes, type ResidentSpace } from './resident-space.ts';
import type { Environment } from './settings.ts';
import { Pins, type SpaceBlocks } from './space-blocks.ts';
import { ThreadUse } from './thread-use.ts';
import type { ThreadedLinks } from './threaded-links.ts';

/** How often slices look whether what is left is a bulk for threads: it costs a walk along the queue. */
const bulkLookMs = 200;

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
  readonly #threads: ThreadUse;
  readonly #onIdle: (resident: ResidentSpace) => void;
  readonly #withoutCheckpoint: (resident: ResidentSpace, work: () => void) => Promise<void>;
  readonly #queue: Set<ResidentSpace> = new Set();
  readonly #watchers: Set<() => void> = new Set();
  #running: Promise<void> | undefined;
  #linksLeft: number;
  #stopped = false;
  #bulks = 0;
  #nextDuringBulk = 0;
  #goOn: (() => void) | undefined;
  /** The bulk that threads link now: one at a time. */
  #threaded: { readonly links: ThreadedLinks; readonly ended: Promise<void> } | undefined;
  /** When it is next looked at whether what is left is a bulk. */
  #bulkLookMs = 0;

  /**
   * `onIdle` is told when a space has nothing left to link. `threads`: default, there are none. `withoutCheckpoint` does something
   * while no checkpoint of the space is under way; default, there never is one.
   */
  constructor(
    environment: Environment,
    onIdle: (resident: ResidentSpace) => void,
    threads: ThreadUse = new ThreadUse(undefined),
    withoutCheckpoint: (resident: ResidentSpace, work: () => void) => Promise<void> = async (_, work) =>
      work(),
  ) {
    this.#environment = environment;
    this.#threads = threads;
    this.#onIdle = onIdle;
    this.#withoutCheckpoint = withoutCheckpoint;
    this.#linksLeft = environment.settings.linksPerWakeMax;
  }

  /** Allows another `linksPerWakeMax` links. */
  wake(): void {
    this.#linksLeft = this.#environment.settings.linksPerWakeMax;
  }

  schedule(resident: ResidentSpace): void {
    if (this.#stopped || this.#linksLeft <= 0 || resident.broken || resident.space.pending() === 0) return;
    if (this.#isBulk(resident)) this.#threaded = this.#link(resident);
    if (resident.threadedLinks !== undefined) return;
    this.#queue.add(resident);
    this.#running ??= this.#run();
  }

  forget(resident: ResidentSpace): void {
    this.#queue.delete(resident);
    resident.threadedLinks?.giveUp();
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
    this.#threaded?.links.giveUp();
    await this.#threaded?.ended;
    await this.#running;
    this.#tell();
  }

  /** Resolves when another slice is done or linking ended. */
  nextSlice(): Promise<void> {
    if (this.#running === undefined && this.#threaded === undefined) return Promise.resolve();
    return new Promise((resolve) => this.#watchers.add(resolve));
  }

  /** Whether enough waits for threads to be worth a copy of the space. */
  #isBulk(resident: ResidentSpace): boolean {
    const { settings } = this.#environment;
    // While more is being loaded, storing that has the machine to itself.
    if (this.#threads.now === undefined || this.#threaded !== undefined || this.#bulks > 0) return false;
    if (resident.entry.engine !== 'vector' || resident.linksAlone) return false;
    if (resident.compaction !== undefined) return false;
    const least = Math.max(
      settings.threadedLinksMin,
      Math.ceil(resident.space.count() * settings.threadedShareMin),
    );
    if (resident.space.pending() < least) return false;
    if (resident.space.instance.exports.vec_links_wanted() >>> 0 < least) return false;
    if (indexingPart.isLoaded) return true;
    // Until it is there, slices do what they can.
    indexingPart.load().then(
      () => this.schedule(resident),
      (error: unknown) => this.#threads.failed(error),
    );
    return false;
  }

  #link(resident: ResidentSpace): { links: ThreadedLinks; ended: Promise<void> } {
    const links = new indexingPart.loaded.ThreadedLinks(
      this.#environment,
      this.#threads.now as Threads,
      resident,
    );
    resident.threadedLinks = links;
    this.#queue.delete(resident);
    const work = async (): Promise<void> => {
      const shared = await links.run(() => this.#tell());
      if (shared === undefined) return;
      await this.#withoutCheckpoint(resident, () => {
        if (!links.givenUp) links.takeOver(shared);
      });
    };
    const ended = work()
      .catch((error: unknown) => this.#threads.failed(error))
      .then(() => {
        resident.threadedLinks = undefined;
        this.#threaded = undefined;
        this.#tell();
        if (resident.broken) return;
        if (resident.space.pending() === 0) this.#onIdle(resident);
        else this.schedule(resident);
      });
    return { links, ended };
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
    // An index that had to be trained first may have become one.
    if (now() >= this.#bulkLookMs) {
      if (this.#isBulk(resident)) {
        this.#threaded = this.#link(resident);
        return undefined;
      }
      this.#bulkLookMs = now() + bulkLookMs;
    }
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
      if (resident.space.instance.makeRoom(blockBytes)) return undefined;
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
