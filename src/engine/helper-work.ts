/** What a helper (helper.ts) does, in its own thread. */

import { Status } from '../kernel/status.ts';
import { SharedCore } from '../kernel/threads.ts';
import { vectorItems } from '../space/metrics.ts';
import { metadataPart } from '../space/parts.ts';
import { batchQueriesMax } from '../space/space.ts';
import type { BatchJob, FoundPart, HelperAnswer, HelperJob } from './helper.ts';
import { vectorsPart } from './parts.ts';

/** Nodes linked between two looks at whether there are more. */
const linksPerStep = 64;

/** What a helper does: it is told by messages, and answers each. */
export class HelperWork {
  #core: SharedCore | undefined;

  async answer(job: HelperJob): Promise<HelperAnswer> {
    try {
      // The thread it is stays the same from its first job on.
      this.#core ??= SharedCore.join(job.place, job.build);
      if (job.kind === 'search' && job.options.includeMetadata) await metadataPart.load();
      if (job.kind === 'search') return { status: Status.Ok, parts: searchGroups(this.#core, job) };
      const { threads } = this.#core;
      return { status: job.kind === 'check' ? threads.links_check() : link(this.#core, job.place.thread) };
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  }
}

function link({ threads }: SharedCore, thread: number): number {
  const status = threads.links_join(thread);
  if (status === Status.Ok) while (threads.links_work(thread, linksPerStep) > 0);
  return status;
}

function searchGroups(
  core: SharedCore,
  { shape, queries, k, effort, options, taken }: BatchJob,
): FoundPart[] {
  const space = new vectorsPart.loaded.VectorSpace(core, shape);
  space.open();
  const items = vectorItems(shape.dimension, shape.metric) * batchQueriesMax;
  const parts: FoundPart[] = [];
  for (;;) {
    const group = Atomics.add(core.counter(taken), 0, 1);
    if (group * items >= queries.length) return parts;
    const own = queries.subarray(group * items, (group + 1) * items);
    parts.push({ group, hits: space.searchBatch(own, k, effort, options) });
  }
}
