/**
 * What the engine needs of a space, whichever its kind: plan, apply, open, and maintenance in slices.
 *
 * A space is synchronous and knows nothing of storage: it turns keys and ids into numbers for its core instance.
 */

import type { CoreInstance } from '../kernel/instance.ts';
import type { OperationView } from './operation.ts';

/** What operations may need, added up: how many keys or vectors they touch, and the bytes of those (vectors: of their ids). */
export interface Need {
  readonly count: number;
  readonly bytes: number;
  /** Bytes of the largest operation as it is applied: the scratch memory it passes through. Default `bytes`. */
  readonly largest?: number;
  /** Some of the keys get a deadline. */
  readonly deadlines?: boolean;
  /** Vectors that are removed and not replaced; `count` does not have them. */
  readonly removals?: number;
  /** Metadata that is written: `updates` to vectors that are there; indexed values and bytes of all records and patches. */
  readonly metadata?: { readonly updates: number; readonly values: number; readonly bytes: number };
}

export interface Space {
  readonly instance: CoreInstance;
  /** Makes an empty image. */
  create(): void;
  /** Checks the image whose blocks have been adopted, `deep` every reference in it, and readies it. @throws CORRUPTION */
  open(deep?: boolean): void;
  /** Upper bound of the frames that operations which need so much together may take. */
  plan(need: Need): number;
  /**
   * Sees that what applying an operation now would touch is in memory. What is applied before it may ask for more: then
   * `apply` throws the same, with nothing changed.
   *
   * @throws AbsentBlocks
   */
  ready(operation: OperationView): void;
  /**
   * Applies one operation that was checked and for which memory is promised (`arena_hold`) or can still be had.
   * Returns the outcome: whether a key or id was there, for those that ask.
   */
  apply(operation: OperationView): boolean;
  /** Entries or vectors there are. */
  count(): number;
  /** What part of the room that was ever taken is free again, from 0 to 1: what compacting would give back. */
  slack(): number;
  /** Items whose derived data (index links) is still to be made. */
  pending(): number;
  /** Makes some of it; about `most` items. Returns how many remain. */
  maintain(most: number): number;
}

/** Segments from here on hold derived data (wasm/vector/format.h): lost, they are made again from the primary data. */
export const firstDerivedSegment = 8;

/** Segments' group bits, for checkpoints (wasm/core/arena.h). */
export const GroupMask = { Primary: 1, Derived: 2 } as const;

/** Segments of a key-value space's trees from key to value and from deadline to key (wasm/kv/kv_space.h). */
export const keyValueTreeSegment = 1;
export const deadlinesSegment = 2;
/** Segment of the originals of a vector space (wasm/vector/format.h). */
export const originalsSegment = 1;

/** wasm/index/batch_scan.h: kBatchMost */
export const batchQueriesMax = 32;
