/**
 * Calls on the keys of a sharded key-value space: each goes to the shard that its key belongs to, which brings here first what
 * is still with a former owner (key-moves.ts). Calls on several keys are atomic, so they are made on one shard or refused: keys
 * of one `{tag}` are always together. Scans merge those of all shards.
 */

import type { ArgumentsOf, Method } from '../../api/calls.ts';
import { shibuDbError } from '../../api/errors.ts';
import { shown } from '../../base/arguments.ts';
import type { TransportOptions } from '../../client/transport.ts';
import { keyList, keysOfEntries } from './shard-calls.ts';
import type { ShardDirectory, SpaceArgument } from './shard-directory.ts';
import { openOnShards, type ShardedScans } from './sharded-scans.ts';

export type KeyMethod = 'put' | 'get' | 'delete' | 'exists' | 'increment' | 'putIf' | 'expire' | 'ttl';
export type ManyMethod = 'putMany' | 'getMany' | 'deleteMany';

export class ShardedKeys {
  readonly #directory: ShardDirectory;
  readonly #scans: ShardedScans;

  constructor(directory: ShardDirectory, scans: ShardedScans) {
    this.#directory = directory;
    this.#scans = scans;
  }

  one(method: KeyMethod, args: { key: string } & SpaceArgument, options: TransportOptions): Promise<unknown> {
    return this.#onShardOf([String(args.key)], method, args, options);
  }

  /** @throws UNSUPPORTED unless the keys lie on one virtual shard, whatever shards there are */
  many(method: ManyMethod, args: ArgumentsOf<ManyMethod>, options: TransportOptions): Promise<unknown> {
    const keys = 'entries' in args ? keysOfEntries(args.entries) : keyList(args.keys);
    return this.#onShardOf(keys, method, args, options);
  }

  #onShardOf(
    keys: readonly string[],
    method: Method,
    args: SpaceArgument,
    options: TransportOptions,
  ): Promise<unknown> {
    const space = this.#directory.spaceOf(args);
    return this.#directory.byMap(space, async (shards, byMap) => {
      const [first = ''] = keys;
      const other = keys.find((key) => shards.virtualOfKey(key) !== shards.virtualOfKey(first));
      if (other !== undefined)
        throw shibuDbError(
          'UNSUPPORTED',
          `${method} is atomic, and the keys ${shown(first)} and ${shown(other)} lie on different shards: expected keys with one tag, as in "{tag}a" and "{tag}b"`,
        );
      const shard = await this.#directory.shardOf(shards.ownerOfKey(first));
      return shard.call(method, { ...args, space, ...byMap } as never, options);
    });
  }

  /** Entries that are being moved may be counted twice. */
  async size(args: SpaceArgument, options: TransportOptions): Promise<number> {
    const space = this.#directory.spaceOf(args);
    const sizes = await this.#directory.onAll(space, (shard, byMap) =>
      shard.call('size', { space, ...byMap }, options),
    );
    return sizes.reduce((total, size) => total + size, 0);
  }

  /** Former owners first: what they still have could be brought to a new one that is empty already. */
  clear(args: SpaceArgument, options: TransportOptions): Promise<undefined> {
    const space = this.#directory.spaceOf(args);
    return this.#directory.byMap(space, async (shards, byMap) => {
      const { sources, targets } = shards.inReadingOrder;
      for (const names of [sources, targets])
        await Promise.all(
          names.map(async (name) =>
            (await this.#directory.shardOf(name)).call('clear', { space, ...byMap } as never, options),
          ),
        );
      return undefined;
    });
  }

  scan(args: ArgumentsOf<'scanOpen'>, options: TransportOptions): Promise<number> {
    const space = this.#directory.spaceOf(args);
    return this.#directory.byMap(space, async (shards, byMap) => {
      const open = { ...args, space, ...byMap };
      const parts = await openOnShards(shards, this.#directory.shardOf, (shard) =>
        shard.call('scanOpen', open, options),
      );
      return this.#scans.keep(parts, { limit: args.limit, reverse: args.reverse });
    });
  }
}
