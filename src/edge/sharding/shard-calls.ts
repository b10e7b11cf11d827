/**
 * The calls of one shard to another, and the gate at each shard that all calls on sharded spaces go through. They travel like
 * the calls of a `Database`, by RPC, and need an admin.
 */

import { assertOverNetwork, type CallContext, type Method } from '../../api/calls.ts';
import type { VectorId } from '../../api/database.ts';
import { shibuDbError } from '../../api/errors.ts';
import type { Session } from '../../engine/session.ts';
import type { ShardHost, ShardPage } from './shard-host.ts';
import type { ShardMap } from './shard-map.ts';

/** Method name -> its arguments and its result. */
export interface ShardCalls {
  shardMap: [{ space: string }, ShardMap | undefined];
  shardAdopt: [{ space: string; self: string; map: ShardMap }, ShardMap];
  shardPull: [{ space: string }, number];
  shardPage: [{ space: string; to: string }, ShardPage];
  shardDrop: [{ space: string; ids: readonly VectorId[] }, undefined];
}

export type ShardMethod = keyof ShardCalls;

const shardMethods: ReadonlySet<string> = new Set<ShardMethod>([
  'shardMap',
  'shardAdopt',
  'shardPull',
  'shardPage',
  'shardDrop',
]);

export function isShardMethod(method: string): method is ShardMethod {
  return shardMethods.has(method);
}

/** What a call on a sharded space carries besides its arguments. */
export interface ByMap {
  /** Of the map that the caller goes by. */
  readonly shardVersion?: number;
}

/** Runs a call of whatever kind. @throws NOT_OWNER for another version of the map: nothing was done */
export async function callThroughGate(
  host: ShardHost,
  session: Session,
  method: Method | ShardMethod,
  args: object,
  context: CallContext,
): Promise<unknown> {
  assertOverNetwork(method);
  if (isShardMethod(method)) return answer(host, session, method, args);
  if (method === 'deleteSpace') {
    const value = await session.call('deleteSpace', args as never, context);
    host.forget((args as { name: string }).name);
    return value;
  }
  const { shardVersion, ...rest } = args as ByMap & {
    space?: string;
    id?: VectorId;
    ids?: readonly VectorId[];
  };
  const run = async (): Promise<unknown> => session.call(method, rest as never, context);
  const { space } = rest;
  const written = writtenIds(method, rest);
  if (shardVersion === undefined) {
    if (written !== undefined && space !== undefined) host.refuseStrangers(space);
    return run();
  }
  const version = space === undefined ? undefined : host.mapOf(space)?.version;
  if (version !== shardVersion) {
    throw shibuDbError(
      'NOT_OWNER',
      `Got a call by version ${shardVersion} of the shards, expected ${version}`,
      {
        details: { version },
      },
    );
  }
  if (written === undefined || space === undefined) return run();
  if (method === 'updateMetadata' && rest.id !== undefined) await host.gather(space, rest.id, session);
  return host.write(space, written, run);
}

/** The vectors that a call writes; nothing: it writes none. */
function writtenIds(
  method: Method,
  { id, ids }: { id?: VectorId; ids?: readonly VectorId[] },
): readonly VectorId[] | undefined {
  switch (method) {
    case 'insertVector':
    case 'deleteVector':
    case 'updateMetadata':
      return id === undefined ? [] : [id];
    case 'insertVectors':
      return ids ?? [];
    // Over shards each is deleted by its id; whoever goes by no map is refused.
    case 'deleteVectors':
      return [];
    default:
      return undefined;
  }
}

async function answer(
  host: ShardHost,
  session: Session,
  method: ShardMethod,
  args: object,
): Promise<unknown> {
  // Refused unless an admin calls. The data calls of other sessions need no map of their own.
  await session.call(method === 'shardMap' ? 'listSpaces' : 'listUsers', {}, {});
  switch (method) {
    case 'shardMap':
      return host.mapOf((args as ShardCalls['shardMap'][0]).space);
    case 'shardAdopt': {
      const { space, self, map } = args as ShardCalls['shardAdopt'][0];
      return host.adopt(space, self, map);
    }
    case 'shardPull':
      return host.pull((args as ShardCalls['shardPull'][0]).space, session);
    case 'shardPage': {
      const { space, to } = args as ShardCalls['shardPage'][0];
      return host.page(space, to, session);
    }
    case 'shardDrop': {
      const { space, ids } = args as ShardCalls['shardDrop'][0];
      await Promise.all(ids.map((id) => session.call('deleteVector', { space, id }, {})));
      return undefined;
    }
  }
}
