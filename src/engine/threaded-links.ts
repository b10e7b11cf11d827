/**
 * Bulk linking by several threads: what linking needs of a space is copied into a temporary shared memory, helpers link there
 * while the space goes on answering and taking writes, and the finished graph is checked and copied back.
 *
 * Nothing can be lost by it. A graph knows by stamps which vectors its nodes are of: what was deleted or replaced meanwhile is a
 * tombstone in the new graph, what was added is pending, both as after a crash. Vectors are copied in slices, so one that
 * is replaced in between may have been linked by what is there now: its node is stale then, and it is linked again.
 * Where anything fails, a helper that was killed included, the shared memory is dropped and the space links in slices on this
 * thread, as it does without threads.
 */

import { nextTask } from '../base/next-task.ts';
import type { CoreInstance } from '../kernel/instance.ts';
import { Status } from '../kernel/status.ts';
import { SharedCore } from '../kernel/threads.ts';
import { VectorSegment } from '../space/vector-segments.ts';
import { copyBlock } from './copy-image.ts';
import type { Answered, Helper, Threads } from './helper.ts';
import { vectorsPart } from './parts.ts';
import { blockBytes, framesMax, type ResidentSpace } from './resident-space.ts';
import type { Environment } from './settings.ts';

/** How often progress is looked at. */
const tickMs = 50;

const graphSegments = [
  VectorSegment.GraphMeta,
  VectorSegment.GraphNodes,
  VectorSegment.GraphBase,
  VectorSegment.GraphUpper,
] as const;

/** One bulk build of one space. */
export class ThreadedLinks {
  /** Nodes linked so far. */
  linked = 0;
  readonly #environment: Environment;
  readonly #threads: Threads;
  readonly #resident: ResidentSpace;
  readonly #instance: CoreInstance;
  #helpers: Helper[] = [];
  #givenUp = false;

  constructor(environment: Environment, threads: Threads, resident: ResidentSpace) {
    this.#environment = environment;
    this.#threads = threads;
    this.#resident = resident;
    this.#instance = resident.space.instance;
  }

  /** The space has another index, is let go, or the database closes. */
  giveUp(): void {
    this.#givenUp = true;
    this.#end();
  }

  get givenUp(): boolean {
    return this.#givenUp || this.#resident.broken || this.#resident.space.instance !== this.#instance;
  }

  /**
   * Links what is pending in a shared memory; `undefined` when it was given up. `onTick` is called now and then.
   *
   * @throws when a helper is lost or there is no memory: the space is as it was
   */
  async run(onTick: () => void): Promise<SharedCore | undefined> {
    const module = await this.#threads.load();
    if (this.givenUp) return undefined;
    const { build } = this.#environment.cores;
    const shared = SharedCore.begin(module, build);
    shared.exports.arena_init(framesMax);
    try {
      if (!(await this.#copyIn(shared))) {
        // Not all of it is in memory, and it will not be.
        if (!this.givenUp) this.#resident.linksAlone = true;
        return undefined;
      }
      const { count } = this.#threads;
      const total = shared.threads.links_begin(count);
      if (total < 0) throw new Error(`beginning to link answered ${total}`);
      const jobs = Array.from({ length: count }, (_, thread) => ({ build, place: shared.place(thread) }));
      this.#helpers = jobs.map(() => this.#threads.spawn());
      const linking = this.#helpers.map((helper, i) =>
        helper.run({ kind: 'link', ...(jobs[i] as (typeof jobs)[number]) }).then(requireOk),
      );
      await this.#watch(shared, linking, onTick);
      if (this.givenUp) return undefined;
      const [checker] = this.#helpers;
      const [job] = jobs;
      if (checker === undefined || job === undefined) return undefined;
      const checking = checker.run({ kind: 'check', ...job }).then(requireOk);
      await this.#watch(shared, [checking], onTick, false);
      return this.givenUp ? undefined : shared;
    } catch (error) {
      // Helpers that were ended reject what they were asked for.
      if (this.givenUp) return undefined;
      throw error;
    } finally {
      this.#end();
    }
  }

  /**
   * Puts the graph in the place of the space's. Requires: no checkpoint is under way, and the run was not given up.
   *
   * @throws OUT_OF_MEMORY: the space then has the graph it had
   */
  takeOver(shared: SharedCore): void {
    const resident = this.#resident;
    const before = resident.space.pending();
    resident.vectors.adoptGraph(
      (segment, index) => {
        const address = shared.exports.block_at(segment, index) >>> 0;
        return shared.bytes().subarray(address, address + blockBytes);
      },
      (segment) => shared.exports.arena_segment_blocks(segment) >>> 0,
    );
    const links = Math.max(0, before - resident.space.pending());
    resident.unsavedLinks += links;
    resident.linkedEver += links;
    resident.linkedByThreads = this.#threads.count;
    // All its blocks are others than those stored.
    resident.indexChanged = true;
  }

  /**
   * False when the originals are not all in memory. What says which vectors there are is copied at once; what they are measured
   * by, in slices.
   */
  async #copyIn(shared: SharedCore): Promise<boolean> {
    const { exports } = this.#instance;
    const measured = vectorsPart.loaded.segmentOfMeasure(this.#resident.vectors.shape);
    const blocks = exports.arena_segment_blocks(measured) >>> 0;
    for (const segment of [VectorSegment.Meta, VectorSegment.Slots, ...graphSegments]) {
      const count = exports.arena_segment_blocks(segment) >>> 0;
      for (let index = 0; index < count; index++)
        if (!copyBlock(this.#instance, shared, segment, index)) return false;
    }
    const { now, settings } = this.#environment;
    let endMs = now() + settings.sliceMs;
    for (let index = 0; index < blocks; index++) {
      if (now() >= endMs) {
        await nextTask();
        if (this.givenUp) return false;
        endMs = now() + settings.sliceMs;
      }
      if (!copyBlock(this.#instance, shared, measured, index)) return false;
    }
    return true;
  }

  /**
   * Waits for jobs, and throws when one fails, or when a helper that is not done has done nothing for so many ticks: a worker that
   * was ended from outside gives no sign. Ticks, not time: a machine that sleeps accuses nobody.
   */
  async #watch(
    shared: SharedCore,
    jobs: readonly Promise<void>[],
    onTick: () => void,
    moves = true,
  ): Promise<void> {
    const done = jobs.map(() => false);
    const ended = Promise.all(
      jobs.map(async (job, i) => {
        await job;
        done[i] = true;
      }),
    );
    const ticksMost = Math.ceil(this.#environment.settings.helperStallMs / tickMs);
    const last = jobs.map(() => -1);
    const still = jobs.map(() => 0);
    while (!done.every(Boolean)) {
      if (await Promise.race([ended.then(() => true), pause(tickMs)])) break;
      if (this.givenUp) return;
      const counts = shared.u32(shared.threads.links_done() >>> 0, this.#threads.count);
      this.linked = counts.reduce((sum, count) => sum + count, 0);
      for (let i = 0; i < jobs.length; i++) {
        const count = counts[i] as number;
        still[i] = done[i] || count !== last[i] ? 0 : (still[i] as number) + 1;
        last[i] = count;
        if (moves && (still[i] as number) > (count === 0 ? 6 : 1) * ticksMost)
          throw new Error(`helper ${i} has given no sign for ${this.#environment.settings.helperStallMs} ms`);
      }
      onTick();
    }
    await ended;
  }

  #end(): void {
    for (const helper of this.#helpers) helper.end();
    this.#helpers = [];
  }
}

function requireOk({ status }: Answered): void {
  if (status !== Status.Ok) throw new Error(`a helper answered ${status}`);
}

function pause(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms));
}
