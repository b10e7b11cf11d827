/**
 * How much memory the spaces of a database may take before clean blocks have to make room for others.
 *
 * Counted is the linear memory of all instances: what the runtime has given, and does not get back. So a space that needs
 * another block first uses frames it has given up, then grows while the budget allows, then drops a clean block of its own.
 */

import type { CoreInstance } from '../kernel/instance.ts';
import { blockBytes } from './resident-space.ts';

export const defaultMemoryBudgetBytes: number = 1024 * 1024 * 1024;

export class BlockBudget {
  readonly bytesMax: number;
  /** What a space may have whatever the others take. */
  readonly #framesLeast: number;
  readonly #instances: () => Iterable<CoreInstance>;

  constructor(bytesMax: number, framesLeast: number, instances: () => Iterable<CoreInstance>) {
    this.bytesMax = bytesMax;
    this.#framesLeast = framesLeast;
    this.#instances = instances;
  }

  get framesMax(): number {
    return Math.floor(this.bytesMax / blockBytes);
  }

  /** Whether all instances together have all of it. */
  get used(): boolean {
    return this.#usedBytes() >= this.bytesMax;
  }

  /** Whether they have half of it: what is changed and not stored yet, its copies for a checkpoint and a commit need room too. */
  get scarce(): boolean {
    return this.#usedBytes() >= this.bytesMax / 2;
  }

  #usedBytes(): number {
    let bytes = 0;
    for (const { memoryBytes } of this.#instances()) bytes += memoryBytes;
    return bytes;
  }

  /** How many frames too many the instance would have with so many more. */
  framesOver(instance: CoreInstance, frames: number): number {
    const { exports } = instance;
    const grown = frames - exports.arena_frames_free();
    if (grown <= 0) return 0;
    const used = exports.arena_frames_in_use() + frames;
    const over = Math.ceil((grown * blockBytes + this.#usedBytes() - this.bytesMax) / blockBytes);
    return Math.max(0, Math.min(over, used - this.#framesLeast, frames));
  }
}
