/**
 * Scans of a sharded space. Each shard scans its part in the order of ids, from a snapshot of its own; here the least of their
 * next vectors comes next. What is being moved may be in two parts: then the new owner's holds.
 */

import type { ScanStep } from '../../api/calls.ts';
import type { VectorData, VectorEntry } from '../../api/database.ts';
import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import { invalid, shown } from '../../base/arguments.ts';
import { cursorAt } from '../../base/cursor.ts';
import { idBefore } from './merge.ts';

type Item = VectorEntry<VectorData>;

/** A scan that is open at one shard. */
export interface ShardScan {
  next(): Promise<ScanStep<Item>>;
  close(): void;
}

const stepItems = 512;

export class ShardedScans {
  readonly #open: Map<number, MergedScan> = new Map();
  #next = 1;

  /** @param parts former owners' before new ones' */
  keep(parts: readonly ShardScan[], limit: number): number {
    this.#open.set(this.#next, new MergedScan(parts, limit));
    return this.#next++;
  }

  /** @throws SNAPSHOT_LOST with `details.cursor` */
  async step(id: number): Promise<ScanStep<Item>> {
    const scan = this.#open.get(id);
    if (scan === undefined) throw invalid(`Got scan ${shown(id)}, which is not open`);
    try {
      const step = await scan.next();
      if (step.done) this.close(id);
      return step;
    } catch (error) {
      this.close(id);
      if (!isShibuDbError(error) || error.code !== 'SNAPSHOT_LOST') throw error;
      throw shibuDbError('SNAPSHOT_LOST', error.message, { cause: error, details: { cursor: scan.cursor } });
    }
  }

  close(id: number): void {
    this.#open.get(id)?.close();
    this.#open.delete(id);
  }
}

class MergedScan {
  readonly #parts: { readonly scan: ShardScan; ahead: Item[]; isDone: boolean }[];
  #left: number;
  #cursor: string | undefined;

  constructor(parts: readonly ShardScan[], limit: number) {
    this.#parts = parts.map((scan) => ({ scan, ahead: [], isDone: false }));
    this.#left = limit;
  }

  /** Behind the last vector that was given out. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  async next(): Promise<ScanStep<Item>> {
    const items: Item[] = [];
    while (items.length < Math.min(stepItems, this.#left)) {
      await this.#fill();
      const item = this.#take();
      if (item === undefined) break;
      items.push(item);
    }
    this.#left -= items.length;
    const last = items.at(-1);
    if (last !== undefined) this.#cursor = cursorAt(last);
    await this.#fill();
    const done = this.#left === 0 || this.#parts.every(({ ahead }) => ahead.length === 0);
    return { items, done, cursor: this.#cursor };
  }

  /** Until every part that has more has something here. */
  async #fill(): Promise<void> {
    const empty = this.#parts.filter(({ ahead, isDone }) => ahead.length === 0 && !isDone);
    if (empty.length === 0) return;
    await Promise.all(
      empty.map(async (part) => {
        while (part.ahead.length === 0 && !part.isDone) {
          const { items, done } = await part.scan.next();
          part.ahead = items;
          part.isDone = done;
        }
      }),
    );
  }

  #take(): Item | undefined {
    let least: Item | undefined;
    for (const { ahead } of this.#parts) {
      const [item] = ahead;
      if (item !== undefined && (least === undefined || !idBefore(least.id, item.id))) least = item;
    }
    if (least === undefined) return undefined;
    for (const { ahead } of this.#parts) if (ahead[0]?.id === least.id) ahead.shift();
    return least;
  }

  close(): void {
    for (const { scan, isDone } of this.#parts) if (!isDone) scan.close();
  }
}
