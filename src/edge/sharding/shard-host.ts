/**
 * A shard's side of sharding: it keeps the maps of its sharded spaces, refuses calls that were made by another version of
 * one, and takes over the part that becomes its own.
 *
 * Taking over while everybody reads and writes. What belongs here by the new map, and may still lie with its former owner:
 *   a write     is done here, then deleted there, then acknowledged. Nothing there is ever newer than what is here.
 *   a batch     is read there, stored here, deleted there. Ids that are being written here, or were since the batch was read,
 *               are left out of it: their write takes care of them, and if it fails they come with another batch.
 * Searches ask the former owners first and the new one after them: what moves between the two is then found twice, never not
 * at all.
 */

import type { Metadata, VectorData, VectorEntry, VectorId } from '../../api/database.ts';
import { shibuDbError } from '../../api/errors.ts';
import { invalid, shown } from '../../base/arguments.ts';
import type { Session } from '../../engine/session.ts';
import type { SqlStorage } from '../durable-storage.ts';
import type { FormerOwner } from './former-owner.ts';
import { KeyMoves, type MovedEntries } from './key-moves.ts';
import type { Keys } from './key-turns.ts';
import { type ShardMap, Shards } from './shard-map.ts';

export interface ShardPage {
  readonly ids: readonly VectorId[];
  readonly vectors: VectorData | undefined;
  readonly metadata: readonly (Metadata | undefined)[];
}

/** Bytes of a batch: it is stored as one chunk, so that no write can come in between. */
const pageBytes = 256 * 1024;
/** Vectors looked at for one page: most of them stay where they are. */
const lookedAtMax = 4096;

const noPage: ShardPage = { ids: [], vectors: undefined, metadata: [] };

interface Kept {
  readonly self: string;
  readonly shards: Shards;
}

export class ShardHost {
  readonly #sql: SqlStorage;
  readonly #table: string;
  readonly #formerOwner: (name: string) => Promise<FormerOwner>;
  readonly #keyMoves: KeyMoves;
  readonly #kept: Map<string, Kept> = new Map();
  /** Ids that are being written, by space, with how often; and those written since the batch under way was read. */
  readonly #writing: Map<string, number> = new Map();
  readonly #underWay: Set<Promise<unknown>> = new Set();
  readonly #batches: Set<Set<string>> = new Set();
  /** Where the last page ended, by space and successor. */
  readonly #cursors: Map<string, string | undefined> = new Map();

  /**
   * @param formerOwner another shard, signed in as an admin
   * @param admin a session of this one that may do everything
   */
  constructor(
    sql: SqlStorage,
    prefix: string,
    formerOwner: (name: string) => Promise<FormerOwner>,
    admin: () => Promise<Pick<Session, 'call'>>,
  ) {
    this.#sql = sql;
    this.#table = `${prefix}_shards`;
    this.#formerOwner = formerOwner;
    this.#keyMoves = new KeyMoves(formerOwner, admin);
    sql.exec(`CREATE TABLE IF NOT EXISTS ${this.#table} (space TEXT PRIMARY KEY, self TEXT, map TEXT)`);
    for (const { space, self, map } of sql.exec(`SELECT space, self, map FROM ${this.#table}`).toArray()) {
      const shards = new Shards(JSON.parse(map as string) as ShardMap);
      this.#kept.set(space as string, { self: self as string, shards });
    }
  }

  get any(): boolean {
    return this.#kept.size > 0;
  }

  mapOf(space: string): ShardMap | undefined {
    return this.#kept.get(space)?.shards.map;
  }

  /**
   * Takes a map that is newer than its own; an older one changes nothing. Writes by the old one that have been let in are
   * done when it resolves. @returns the map there is now
   */
  async adopt(space: string, self: string, map: ShardMap): Promise<ShardMap> {
    const known = this.mapOf(space);
    if (known !== undefined && known.version >= map.version) return known;
    if (!map.shards.includes(self) && !map.from?.includes(self))
      throw invalid(`Got ${shown(self)} for the shard, expected one of ${map.shards.join(', ')}`);
    this.#sql.exec(
      `INSERT OR REPLACE INTO ${this.#table} (space, self, map) VALUES (?, ?, ?)`,
      space,
      self,
      JSON.stringify(map),
    );
    this.#kept.set(space, { self, shards: new Shards(map) });
    await Promise.allSettled(this.#underWay);
    return map;
  }

  /** The space is deleted. */
  forget(space: string): void {
    this.#sql.exec(`DELETE FROM ${this.#table} WHERE space = ?`, space);
    this.#kept.delete(space);
  }

  /** Runs a write of `ids`, which belong here by the map there is. */
  write<Result>(space: string, ids: readonly VectorId[], run: () => Promise<Result>): Promise<Result> {
    return this.#letIn(this.#write(space, ids, run));
  }

  /** Runs a call on `keys`, which belong here by the map there is, reads included; `'all'`: one that empties the space. */
  onKeys<Result>(space: string, keys: Keys, run: () => Promise<Result>): Promise<Result> {
    const shards = this.#kept.get(space)?.shards;
    return this.#letIn(shards === undefined ? run() : this.#keyMoves.run(space, shards, keys, run));
  }

  async #letIn<Result>(written: Promise<Result>): Promise<Result> {
    this.#underWay.add(written);
    try {
      return await written;
    } finally {
      this.#underWay.delete(written);
    }
  }

  async #write<Result>(space: string, ids: readonly VectorId[], run: () => Promise<Result>): Promise<Result> {
    const kept = this.#kept.get(space);
    if (kept === undefined) return run();
    const moving = ids.filter((id) => kept.shards.formerOwnerOf(id) !== undefined);
    if (moving.length === 0) return run();
    const keys = moving.map((id) => keyOf(space, id));
    for (const key of keys) {
      this.#writing.set(key, (this.#writing.get(key) ?? 0) + 1);
      for (const touched of this.#batches) touched.add(key);
    }
    try {
      const result = await run();
      const byOwner = Map.groupBy(moving, (id) => kept.shards.formerOwnerOf(id) as string);
      for (const [owner, theirs] of byOwner)
        await await (await this.#formerOwner(owner)).shardCall('shardDrop', { space, ids: theirs });
      return result;
    } finally {
      for (const key of keys) {
        const left = (this.#writing.get(key) ?? 1) - 1;
        if (left === 0) this.#writing.delete(key);
        else this.#writing.set(key, left);
      }
    }
  }

  /** Brings everything here that a vector may be among which is to be changed in part: whole, a write replaces it anyway. */
  async gather(space: string, id: VectorId, session: Session): Promise<void> {
    while (this.#kept.get(space)?.shards.formerOwnerOf(id) !== undefined)
      if ((await this.pull(space, session)) === 0) return;
  }

  /** @throws UNSUPPORTED unless the caller goes by the map */
  refuseStrangers(space: string): void {
    if (!this.#kept.has(space)) return;
    throw shibuDbError(
      'UNSUPPORTED',
      `The space "${space}" is sharded over several objects: write to it through connectSharded`,
    );
  }

  // --- moving -----------------------------------------------------------------------------------------------------

  /** Moves one batch here. @returns how many vectors or keys it had; 0: everything is here */
  async pull(space: string, session: Session): Promise<number> {
    const kept = this.#kept.get(space);
    if (kept === undefined) return 0;
    for (const source of kept.shards.sourcesOf(kept.self)) {
      const moved =
        kept.shards.map.engine === 'key-value'
          ? await this.#keyMoves.pullFrom(source, space, kept.self)
          : await this.#pullFrom(source, space, kept.self, session);
      if (moved > 0) return moved;
    }
    return 0;
  }

  async #pullFrom(source: string, space: string, self: string, session: Session): Promise<number> {
    const owner = await this.#formerOwner(source);
    const touched = new Set(this.#writing.keys());
    this.#batches.add(touched);
    try {
      const { ids, vectors, metadata } = await owner.shardCall('shardPage', { space, to: self });
      if (ids.length === 0 || vectors === undefined) return 0;
      const rows = [...ids.keys()].filter((row) => !touched.has(keyOf(space, ids[row] as VectorId)));
      const taken = {
        ids: rows.map((row) => ids[row] as VectorId),
        vectors: rowsOf(vectors, ids.length, rows),
        metadata: rows.map((row) => metadata[row]),
      };
      if (rows.length > 0) {
        // Submitted in this turn, as one chunk: whatever is written from now on comes after it.
        await session.call('insertVectors', { space, ...taken }, {});
        // With durability `none` it would not be kept yet, and there it is deleted for good.
        await session.call('checkpoint', {}, {});
        await owner.shardCall('shardDrop', { space, ids: taken.ids });
      }
      return ids.length;
    } finally {
      this.#batches.delete(touched);
    }
  }

  /** A page of what belongs to `to`. Looks on where the last page ended, and once more from the beginning. */
  async page(space: string, to: string, session: Session): Promise<ShardPage> {
    const kept = this.#kept.get(space);
    if (kept === undefined) return noPage;
    const key = `${to}/${space}`;
    const begun = this.#cursors.get(key);
    const page = await this.#pageFrom(space, to, session, kept.shards, begun);
    // Everything is looked at once more before there is none: something may have come in behind the cursor.
    if (page.ids.length > 0 || begun === undefined) return page;
    this.#cursors.delete(key);
    return this.#pageFrom(space, to, session, kept.shards, undefined);
  }

  /** Some of the keys that belong to `to`. */
  keysFor(space: string, to: string, session: Session): Promise<string[]> {
    const shards = this.#kept.get(space)?.shards;
    return shards === undefined ? Promise.resolve([]) : this.#keyMoves.keysFor(space, to, shards, session);
  }

  entries(space: string, keys: readonly string[], session: Session): Promise<MovedEntries> {
    return this.#keyMoves.entries(space, keys, session);
  }

  async #pageFrom(
    space: string,
    to: string,
    session: Session,
    shards: Shards,
    cursor: string | undefined,
  ): Promise<ShardPage> {
    let from = cursor;
    for (;;) {
      const options = { limit: lookedAtMax, ...(from === undefined ? {} : { cursor: from }) };
      const entries = await scanned(session, space, options);
      const ids: VectorId[] = [];
      const vectors: VectorData[] = [];
      const records: (Metadata | undefined)[] = [];
      let bytes = 0;
      for (const { id, vector, metadata } of entries.items) {
        if (bytes >= pageBytes) break;
        if (shards.ownerOf(id) !== to) continue;
        ids.push(id);
        vectors.push(vector);
        records.push(metadata);
        bytes += vector.byteLength;
      }
      if (ids.length > 0) {
        this.#cursors.set(`${to}/${space}`, from);
        return { ids, vectors: joined(vectors), metadata: records };
      }
      if (entries.items.length < lookedAtMax) return noPage;
      from = entries.cursor;
    }
  }
}

function keyOf(space: string, id: VectorId): string {
  return `${typeof id === 'string' ? 's' : 'i'}${id}/${space}`;
}

async function scanned(
  session: Session,
  space: string,
  options: { limit: number; cursor?: string },
): Promise<{ items: VectorEntry<VectorData>[]; cursor: string | undefined }> {
  const scan = await session.call('scanVectorsOpen', { space, ...options }, {});
  const items: VectorEntry<VectorData>[] = [];
  for (;;) {
    const step = await session.call('scanNext', { scan }, {});
    items.push(...(step.items as VectorEntry<VectorData>[]));
    if (step.done) return { items, cursor: step.cursor };
  }
}

function joined(vectors: readonly VectorData[]): VectorData | undefined {
  const [first] = vectors;
  if (first === undefined) return undefined;
  const all = emptyLike(first, first.length * vectors.length);
  for (const [i, vector] of vectors.entries()) all.set(vector, i * first.length);
  return all;
}

function rowsOf(vectors: VectorData, count: number, rows: readonly number[]): VectorData {
  const width = vectors.length / count;
  const taken = emptyLike(vectors, rows.length * width);
  for (const [i, row] of rows.entries())
    taken.set(vectors.subarray(row * width, (row + 1) * width), i * width);
  return taken;
}

function emptyLike(vectors: VectorData, length: number): VectorData {
  return vectors instanceof Float32Array ? new Float32Array(length) : new Uint8Array(length);
}
