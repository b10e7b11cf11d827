/**
 * Scans of a sharded space. Each shard scans its part in the order of keys or ids, from a snapshot of its own; here the first of
 * their next items comes next. What is being moved may be in two parts: then the new owner's holds.
 */

import type { ScanStep } from '../../api/calls.ts';
import type { Entry, VectorData, VectorEntry, VectorId } from '../../api/database.ts';
import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import { invalid, shown } from '../../base/arguments.ts';
import { cursorAt } from '../../base/cursor.ts';
import type { ObjectTransport } from '../object-transport.ts';
import { idBefore } from './merge.ts';
import type { Shards } from './shard-map.ts';

type Item = Entry | VectorEntry<VectorData>;

/** A scan that is open at one shard. */
export interface ShardScan {
  next(): Promise<ScanStep<Item>>;
  close(): void;
}

export interface MergeOptions {
  /** Of what is given out. */
  readonly limit?: number | undefined;
  readonly reverse?: boolean | undefined;
}

const stepItems = 512;

/** Opens a scan at every shard of a space, at former owners before new ones. */
export async function openOnShards(
  shards: Shards,
  shardOf: (name: string) => Promise<ObjectTransport>,
  open: (shard: ObjectTransport) => Promise<number>,
): Promise<ShardScan[]> {
  const { sources, targets } = shards.inReadingOrder;
  const openAt = async (name: string): Promise<ShardScan> => {
    const shard = await shardOf(name);
    const scan = await open(shard);
    return {
      next: () => shard.call('scanNext', { scan }, {}),
      close: () => void shard.call('scanClose', { scan }, {}).catch(() => {}),
    };
  };
  const parts: ShardScan[] = [];
  try {
    for (const names of [sources, targets]) {
      const opened = await Promise.allSettled(names.map(openAt));
      for (const one of opened) if (one.status === 'fulfilled') parts.push(one.value);
      const failed = opened.find((one) => one.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    }
    return parts;
  } catch (error) {
    for (const part of parts) part.close();
    throw error;
  }
}

export class ShardedScans {
  readonly #open: Map<number, MergedScan> = new Map();
  #next = 1;

  /** @param parts former owners' before new ones' */
  keep(parts: readonly ShardScan[], options: MergeOptions): number {
    this.#open.set(this.#next, new MergedScan(parts, options));
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
  readonly #isReverse: boolean;
  #left: number;
  #cursor: string | undefined;

  constructor(
    parts: readonly ShardScan[],
    { limit = Number.POSITIVE_INFINITY, reverse = false }: MergeOptions,
  ) {
    this.#parts = parts.map((scan) => ({ scan, ahead: [], isDone: false }));
    this.#left = limit;
    this.#isReverse = reverse;
  }

  /** Behind the last item that was given out. */
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
    let first: Item | undefined;
    for (const { ahead } of this.#parts) {
      const [item] = ahead;
      // Of two that are alike the later one, which is the new owner's.
      if (item !== undefined && (first === undefined || !this.#comesBefore(first, item))) first = item;
    }
    if (first === undefined) return undefined;
    const place = placeOf(first);
    for (const { ahead } of this.#parts)
      if (ahead[0] !== undefined && placeOf(ahead[0]) === place) ahead.shift();
    return first;
  }

  #comesBefore(one: Item, other: Item): boolean {
    const [a, b] = [placeOf(one), placeOf(other)];
    return this.#isReverse ? idBefore(b, a) : idBefore(a, b);
  }

  close(): void {
    for (const { scan, isDone } of this.#parts) if (!isDone) scan.close();
  }
}

function placeOf(item: Item): VectorId {
  return 'key' in item ? item.key : item.id;
}
