/**
 * Room that is kept for the day on which the browser gives no more: a deletion writes a log record before it frees anything,
 * and a checkpoint writes new blocks before it drops the old ones. So a value of 2 MiB lies beside the data, and is deleted
 * when one of those meets `QUOTA_EXCEEDED`. From then on nothing that only grows the database is written until the reserve
 * could be made again: what deletions have freed is not at once filled up.
 *
 * Chromium's rules, as measured over both of its stores: a transaction that only deletes is always let through; one that puts is
 * refused when usage and what it puts are beyond the quota. What counts is the size of the files. A value of more than 64 KiB is a
 * file of its own (over LevelDB), and deleting it counts at once; small values are gone from the files when LevelDB compacts
 * them, which may be never, and until then deleting them makes the usage larger. So the reserve is one large value, and random,
 * because values are compressed.
 */

import { isShibuDbError } from '../api/errors.ts';

export const reserveBytes: number = 2 * 1024 * 1024;
/** The rest is for the log records of deletions. */
const lentBytesMax = reserveBytes - 256 * 1024;
const randomBytesMax = 65_536;

/** How long a reserve that could not be made is not tried again, unless something was dropped. */
const retryMs = 3000;
/** How long it is waited between two tries once the reserve was given away. */
const pausesMs = [10, 50, 200, 1000];

/**
 * `never`: none was made yet. `held`: it is there. `given`: it was, and is not.
 */
export type ReserveState = 'never' | 'held' | 'given';

export interface ReserveStore {
  /** Stores the reserve. @throws QUOTA_EXCEEDED */
  put(bytes: Uint8Array): Promise<void>;
  /** Deletes it; nothing else is written by it. */
  remove(): Promise<void>;
  /** The error that there is no room. */
  full(why: string): Promise<Error>;
}

export class QuotaReserve {
  readonly #store: ReserveStore;
  #state: ReserveState;
  #making: Promise<void> | undefined;
  #written = 0;
  /** Writes under way that lead to room. */
  #freeing = 0;
  #triedAtMs = Number.NEGATIVE_INFINITY;

  constructor(store: ReserveStore, state: ReserveState) {
    this.#store = store;
    this.#state = state;
  }

  /** Makes it if there is none. @throws QUOTA_EXCEEDED, and what else the store throws */
  private make(): Promise<void> {
    if (this.#state === 'held') return Promise.resolve();
    this.#making ??= this.#store
      .put(randomValue())
      .then(() => {
        this.#state = 'held';
      })
      .finally(() => {
        this.#making = undefined;
      });
    return this.#making;
  }

  /** The same, once there is as much data as makes it worth its room, if there is room. Nobody waits for it. */
  note(bytesWritten: number): void {
    if (this.#state === 'held') return;
    this.#written += bytesWritten;
    if (this.#state === 'given' || this.#written < reserveBytes) return;
    this.#written = 0;
    this.make().catch(() => {});
  }

  /** What was dropped may be room enough. */
  remake(): void {
    this.#triedAtMs = Number.NEGATIVE_INFINITY;
    if (this.#state === 'given' && this.#freeing === 0) this.make().catch(() => {});
  }

  /** Runs a write that only takes room: while the reserve is given away there is none. @throws QUOTA_EXCEEDED */
  growing(write: () => Promise<void>): Promise<void> {
    return this.#state === 'given' ? this.#makeAgain().then(write) : write();
  }

  /** Not too often, and not while a write that needs the room is on its way: they would take it from each other for ever. */
  async #makeAgain(): Promise<void> {
    if (this.#making !== undefined) return this.#making;
    const now = performance.now();
    if (this.#freeing > 0 || now < this.#triedAtMs + retryMs)
      throw await this.#store.full('what is deleted makes room, once the rest is stored anew');
    this.#triedAtMs = now;
    await this.make();
  }

  /**
   * Runs a write that leads to room when `bytes` are written in all; where there is none for it, once more with the reserve given
   * away. What would not fit there does not begin: it would take the room from deletions that do.
   */
  async freeing(bytes: number, write: () => Promise<void>): Promise<void> {
    if (this.#state === 'given' && bytes > lentBytesMax) {
      const message = `storing what is left takes ${bytes} bytes until the rest is dropped, and ${lentBytesMax} are kept for that; delete more`;
      throw await this.#store.full(message);
    }
    this.#freeing++;
    try {
      await write();
    } catch (error) {
      if (!isFull(error) || this.#state === 'never' || bytes > lentBytesMax) throw error;
      await this.#writtenSoon(write);
    } finally {
      this.#freeing--;
    }
  }

  /** The browser may take a moment to see that there is room again, over SQLite above all. */
  async #writtenSoon(write: () => Promise<void>): Promise<void> {
    for (const pauseMs of pausesMs) {
      await this.#give();
      try {
        await write();
        return;
      } catch (error) {
        if (!isFull(error)) throw error;
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
    await this.#give();
    await write();
  }

  async #give(): Promise<void> {
    await this.#making?.catch(() => {});
    if (this.#state !== 'held') return;
    this.#state = 'given';
    this.#triedAtMs = performance.now();
    await this.#store.remove();
  }
}

function isFull(error: unknown): boolean {
  return isShibuDbError(error) && error.code === 'QUOTA_EXCEEDED';
}

function randomValue(): Uint8Array {
  const bytes = new Uint8Array(reserveBytes);
  for (let at = 0; at < bytes.length; at += randomBytesMax)
    crypto.getRandomValues(bytes.subarray(at, at + randomBytesMax));
  return bytes;
}
