/** Growing: more shards for a space, and what becomes theirs moved to them, while others read and write. */

import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import type { TransportOptions } from '../../client/transport.ts';
import type { ShardDirectory } from './shard-directory.ts';

/**
 * Adds shards to a space and moves what becomes theirs, while others read and write. Stopped in the middle it goes on by
 * another call, with the same names or none.
 */
export async function addShards(
  directory: ShardDirectory,
  space: string,
  names: readonly string[],
  transport: TransportOptions,
): Promise<void> {
  let map = await directory.mapOf(space);
  const added = names.filter((name) => !map.shards.includes(name));
  if (map.from !== undefined && added.length > 0)
    throw shibuDbError('NOT_OWNER', `The shards of "${space}" are being changed already: finish that first`);
  if (added.length > 0) {
    const { engine, options } = map;
    for (const shard of added) {
      const target = await directory.shardOf(shard);
      await target
        .call('createSpace', { name: space, engine, options }, transport)
        .catch((error: unknown) => {
          if (!isShibuDbError(error) || error.code !== 'SPACE_EXISTS') throw error;
        });
    }
    map = { ...map, version: map.version + 1, shards: [...map.shards, ...added], from: map.shards };
  }
  if (map.from === undefined) return;
  await directory.publish(space, map);
  const targets = map.shards.filter((shard) => !map.from?.includes(shard));
  let moved = 0;
  for (const target of targets) {
    const shard = await directory.shardOf(target);
    for (;;) {
      if (transport.signal?.aborted)
        throw shibuDbError(
          'ABORTED',
          `addShards was aborted after ${moved} were moved; another call goes on`,
        );
      const batch = await shard.shardCall('shardPull', { space });
      if (batch === 0) break;
      moved += batch;
      transport.onProgress?.({ done: moved, total: moved });
    }
  }
  const { from: _, ...settled } = map;
  await directory.publish(space, { ...settled, version: map.version + 1 });
}
