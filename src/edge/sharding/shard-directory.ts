/**
 * What a caller of sharded spaces knows of them: their maps, and how to make calls by them. Every call says by which version of
 * the map it was made; a shard that knows another refuses it, nothing having been done, and the call is made again by the
 * newer map.
 */

import type { SpaceInfo } from '../../api/database.ts';
import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import type { ObjectTransport } from '../object-transport.ts';
import { type ShardMap, Shards } from './shard-map.ts';

/** How often a call follows a map that changes. */
const attemptsMax = 20;

export interface SpaceArgument {
  readonly space?: string | undefined;
}

/** What a call carries besides its arguments. */
export interface ByMap {
  readonly shardVersion: number;
}

export class ShardDirectory {
  /** A shard by name, signed in; the same one each time. */
  readonly shardOf: (name: string) => Promise<ObjectTransport>;
  /** The shards of new spaces; the first one is asked for maps. */
  readonly initial: readonly string[];
  /** The space of `useSpace`. */
  current: string | undefined;
  readonly #maps: Map<string, Promise<Shards>> = new Map();
  readonly #infos: Map<string, SpaceInfo> = new Map();

  constructor(shardOf: (name: string) => Promise<ObjectTransport>, initial: readonly string[]) {
    this.shardOf = shardOf;
    this.initial = initial;
  }

  /** The space is being deleted. */
  forget(space: string): void {
    this.#maps.delete(space);
    this.#infos.delete(space);
  }

  spaceOf({ space = this.current }: SpaceArgument): string {
    if (space === undefined)
      throw shibuDbError('NO_SPACE_SELECTED', 'No space was named: pass { space } or call useSpace first');
    return space;
  }

  first(): Promise<ObjectTransport> {
    return this.shardOf(this.initial[0] as string);
  }

  async infoOf(space: string): Promise<SpaceInfo> {
    let info = this.#infos.get(space);
    if (info === undefined) {
      const spaces = await (await this.first()).call('listSpaces', {}, {});
      info = spaces.find(({ name }) => name === space);
      if (info === undefined) throw shibuDbError('SPACE_NOT_FOUND', `There is no space "${space}"`);
      this.#infos.set(space, info);
    }
    return info;
  }

  /** @throws SPACE_NOT_FOUND */
  shards(space: string): Promise<Shards> {
    let shards = this.#maps.get(space);
    if (shards === undefined) {
      shards = this.#load(space);
      shards.catch(() => this.#maps.delete(space));
      this.#maps.set(space, shards);
    }
    return shards;
  }

  async #load(space: string): Promise<Shards> {
    await this.infoOf(space);
    const map = await (await this.first()).shardCall('shardMap', { space });
    if (map === undefined)
      throw shibuDbError('UNSUPPORTED', `The space "${space}" is not sharded: reach it by connectObject`);
    return new Shards(map);
  }

  /** The current map. */
  async mapOf(space: string): Promise<ShardMap> {
    this.#maps.delete(space);
    return (await this.shards(space)).map;
  }

  /** Tells a map to all who must know it, the directory first: from then on it is what counts. */
  async publish(space: string, map: ShardMap): Promise<void> {
    const names = [...new Set([...map.shards, ...(map.from ?? [])])];
    for (const self of names) {
      const kept = await (await this.shardOf(self)).shardCall('shardAdopt', { space, self, map });
      if (kept.version > map.version || JSON.stringify(kept) !== JSON.stringify(map))
        throw shibuDbError('NOT_OWNER', `Somebody else changed the shards of "${space}" meanwhile`);
    }
    this.#maps.set(space, Promise.resolve(new Shards(map)));
  }

  /** Runs `work` by the map there is, again by a newer one if it was not. */
  async byMap<Result>(
    space: string,
    work: (shards: Shards, byMap: ByMap) => Promise<Result>,
  ): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      const shards = await this.shards(space);
      try {
        return await work(shards, { shardVersion: shards.map.version });
      } catch (error) {
        if (!isStale(error) || attempt >= attemptsMax) throw error;
        this.#maps.delete(space);
        // A shard may know less than the directory: whoever published the map has not told it yet, or has died.
        const { map } = await this.shards(space);
        if (map.version === shards.map.version) await this.publish(space, map);
      }
    }
  }

  onAll<Result>(
    space: string,
    work: (shard: ObjectTransport, byMap: ByMap) => Promise<Result>,
  ): Promise<Result[]> {
    return this.byMap(space, async (shards, byMap) => {
      const { sources, targets } = shards.inReadingOrder;
      return Promise.all([...sources, ...targets].map(async (name) => work(await this.shardOf(name), byMap)));
    });
  }
}

export function isStale(error: unknown): boolean {
  return isShibuDbError(error) && error.code === 'NOT_OWNER';
}
