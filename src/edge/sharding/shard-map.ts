/**
 * Which object has what of a sharded space. Ids and keys are hashed to a fixed number of virtual shards, and each virtual shard belongs
 * to one object by rendezvous hashing: to the one whose name, hashed with the virtual shard's number, gives the most. So an
 * object that comes takes its part from all others alike, and nothing else moves.
 *
 * Source: Thaler & Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998.
 */

import type { EngineKind, KeyValueSpaceOptions, VectorId, VectorSpaceOptions } from '../../api/database.ts';
import { encodeUtf8 } from '../../base/text.ts';

/** As plain data: every shard keeps it, and every call says which version it was made by. */
export interface ShardMap {
  /** Grows with every change. */
  readonly version: number;
  readonly engine: EngineKind;
  /** What the space was created with, for shards to come: `SpaceInfo` does not tell all of it. */
  readonly options: KeyValueSpaceOptions | VectorSpaceOptions;
  readonly virtualShards: number;
  /** Names of the objects. The first one is asked for the map. */
  readonly shards: readonly string[];
  /** The objects before the change, while data is being moved. */
  readonly from?: readonly string[];
}

/** Many times more than there will be objects, so that their parts differ little in size. */
export const virtualShardsDefault = 256;

/** FNV-1a over the bytes, mixed by MurmurHash3's finalizer: FNV's high bits alone are too regular to rank by. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of encodeUtf8(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export function ownerOf(virtual: number, shards: readonly string[]): string {
  let best = '';
  let most = -1;
  for (const shard of shards) {
    const weight = hash32(`${virtual}/${shard}`);
    // A tie goes to the name that sorts first, in whatever order they are listed.
    if (weight > most || (weight === most && shard < best)) {
      best = shard;
      most = weight;
    }
  }
  return best;
}

/** A map, ready to be asked. */
export class Shards {
  readonly map: ShardMap;
  readonly #owners: readonly string[];
  readonly #former: readonly string[] | undefined;

  constructor(map: ShardMap) {
    this.map = map;
    const virtuals = Array.from({ length: map.virtualShards }, (_, i) => i);
    this.#owners = virtuals.map((virtual) => ownerOf(virtual, map.shards));
    this.#former = map.from && virtuals.map((virtual) => ownerOf(virtual, map.from ?? []));
  }

  /** 7 and 7n are one id; '7' is another. */
  #virtualOf(id: VectorId): number {
    return hash32(typeof id === 'string' ? `s${id}` : `i${id}`) % this.map.virtualShards;
  }

  /** Keys with the same text in braces go together, as in a Redis Cluster: `{user:7}:name` and `{user:7}:mail`. */
  virtualOfKey(key: string): number {
    const from = key.indexOf('{') + 1;
    const to = from === 0 ? -1 : key.indexOf('}', from);
    return hash32(`k${to > from ? key.slice(from, to) : key}`) % this.map.virtualShards;
  }

  ownerOf(id: VectorId): string {
    return this.#owners[this.#virtualOf(id)] as string;
  }

  ownerOfKey(key: string): string {
    return this.#owners[this.virtualOfKey(key)] as string;
  }

  /** Who had it before, while it may still be there. */
  formerOwnerOf(id: VectorId): string | undefined {
    return this.#formerOwner(this.#virtualOf(id));
  }

  formerOwnerOfKey(key: string): string | undefined {
    return this.#formerOwner(this.virtualOfKey(key));
  }

  #formerOwner(virtual: number): string | undefined {
    const former = this.#former?.[virtual];
    return former === this.#owners[virtual] ? undefined : former;
  }

  /** Objects that some of `to`'s part comes from. */
  sourcesOf(to: string): string[] {
    const sources = this.#owners.flatMap((owner, virtual) => {
      const former = this.#former?.[virtual];
      return owner === to && former !== undefined && former !== to ? [former] : [];
    });
    return [...new Set(sources)];
  }

  /** All objects that may hold data, those that data is being taken from first: see `ShardedTransport`. */
  get inReadingOrder(): { sources: readonly string[]; targets: readonly string[] } {
    const { shards, from } = this.map;
    if (from === undefined) return { sources: shards, targets: [] };
    return { sources: from, targets: shards.filter((shard) => !from.includes(shard)) };
  }
}
