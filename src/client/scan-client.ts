/**
 * The caller's side of a scan: pulls it step by step, one ahead of what is taken; the session keeps the snapshot until it is
 * done, lost or closed.
 */

import type { ScanStep } from '../api/calls.ts';
import type { CallOptions, ChunksOptions, Entry, Scan, VectorData, VectorEntry } from '../api/database.ts';
import { isShibuDbError, shibuDbError } from '../api/errors.ts';
import { invalid, shown } from '../base/arguments.ts';
import { cursorAt } from '../base/cursor.ts';
import { EntryReader } from '../base/entry-columns.ts';
import type { TransferCaller } from './transfer.ts';

interface ScanCaller extends TransferCaller {
  /** There once the database is being closed. */
  readonly closing: Promise<void> | undefined;
  /** Takes the buffer of a step back. */
  giveBack(buffer: ArrayBuffer): void;
}

/** What is unpacked at a time for those who take items one by one: little of it outlives being looked at. */
const runItems = 256;

export class ScanClient<Item extends Entry | VectorEntry<VectorData>> implements Scan<Item> {
  readonly #caller: ScanCaller;
  readonly #open: () => Promise<number>;
  readonly #options: CallOptions;
  /** The last item taken: its cursor is made when it is asked for. */
  #taken: Item | undefined;
  #cursor: string | undefined;

  constructor(
    caller: ScanCaller,
    open: () => Promise<number>,
    options: CallOptions,
    cursor: string | undefined,
  ) {
    this.#caller = caller;
    this.#open = open;
    this.#options = options;
    this.#cursor = cursor;
  }

  get cursor(): string | undefined {
    return this.#taken === undefined ? this.#cursor : cursorAt(this.#taken);
  }

  [Symbol.asyncIterator](): AsyncIterator<Item, void, undefined> {
    return new ItemIterator(this.#steps(runItems, false), (item) => {
      this.#taken = item;
    });
  }

  async *chunks({ reuse = false }: ChunksOptions = {}): AsyncGenerator<Item[], void, undefined> {
    if (typeof reuse !== 'boolean') throw invalid(`Got ${shown(reuse)} for reuse, expected a boolean`);
    for await (const items of this.#steps(Number.POSITIVE_INFINITY, reuse)) {
      this.#taken = items.at(-1);
      yield items;
    }
  }

  /** What the steps hold, of columns at most so many items at a time; never none. `reuse`: what was taken is not needed any more. */
  async *#steps(most: number, reuse: boolean): AsyncGenerator<Item[], void, undefined> {
    const scan = await this.#open();
    const next = (): Promise<ScanStep<Item>> =>
      this.#caller.call('scanNext', { scan, packed: true }, this.#options) as Promise<ScanStep<Item>>;
    let done = false;
    let ahead: Promise<ScanStep<Item>> | undefined;
    try {
      for (let taken = 0; !done; taken++) {
        const step = await (ahead ?? next()).catch((error: unknown) => this.#lost(error));
        done = step.done;
        // Not behind the first: many want no more than that. If it fails, that is told where it is taken.
        ahead = done || taken === 0 ? undefined : next();
        ahead?.catch(() => {});
        if (step.items.length > 0) yield step.items;
        if (step.columns === undefined) continue;
        const entries = new EntryReader(step.columns);
        while (entries.left > 0) yield entries.take(most) as Item[];
        const { buffer } = step.columns.keys.heads;
        if (!entries.isViewed) this.#caller.giveBack(buffer);
        // Whoever kept a view after all finds it empty, and not another's bytes in it.
        else if (reuse) this.#caller.giveBack(structuredClone(buffer, { transfer: [buffer] }));
      }
    } finally {
      if (!done && this.#caller.closing === undefined) {
        await this.#caller.call('scanClose', { scan }).catch(() => {});
      }
    }
  }

  /** A session that never knew the scan, because the owner changed, cannot say where it stood. */
  #lost(error: unknown): never {
    if (isShibuDbError(error) && error.code === 'SNAPSHOT_LOST' && error.details.cursor === undefined) {
      const { cursor } = this;
      throw shibuDbError('SNAPSHOT_LOST', error.message, { details: { cursor }, cause: error });
    }
    throw error;
  }
}

/** The items of steps one by one. A generator would wait three turns for each; this waits once a step. */
class ItemIterator<Item> implements AsyncIterator<Item, void, undefined> {
  readonly #steps: AsyncGenerator<Item[], void, undefined>;
  readonly #onTaken: (item: Item) => void;
  #items: readonly Item[] = [];
  #at = 0;
  /** Calls made while a step is on its way are answered in their order. */
  #loading: Promise<unknown> | undefined;

  constructor(steps: AsyncGenerator<Item[], void, undefined>, onTaken: (item: Item) => void) {
    this.#steps = steps;
    this.#onTaken = onTaken;
  }

  next(): Promise<IteratorResult<Item, void>> {
    if (this.#loading !== undefined || this.#at === this.#items.length) return this.#nextStep();
    const value = this.#items[this.#at++] as Item;
    this.#onTaken(value);
    return Promise.resolve({ value, done: false });
  }

  async return(): Promise<IteratorResult<Item, void>> {
    this.#items = [];
    this.#at = 0;
    await this.#steps.return();
    return { value: undefined, done: true };
  }

  #nextStep(): Promise<IteratorResult<Item, void>> {
    const answer = (this.#loading ?? Promise.resolve()).then(async () => {
      if (this.#at === this.#items.length) {
        const step = await this.#steps.next();
        if (step.done) return { value: undefined, done: true as const };
        this.#items = step.value;
        this.#at = 0;
      }
      const value = this.#items[this.#at++] as Item;
      this.#onTaken(value);
      return { value, done: false as const };
    });
    const settled: Promise<unknown> = answer
      .catch(() => {})
      .then(() => {
        if (this.#loading === settled) this.#loading = undefined;
      });
    this.#loading = settled;
    return answer;
  }
}
