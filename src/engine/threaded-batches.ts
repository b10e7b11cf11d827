/**
 * Large batches of queries, answered by several threads: the space's image is copied into a temporary shared memory at one moment,
 * and helpers search there while the space goes on. The answers are those of that moment, and the same as one thread's.
 */

import type { PackedHits } from '../api/calls.ts';
import { Status } from '../kernel/status.ts';
import { SharedCore } from '../kernel/threads.ts';
import { vectorItems } from '../space/metrics.ts';
import { batchQueriesMax } from '../space/space.ts';
import { copyBlocks } from './copy-image.ts';
import type { BatchJob, Helper } from './helper.ts';
import { blockBytes, framesMax, type ResidentSpace } from './resident-space.ts';
import type { Environment } from './settings.ts';
import type { ThreadUse } from './thread-use.ts';

const tickMs = 50;
/** A copy is memory for nothing else; beyond that it is not made. */
const imageBytesMax = 1024 * 1024 * 1024;
/** What copying blocks into fresh memory costs, and starting helpers. */
const copyBytesPerMs = 1.5e6;
const startMs = 60;

export interface Batch extends Omit<BatchJob, 'shape' | 'taken'> {
  /** What a query took when it was tried. */
  readonly msPerQuery: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (queries: number) => void;
}

/** The hits of every group of queries, or `undefined` where this thread has to find them itself. @throws when it is aborted */
export async function searchByThreads(
  environment: Environment,
  use: ThreadUse,
  resident: ResidentSpace,
  { msPerQuery, signal, onProgress, ...batch }: Batch,
): Promise<PackedHits[] | undefined> {
  const { shape } = resident.vectors;
  const total = batch.queries.length / vectorItems(shape.dimension, shape.metric);
  const threads = use.now;
  if (threads === undefined) return undefined;
  const savedMs = total * msPerQuery * (1 - 1 / threads.count);
  if (!isWorthIt(resident, savedMs, environment.settings.threadedBatchGainMin)) return undefined;
  let helpers: Helper[] = [];
  try {
    const module = await threads.load();
    if (resident.broken) return undefined;
    const { build } = environment.cores;
    const shared = SharedCore.begin(module, build);
    shared.exports.arena_init(framesMax);
    if (!copyBlocks(resident.space.instance, shared)) return undefined;
    const taken = shared.area(16);
    const places = Array.from({ length: threads.count }, (_, thread) => shared.place(thread));
    const jobs = places.map((place) => ({ kind: 'search', build, shape, taken, ...batch, place }) as const);
    helpers = places.map(() => threads.spawn());
    const found = await watched(
      Promise.all(helpers.map((helper, i) => helper.run(jobs[i] as (typeof jobs)[number]))),
      () => Math.min(total, Atomics.load(shared.counter(taken), 0) * batchQueriesMax),
      { stallMs: environment.settings.helperStallMs, signal, onProgress },
    );
    const groups: PackedHits[] = [];
    for (const { status, parts = [] } of found) {
      if (status !== Status.Ok) throw new Error(`a helper answered ${status}`);
      for (const { group, hits } of parts) groups[group] = hits;
    }
    return groups;
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    use.failed(error);
    return undefined;
  } finally {
    for (const helper of helpers) helper.end();
  }
}

/** Whether that much time is worth a copy of the space. */
function isWorthIt({ space }: ResidentSpace, savedMs: number, gainMin: number): boolean {
  const imageBytes = space.instance.exports.arena_frames_in_use() * blockBytes;
  return imageBytes <= imageBytesMax && savedMs > gainMin * (startMs + imageBytes / copyBytesPerMs);
}

/** Waits for answers, as long as queries are taken or answered now and then. */
async function watched<Answer>(
  answers: Promise<Answer>,
  progress: () => number,
  { stallMs, signal, onProgress }: { stallMs: number } & Pick<Batch, 'signal' | 'onProgress'>,
): Promise<Answer> {
  // Helpers that are ended because of something else reject too.
  answers.catch(() => {});
  let last = 0;
  let still = 0;
  for (;;) {
    const pause = new Promise<undefined>((resolve) => setTimeout(resolve, tickMs));
    const found = await Promise.race([answers, pause]);
    if (found !== undefined) return found;
    signal?.throwIfAborted();
    const now = progress();
    still = now === last ? still + 1 : 0;
    last = now;
    // A group of queries takes its time, and so does a helper that has to load first.
    if (still * tickMs > 6 * stallMs) throw new Error(`helpers have given no sign for ${6 * stallMs} ms`);
    onProgress(now);
  }
}
