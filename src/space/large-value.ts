/**
 * A value too large for a space's memory. Its bytes are stored as consecutive blocks of a segment that is never brought into
 * memory (engine/large-values.ts); the tree holds this reference in its place:
 *
 *   large := first u32, generation u32, length u32, reserved u32
 *
 * `first` is the index of its first block, `generation` the one all its blocks have, `length` its bytes.
 */

/** Longer values are stored apart. Shorter ones are quicker to get from memory than from storage. */
export const largeValueBytes: number = 256 * 1024;
/** What one block of it holds; the last one holds the rest. */
export const largePieceBytes: number = 256 * 1024;
/** Below those of derived data (wasm/vector/format.h), above those of the trees (wasm/kv/kv_space.h). */
export const largeSegment = 7;
export const largeReferenceBytes = 16;
/** Block indices have 24 bits. */
export const largeBlocksMax: number = 2 ** 24;

/** Consecutive blocks of the segment of large values. */
export interface LargeRange {
  readonly first: number;
  readonly pieces: number;
}

export class LargeValue implements LargeRange {
  readonly first: number;
  readonly generation: number;
  readonly length: number;
  readonly isText: boolean;

  constructor(first: number, generation: number, length: number, isText: boolean) {
    this.first = first;
    this.generation = generation;
    this.length = length;
    this.isText = isText;
  }

  static decode(bytes: Uint8Array, at: number, isText: boolean): LargeValue {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, largeReferenceBytes);
    return new LargeValue(view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true), isText);
  }

  encode(target: Uint8Array, at: number): void {
    const view = new DataView(target.buffer, target.byteOffset + at, largeReferenceBytes);
    view.setUint32(0, this.first, true);
    view.setUint32(4, this.generation, true);
    view.setUint32(8, this.length, true);
    view.setUint32(12, 0, true);
  }

  get pieces(): number {
    return Math.ceil(this.length / largePieceBytes);
  }

  /** Whether both name the same stored bytes. */
  is(other: LargeValue): boolean {
    return this.first === other.first && this.generation === other.generation;
  }
}

/** The number of a block, as backends and manifests name it. */
export function largeBlock(index: number): number {
  return ((largeSegment << 24) | index) >>> 0;
}
