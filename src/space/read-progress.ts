/**
 * How far a read of vectors came that met originals that are not in memory. It is made again when they are, and goes on: so
 * however many originals it needs, only some of them have to be in memory at a time.
 *
 * What was kept counts only while the image and the vectors in it are what they were; else the read begins anew.
 */

import type { VectorData } from '../api/database.ts';
import type { CoreInstance } from '../kernel/instance.ts';
import type { Found } from './vector-space.ts';

/** Words of what a search of the core goes on from (wasm/exports_vector.cc: StoredProgress). */
export const progressWords = 4;

// Never written to: most reads find everything in memory and keep nothing.
const fromBeginning = new Uint32Array(progressWords);
const noSlots = new Uint32Array(0);
const noDistances = new Float32Array(0);

export class ReadProgress {
  #instance: CoreInstance | undefined;
  #version = 0;
  /** Searches that are done, in the order of their queries. */
  readonly found: Found[] = [];
  /** Originals that were copied out, by slot. */
  vectors: Map<number, VectorData> | undefined;
  /** Of the search under way: the core's words, and the hits so far. */
  core: Uint32Array = fromBeginning;
  slots: Uint32Array = noSlots;
  distances: Float32Array = noDistances;

  /** Forgets what does not count any more. */
  begin(instance: CoreInstance): void {
    const version = instance.exports.vec_version() >>> 0;
    if (instance !== this.#instance || version !== this.#version) {
      this.found.length = 0;
      this.vectors = undefined;
      this.next();
    }
    this.#instance = instance;
    this.#version = version;
  }

  /** The search under way has ended. */
  next(): void {
    this.core = fromBeginning;
    this.slots = noSlots;
    this.distances = noDistances;
  }
}
