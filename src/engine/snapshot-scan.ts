/**
 * A scan that stays as the space was when its first item was asked for.
 *
 * It reads lazily, chunk by chunk, straight from the space. Only when somebody is about to write does it read ahead what is
 * left (`freeze`), within a budget; past the budget it is lost, and says so when the reader gets there.
 */

import type { ScanStep } from '../api/calls.ts';
import { shibuDbError } from '../api/errors.ts';

export interface ScanSource<Item> {
  /** The next items, at most `limit`, in order; none: the end. Each call goes on where the last one stopped. */
  read(limit: number): Item[];
  bytesOf(item: Item): number;
  cursorAt(item: Item): string;
  /** Bytes still to be loaded for an item, besides what was read. */
  farBytesOf?(item: Item): number;
}

/** A page takes about as long to ask for a step as to take a few hundred items from it. */
const chunkItems = 2048;
/** A step ends behind the item with which it has this much to load. */
const chunkFarBytes = 8 * 1024 * 1024;

export class SnapshotScan<Item> {
  readonly #source: ScanSource<Item>;
  readonly #budgetBytes: number;
  readonly #ahead: Item[] = [];
  #left: number;
  #begun = false;
  #ended = false;
  #lost = false;
  #cursor: string | undefined;

  constructor(source: ScanSource<Item>, limit: number, budgetBytes: number) {
    this.#source = source;
    this.#left = limit;
    this.#budgetBytes = budgetBytes;
  }

  get finished(): boolean {
    return this.#ended && this.#ahead.length === 0;
  }

  /** Behind the last item that was given out. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** @throws SNAPSHOT_LOST with `details.cursor` */
  next(): ScanStep<Item> {
    this.#begun = true;
    if (this.#ahead.length === 0 && !this.#ended) {
      if (this.#lost) {
        throw shibuDbError(
          'SNAPSHOT_LOST',
          'The space changed too much during the scan; go on with a new one from the cursor',
          {
            details: { cursor: this.#cursor },
          },
        );
      }
      this.#fill();
    }
    const items = this.#ahead.splice(0, this.#chunk());
    const last = items.at(-1);
    if (last !== undefined) this.#cursor = this.#source.cursorAt(last);
    return { items, done: this.finished, cursor: this.#cursor };
  }

  /** How many of the items read ahead make up a step. */
  #chunk(): number {
    const { farBytesOf } = this.#source;
    if (farBytesOf === undefined) return chunkItems;
    let bytes = 0;
    let items = 0;
    for (const item of this.#ahead) {
      bytes += farBytesOf(item);
      if (++items === chunkItems || bytes >= chunkFarBytes) break;
    }
    return items;
  }

  /** Called before the space changes. */
  freeze(): void {
    if (!this.#begun || this.#ended || this.#lost) return;
    let bytes = 0;
    for (const item of this.#ahead) bytes += this.#source.bytesOf(item);
    while (!this.#ended) {
      if (bytes > this.#budgetBytes) {
        this.#lost = true;
        return;
      }
      for (const item of this.#fill()) bytes += this.#source.bytesOf(item);
    }
  }

  /** The space is gone. */
  lose(): void {
    this.#lost = !this.#ended;
  }

  #fill(): Item[] {
    const items = this.#left === 0 ? [] : this.#source.read(Math.min(this.#left, chunkItems));
    this.#left -= items.length;
    this.#ended = items.length === 0 || this.#left === 0;
    this.#ahead.push(...items);
    return items;
  }
}
