/** Another shard, as one that takes something over from it sees it: signed in as an admin. */

import type { ShardCalls, ShardMethod } from './shard-calls.ts';

export interface FormerOwner {
  shardCall<M extends ShardMethod>(method: M, args: ShardCalls[M][0]): Promise<ShardCalls[M][1]>;
}
