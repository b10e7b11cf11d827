/**
 * Helpers: workers that do bulk work for an engine in a memory they share with it (kernel/threads.ts). Everything there is
 * temporary: what comes of it is copied into ordinary instances, or answered.
 */

import type { PackedHits } from '../api/calls.ts';
import type { VectorData } from '../api/database.ts';
import type { BuildName } from '../kernel/module.ts';
import type { HelperPlace } from '../kernel/threads.ts';
import type { ReadOptions, SearchEffort, VectorShape } from '../space/vector-space.ts';

/** How a worker is told that it is a helper: by its name. */
export const helperName = 'shibumi-helper';

/** What the platform has to offer. */
export interface Threads {
  /** How many helpers work at once: 2 or more. */
  readonly count: number;
  /** The core's build with threads; fetched when it is first asked for. */
  load(): Promise<WebAssembly.Module>;
  spawn(): Helper;
}

export interface Helper {
  /** One job at a time. Rejects when it fails or the helper is lost. */
  run(job: HelperJob): Promise<Answered>;
  /** Ends it whatever it does. */
  end(): void;
}

export type HelperJob = { readonly place: HelperPlace; readonly build: BuildName } & (
  | {
      /** Links what `links_begin` listed, together with the other helpers. */
      readonly kind: 'link';
    }
  | {
      /** After `link`: checks the whole graph. */
      readonly kind: 'check';
    }
  | ({ readonly kind: 'search' } & BatchJob)
);

/** Searches a space's image, together with the other helpers: each takes the next few queries that nobody has taken. */
export interface BatchJob {
  readonly shape: VectorShape;
  readonly queries: VectorData;
  readonly k: number;
  readonly effort: SearchEffort;
  readonly options: ReadOptions;
  /** The address of a counter: groups of `batchQueriesMax` queries that were taken. */
  readonly taken: number;
}

/** What a helper found for a group of queries. */
export interface FoundPart {
  readonly group: number;
  readonly hits: PackedHits;
}

export interface Answered {
  readonly status: number;
  /** Of `search`. */
  readonly parts?: readonly FoundPart[];
}

/** What is said of a job to whoever gave it. */
export type HelperAnswer = Answered | { readonly error: string };
