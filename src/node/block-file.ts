/**
 * The blocks of one space: one file `blocks` of equal slots, and the file `manifest` that says what is where.
 *
 *   manifest := envelope(block index), envelope(manifest of the engine)
 *   index    := slot_bytes u32, count u32, count x { block u32, generation u32, slot u32, used_bytes u32 }
 *
 * A block is written to a slot that the published index does not name, so that a crash never finds a half-written block:
 * blocks are flushed, then the manifest file is replaced as a whole, and from then on they count. Blocks that were
 * written but never published are forgotten by the next open. A file a block would cost a flush a block (600 blocks on
 * ext4: two to three times slower); a file a checkpoint would keep its dead blocks until the last one has died.
 *
 * When most slots are free (a compacted space), the blocks at the end are copied to the beginning and count there from a second
 * replacement of the manifest file on, so that the file becomes shorter.
 */

import path from 'node:path';
import { isShibuDbError } from '../api/errors.ts';
import { assert } from '../base/assert.ts';
import type { BlockName, StoredBlock } from '../storage/backend.ts';
import { type Checksum, EnvelopeKind, envelopeHeaderBytes, seal, unseal } from '../storage/envelope.ts';
import { type FileSystem, flushed, type OpenFile, replaceFile } from './file-system.ts';

/** A block of an image. */
export const plainBlockBytes: number = 256 * 1024;
/** Slots begin at a page of the system's. */
const pageBytes = 4096;
/** Blocks are moved down when the file has more than twice as many slots as it needs, and 16 more. */
const slotsMoved = 2;
const slotsKept = 16;
const indexFixedBytes = 8;
const indexEntryBytes = 16;

interface Placed extends BlockName {
  readonly slot: number;
  readonly usedBytes: number;
}

const keyOf = ({ block, generation }: BlockName): string => `${block}/${generation}`;

export class BlockFile {
  readonly #files: FileSystem;
  readonly #folder: string;
  readonly #checksum: Checksum;
  readonly #placed: Map<string, Placed> = new Map();
  #slotBytes: number;
  /** Which slots are taken, by number. */
  readonly #taken: boolean[] = [];
  /** Open from the first write of a checkpoint to its end, so that a late write error meets the flush. */
  #writing: OpenFile | undefined;
  #dirty = false;
  /** The engine's manifest as it was last published. */
  #manifest: Uint8Array | undefined;

  constructor(
    files: FileSystem,
    folder: string,
    checksum: Checksum,
    blockBytesMax: number = plainBlockBytes,
  ) {
    this.#slotBytes = Math.ceil(blockBytesMax / pageBytes) * pageBytes;
    this.#files = files;
    this.#folder = folder;
    this.#checksum = checksum;
  }

  /** Reads the index; answers with the engine's manifest, or with what is there when it is damaged. */
  async load(): Promise<Uint8Array | undefined> {
    const bytes = await this.#files.readFile(this.#manifestPath);
    if (bytes === undefined) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const end = bytes.length < envelopeHeaderBytes ? 0 : envelopeHeaderBytes + view.getUint32(8, true);
    try {
      this.#readIndex(
        unseal(bytes.slice(0, end), EnvelopeKind.BlockIndex, this.#checksum, 'The block index'),
      );
    } catch (error) {
      // The engine finds the same damage in these bytes, and can say which space it is; the others stay usable.
      if (isShibuDbError(error) && error.code === 'CORRUPTION') return bytes.slice(0, end);
      throw error;
    }
    this.#manifest = bytes.slice(end);
    return this.#manifest;
  }

  #readIndex(payload: Uint8Array): void {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    this.#slotBytes = view.getUint32(0, true);
    for (let at = indexFixedBytes; at < payload.length; at += indexEntryBytes) {
      this.#place({
        block: view.getUint32(at, true),
        generation: view.getUint32(at + 4, true),
        slot: view.getUint32(at + 8, true),
        usedBytes: view.getUint32(at + 12, true),
      });
    }
  }

  #encodeIndex(): Uint8Array {
    const buffer = new Uint8Array(
      envelopeHeaderBytes + indexFixedBytes + this.#placed.size * indexEntryBytes,
    );
    const view = new DataView(buffer.buffer, envelopeHeaderBytes);
    view.setUint32(0, this.#slotBytes, true);
    view.setUint32(4, this.#placed.size, true);
    let at = indexFixedBytes;
    for (const { block, generation, slot, usedBytes } of this.#placed.values()) {
      view.setUint32(at, block, true);
      view.setUint32(at + 4, generation, true);
      view.setUint32(at + 8, slot, true);
      view.setUint32(at + 12, usedBytes, true);
      at += indexEntryBytes;
    }
    return seal(buffer, EnvelopeKind.BlockIndex, this.#checksum);
  }

  list(): BlockName[] {
    return [...this.#placed.values()].map(({ block, generation }) => ({ block, generation }));
  }

  /** Fewer bytes than stored, or `undefined`, where the file was damaged: the engine checks what it gets. */
  async read(names: readonly BlockName[]): Promise<(Uint8Array | undefined)[]> {
    const placed = names.map((name) => this.#placed.get(keyOf(name)));
    if (placed.every((place) => place === undefined)) return placed.map(() => undefined);
    const file = await this.#files.open(this.#blocksPath, 'read');
    try {
      return await Promise.all(
        placed.map((place) => place && file.read(place.slot * this.#slotBytes, place.usedBytes)),
      );
    } finally {
      await file.close();
    }
  }

  async write(blocks: readonly StoredBlock[]): Promise<void> {
    this.#writing ??= await this.#openForWriting();
    const file = this.#writing;
    this.#dirty = true;
    const places: Placed[] = [];
    let slot = -1;
    // A checkpoint that failed is tried again under the same names.
    for (const name of blocks) this.#free(name);
    try {
      for (const { block, generation, bytes } of blocks) {
        assert(bytes.length <= this.#slotBytes, `a block has at most ${this.#slotBytes} bytes`);
        slot = this.#freeSlotBehind(slot);
        this.#taken[slot] = true;
        places.push({ block, generation, slot, usedBytes: bytes.length });
      }
      await settled(
        blocks.map(({ bytes }, i) => file.write([bytes], (places[i] as Placed).slot * this.#slotBytes)),
      );
    } catch (error) {
      for (const { slot } of places) this.#taken[slot] = false;
      throw error;
    }
    for (const place of places) this.#place(place);
  }

  async publish(manifest: Uint8Array): Promise<void> {
    const file = this.#writing;
    if (file !== undefined && this.#dirty) {
      await flushed(() => file.flush(), file.path);
      this.#dirty = false;
    }
    await replaceFile(this.#files, this.#manifestPath, [this.#encodeIndex(), manifest]);
    this.#manifest = manifest;
  }

  /** Frees slots, and gives the file's end back to the system when nothing is there any more. */
  async drop(names: readonly BlockName[]): Promise<void> {
    for (const name of names) this.#free(name);
    await this.#moveDown();
    const before = this.#taken.length;
    while (this.#taken.length > 0 && !this.#taken.at(-1)) this.#taken.pop();
    if (this.#taken.length < before) {
      this.#writing ??= await this.#openForWriting();
      await this.#writing.truncate(this.#taken.length * this.#slotBytes);
    }
    // A flush that a failed checkpoint left undone is done by the next one, through this same descriptor.
    if (!this.#dirty) await this.close();
  }

  /** Requires: nothing was written since the last publication. */
  async #moveDown(): Promise<void> {
    const count = this.#placed.size;
    if (this.#dirty || this.#manifest === undefined || this.#taken.length < slotsMoved * count + slotsKept)
      return;
    const behind = [...this.#placed.values()].filter(({ slot }) => slot >= count);
    this.#writing ??= await this.#openForWriting();
    const file = this.#writing;
    const moved: Placed[] = [];
    const reading = await this.#files.open(this.#blocksPath, 'read');
    try {
      let slot = -1;
      for (const place of behind) {
        slot = this.#freeSlotBehind(slot);
        await file.write(
          [await reading.read(place.slot * this.#slotBytes, place.usedBytes)],
          slot * this.#slotBytes,
        );
        moved.push({ ...place, slot });
      }
    } finally {
      await reading.close();
    }
    await flushed(() => file.flush(), file.path);
    this.#replace(moved);
    try {
      await replaceFile(this.#files, this.#manifestPath, [this.#encodeIndex(), this.#manifest]);
    } catch (error) {
      // On the disk the former places count: nothing may be written there.
      this.#replace(behind);
      throw error;
    }
  }

  #replace(places: readonly Placed[]): void {
    for (const place of places) {
      this.#free(place);
      this.#place(place);
    }
  }

  async bytes(): Promise<number> {
    return (await this.#files.bytesOf(this.#blocksPath)) + (await this.#files.bytesOf(this.#manifestPath));
  }

  async close(): Promise<void> {
    const file = this.#writing;
    this.#writing = undefined;
    await file?.close();
  }

  get #blocksPath(): string {
    return path.join(this.#folder, 'blocks');
  }

  get #manifestPath(): string {
    return path.join(this.#folder, 'manifest');
  }

  async #openForWriting(): Promise<OpenFile> {
    if ((await this.#files.list(this.#folder)).includes('blocks')) {
      return this.#files.open(this.#blocksPath, 'update');
    }
    const file = await this.#files.open(this.#blocksPath, 'create');
    await flushed(() => this.#files.flushFolder(this.#folder), this.#folder);
    return file;
  }

  #place(place: Placed): void {
    this.#placed.set(keyOf(place), place);
    this.#taken[place.slot] = true;
  }

  #free(name: BlockName): void {
    const place = this.#placed.get(keyOf(name));
    if (place === undefined) return;
    this.#placed.delete(keyOf(name));
    this.#taken[place.slot] = false;
  }

  /** The lowest one, so that the end of the file empties. */
  #freeSlotBehind(former: number): number {
    let slot = former + 1;
    while (this.#taken[slot]) slot++;
    return slot;
  }
}

/** Waits for all, also when one fails: nothing may still be written to slots that were given up. */
async function settled(writes: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(writes)) {
    if (result.status === 'rejected') throw result.reason;
  }
}
