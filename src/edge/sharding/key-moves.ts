/**
 * Taking over the keys of a key-value space that has got new shards, while everybody reads and writes.
 *
 * A key that belongs here and may still be with its former owner is brought here before any call on it runs: stored here,
 * deleted there, then the call. Calls on one key and the batches that move all of them take turns, so a call finds what there
 * is, whatever it does with it (`increment`, `putIf`), and a copy that is left with the former owner, because something
 * failed in between, is never older than what is here.
 */

import type { Value } from '../../api/database.ts';
import type { Session } from '../../engine/session.ts';
import type { FormerOwner } from './former-owner.ts';
import { type Keys, KeyTurns } from './key-turns.ts';
import type { Shards } from './shard-map.ts';

/** What becomes of a key: `expiresAtMs` by the wall clock, which all shards share closely enough. */
export interface MovedEntry {
  readonly key: string;
  readonly value: Value;
  readonly expiresAtMs?: number;
}

export interface MovedEntries {
  readonly entries: readonly MovedEntry[];
  /** How many keys they are what is there of. */
  readonly looked: number;
}

/** A batch has so many keys, or so many bytes, at most; one more value may be larger. */
const batchKeys = 512;
const batchBytes = 256 * 1024;
/** Larger values are stored one by one: together they might be more than one call may put. */
const smallBytesMax = 1024 * 1024;
/** Of values in one answer: a message between objects has 32 MiB at most. One more may be larger. */
const answerBytes = 4 * 1024 * 1024;

type Calls = Pick<Session, 'call'>;

export class KeyMoves {
  readonly #formerOwner: (name: string) => Promise<FormerOwner>;
  readonly #admin: () => Promise<Calls>;
  readonly #turns: Map<string, KeyTurns> = new Map();
  /** Where the last batch ended, by space and successor. */
  readonly #cursors: Map<string, string> = new Map();

  /** @param admin a session of this shard that may do everything: who may only read brings keys here too */
  constructor(formerOwner: (name: string) => Promise<FormerOwner>, admin: () => Promise<Calls>) {
    this.#formerOwner = formerOwner;
    this.#admin = admin;
  }

  /** Runs a call on keys when all of them are here. `'all'`: it empties the space. */
  async run<Result>(space: string, shards: Shards, keys: Keys, run: () => Promise<Result>): Promise<Result> {
    if (shards.map.from === undefined) return run();
    if (keys === 'all') return this.#turnsOf(space).take(keys, run);
    const moving = keys.filter((key) => shards.formerOwnerOfKey(key) !== undefined);
    if (moving.length === 0) return run();
    return this.#turnsOf(space).take(moving, async () => {
      for (const [owner, theirs] of Map.groupBy(moving, (key) => shards.formerOwnerOfKey(key) as string))
        await this.#bring(owner, space, theirs);
      return run();
    });
  }

  /** Brings a batch here from a former owner. @returns how many keys it had; 0: everything is here */
  async pullFrom(source: string, space: string, self: string): Promise<number> {
    const owner = await this.#formerOwner(source);
    const keys = await owner.shardCall('shardKeys', { space, to: self });
    if (keys.length > 0) await this.#turnsOf(space).take(keys, () => this.#bring(source, space, keys));
    return keys.length;
  }

  async #bring(source: string, space: string, keys: readonly string[]): Promise<void> {
    const owner = await this.#formerOwner(source);
    for (let left = keys; left.length > 0; ) {
      const { entries, looked } = await owner.shardCall('shardEntries', { space, keys: left });
      if (entries.length > 0) await this.#takeOver(owner, space, entries);
      left = left.slice(looked);
    }
  }

  async #takeOver(owner: FormerOwner, space: string, entries: readonly MovedEntry[]): Promise<void> {
    const admin = await this.#admin();
    const puts = entries.flatMap(({ key, value, expiresAtMs }) => {
      if (expiresAtMs === undefined) return [{ key, value }];
      const ttlMs = Math.ceil(expiresAtMs - Date.now());
      return ttlMs > 0 ? [{ key, value, ttlMs }] : [];
    });
    const [small, large] = [puts.filter(isSmall), puts.filter((put) => !isSmall(put))];
    if (small.length > 0) await admin.call('putMany', { space, entries: small }, {});
    for (const put of large) await admin.call('put', { space, ...put }, {});
    // With durability `none` it would not be kept yet, and there it is deleted for good.
    const { durability } = await admin.call('describeSpace', { name: space }, {});
    if (durability === 'none') await admin.call('checkpoint', {}, {});
    await owner.shardCall('shardDropKeys', { space, keys: entries.map(({ key }) => key) });
  }

  #turnsOf(space: string): KeyTurns {
    let turns = this.#turns.get(space);
    if (turns === undefined) {
      turns = new KeyTurns();
      this.#turns.set(space, turns);
    }
    return turns;
  }

  // --- a former owner's side --------------------------------------------------------------------------------------

  /** Some of the keys that belong to `to`. Looks on where the last batch ended, and once more from the beginning. */
  async keysFor(space: string, to: string, shards: Shards, session: Calls): Promise<string[]> {
    const at = `${to}/${space}`;
    const begun = this.#cursors.get(at);
    const keys = await this.#keysFrom(space, to, shards, session, begun);
    // Everything is looked at once more before there is none: a batch may not have got there.
    if (keys.length > 0 || begun === undefined) return keys;
    this.#cursors.delete(at);
    return this.#keysFrom(space, to, shards, session, undefined);
  }

  async #keysFrom(
    space: string,
    to: string,
    shards: Shards,
    session: Calls,
    cursor: string | undefined,
  ): Promise<string[]> {
    const scan = await session.call('scanOpen', { space, ...(cursor === undefined ? {} : { cursor }) }, {});
    const keys: string[] = [];
    let bytes = 0;
    try {
      for (;;) {
        const step = await session.call('scanNext', { scan }, {});
        for (const { key, value } of step.items as { key: string; value: Value }[]) {
          if (shards.ownerOfKey(key) !== to) continue;
          keys.push(key);
          bytes += value.length;
          if (keys.length < batchKeys && bytes < batchBytes) continue;
          this.#cursors.set(`${to}/${space}`, `k${key}`);
          return keys;
        }
        if (step.done) return keys;
      }
    } finally {
      await session.call('scanClose', { scan }, {});
    }
  }

  /** What is there of the first of `keys`, as many as go into one answer. */
  async entries(space: string, keys: readonly string[], session: Calls): Promise<MovedEntries> {
    const entries: MovedEntry[] = [];
    let bytes = 0;
    let looked = 0;
    for (const key of keys) {
      if (bytes >= answerBytes) break;
      looked++;
      const value = await session.call('get', { space, key }, {});
      if (value === undefined) continue;
      bytes += value.length;
      const ttlMs = await session.call('ttl', { space, key }, {});
      if (ttlMs !== undefined) entries.push({ key, value, expiresAtMs: Date.now() + ttlMs });
      // One that has expired by now has no time to live either.
      else if (await session.call('exists', { space, key }, {})) entries.push({ key, value });
    }
    return { entries, looked };
  }
}

function isSmall({ value }: { value: Value }): boolean {
  return value.length <= smallBytesMax;
}
