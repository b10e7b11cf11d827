/**
 * A scan that stays as the space was when its first item was asked for.
 *
 * It reads lazily, chunk by chunk, straight from the space. Only when somebody is about to write does it read ahead what is
 * left (`freeze`), within a budget; past the budget it is lost, and says so when the reader gets there.
 */

import { shibuDbError } from '../api/errors.ts';

export interface ScanSource<Chunk> {
  /** The next chunks, none of them empty, with at most `limit` items together. Each call goes on where the last one stopped. */
  read(limit: number): ReadChunks<Chunk>;
  countOf(chunk: Chunk): number;
  bytesOf(chunk: Chunk): number;
  /** Behind its last item. */
  cursorAt(chunk: Chunk): string;
}

export interface ReadChunks<Chunk> {
  /** None: the end. */
  readonly chunks: readonly Chunk[];
  /** There are no more. */
  readonly ended: boolean;
}

/** What a step gives: a chunk as it was read; `undefined`: nothing is left. */
export interface ChunkStep<Chunk> {
  readonly chunk: Chunk | undefined;
  readonly done: boolean;
  readonly cursor: string | undefined;
}

/** A page takes about as long to ask for a step as to take a few hundred items from it. */
const chunkItems = 2048;

export class SnapshotScan<Chunk> {
  readonly #source: ScanSource<Chunk>;
  readonly #budgetBytes: number;
  #ahead: Chunk[] = [];
  #left: number;
  #begun = false;
  #ended = false;
  #lost = false;
  #cursor: string | undefined;

  constructor(source: ScanSource<Chunk>, limit: number, budgetBytes: number) {
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
  next(): ChunkStep<Chunk> {
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
    const chunk = this.#ahead.shift();
    if (chunk !== undefined) this.#cursor = this.#source.cursorAt(chunk);
    return { chunk, done: this.finished, cursor: this.#cursor };
  }

  /** Called before the space changes. */
  freeze(): void {
    if (!this.#begun || this.#ended || this.#lost) return;
    let bytes = this.#bytesOf(this.#ahead);
    while (!this.#ended) {
      if (bytes > this.#budgetBytes) {
        this.#lost = true;
        return;
      }
      bytes += this.#bytesOf(this.#fill());
    }
  }

  /** The space is gone. */
  lose(): void {
    this.#lost = !this.#ended;
  }

  #bytesOf(chunks: readonly Chunk[]): number {
    let bytes = 0;
    for (const chunk of chunks) bytes += this.#source.bytesOf(chunk);
    return bytes;
  }

  #fill(): readonly Chunk[] {
    const most = Math.min(this.#left, chunkItems);
    const { chunks, ended } = most === 0 ? { chunks: [], ended: true } : this.#source.read(most);
    for (const chunk of chunks) this.#left -= this.#source.countOf(chunk);
    this.#ended = ended || chunks.length === 0 || this.#left === 0;
    this.#ahead.push(...chunks);
    return chunks;
  }
}
