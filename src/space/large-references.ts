/**
 * Which stored large values a space refers to. A value is stored, then named by the manifest as *pending*, then its put is
 * logged and applied; only from then on the space refers to it. What it refers to no more is *obsolete* until a checkpoint
 * drops it: before, a crash could bring back the log that needs it.
 */

import { shibuDbError } from '../api/errors.ts';
import {
  type LargeRange,
  type LargeValue,
  largeBlock,
  largeBlocksMax,
  largePieceBytes,
  largeSegment,
} from './large-value.ts';

export class LargeReferences {
  /** Whether the space may refer to a large value at all. */
  any = false;
  /** Named by the manifest, their puts under way. By first block. */
  readonly pending: Map<number, LargeRange> = new Map();
  /** Those the manifest had when the space was opened: whatever the log does not refer to is left from a crash. */
  readonly #inherited: Map<number, LargeRange> = new Map();
  #obsolete: LargeRange[] = [];
  #next = 0;

  /** Takes over what a manifest names. */
  adopt(blocks: Iterable<{ readonly block: number; readonly pendingPieces?: number }>): void {
    for (const { block, pendingPieces } of blocks) {
      if (block >>> 24 !== largeSegment) continue;
      const first = block & 0xffffff;
      this.any = true;
      this.#next = Math.max(this.#next, first + 1);
      if (pendingPieces !== undefined) this.#inherited.set(first, { first, pieces: pendingPieces });
    }
  }

  /**
   * Indices for the blocks of a new value; `taken` says which are not free.
   * @throws OUT_OF_MEMORY when 4 TiB have been used up
   */
  allocate(pieces: number, taken: ReadonlyMap<number, unknown>): number {
    let first = this.#next;
    if (first + pieces > largeBlocksMax) first = this.#gap(pieces, taken);
    this.#next = first + pieces;
    return first;
  }

  /** What was allocated for more pieces than came is free up to `end`, unless somebody has allocated behind it since. */
  giveBackUnused(end: number, used: number): void {
    if (this.#next === end) this.#next = used;
  }

  #gap(pieces: number, taken: ReadonlyMap<number, unknown>): number {
    const reserved = [...this.pending.values(), ...this.#inherited.values(), ...this.#obsolete];
    for (let first = 0, index = 0; index < largeBlocksMax; index++) {
      const used = taken.has(largeBlock(index)) || reserved.some((range) => contains(range, index));
      if (used) first = index + 1;
      else if (index - first + 1 === pieces) return first;
    }
    throw shibuDbError('OUT_OF_MEMORY', 'The space has no room for a large value; nothing was changed');
  }

  /** A put or delete was applied to a key that held `former` (if it was large) and now holds `current`. */
  replaced(former: LargeValue | undefined, current: LargeValue | undefined): void {
    if (current !== undefined) {
      this.any = true;
      this.pending.delete(current.first);
      this.#inherited.delete(current.first);
    }
    if (former !== undefined && (current === undefined || !former.is(current))) this.#obsolete.push(former);
  }

  /** A stored value will not be referred to after all. */
  abandon(range: LargeRange): void {
    if (this.pending.delete(range.first)) this.#obsolete.push(range);
  }

  get obsoleteBytes(): number {
    let pieces = 0;
    for (const range of this.#obsolete) pieces += range.pieces;
    return pieces * largePieceBytes;
  }

  /**
   * For the next manifest: what it need not name any more, and what it names as pending. With `keep` (somebody reads what
   * was there before) nothing is dropped, but named as pending, so that the next session drops it if nobody else does.
   * Requires: the log has been replayed.
   */
  forManifest(keep: boolean): { dropped: readonly LargeRange[]; pending: ReadonlyMap<number, LargeRange> } {
    const obsolete = [...this.#obsolete, ...this.#inherited.values()];
    const pending = new Map(this.pending);
    if (keep) for (const range of obsolete) pending.set(range.first, range);
    this.#inherited.clear();
    this.#obsolete = keep ? obsolete : [];
    return { dropped: keep ? [] : obsolete, pending };
  }

  /** The checkpoint that was to drop them failed. */
  giveBack(ranges: readonly LargeRange[]): void {
    this.#obsolete.push(...ranges);
  }
}

function contains({ first, pieces }: LargeRange, index: number): boolean {
  return index >= first && index < first + pieces;
}
