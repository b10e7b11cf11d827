/**
 * The calls of one shard to another, and the gate at each shard that all calls on sharded spaces go through. They travel like
 * the calls of a `Database`, by RPC, and need an admin.
 */

import {
  assertOverNetwork,
  type CallContext,
  callsThatChangeNothing,
  type Method,
  type PackedEntries,
} from '../../api/calls.ts';
import type { PutEntry, VectorId } from '../../api/database.ts';
import { shibuDbError } from '../../api/errors.ts';
import type { Session } from '../../engine/session.ts';
import type { MovedEntries } from './key-moves.ts';
import type { Keys } from './key-turns.ts';
import type { ShardHost, ShardPage } from './shard-host.ts';
import type { ShardMap } from './shard-map.ts';

/** Method name -> its arguments and its result. */
export interface ShardCalls {
  shardMap: [{ space: string }, ShardMap | undefined];
  shardAdopt: [{ space: string; self: string; map: ShardMap }, ShardMap];
  shardPull: [{ space: string }, number];
  /** Some of the vectors that belong to `to` by the map; none: there are no more. */
  shardPage: [{ space: string; to: string }, ShardPage];
  /** Deletes what is another's by now. */
  shardDrop: [{ space: string; ids: readonly VectorId[] }, undefined];
  /** Some of the keys that belong to `to` by the map; none: there are no more. */
  shardKeys: [{ space: string; to: string }, readonly string[]];
  shardEntries: [{ space: string; keys: readonly string[] }, MovedEntries];
  shardDropKeys: [{ space: string; keys: readonly string[] }, undefined];
}

export type ShardMethod = keyof ShardCalls;

const shardMethods: ReadonlySet<string> = new Set<ShardMethod>([
  'shardMap',
  'shardAdopt',
  'shardPull',
  'shardPage',
  'shardDrop',
  'shardKeys',
  'shardEntries',
  'shardDropKeys',
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
  const { shardVersion, ...rest } = args as ByMap & OfSpace;
  const run = async (): Promise<unknown> => session.call(method, rest as never, context);
  const { space } = rest;
  const written = writtenIds(method, rest);
  const keys = keysOf(method, rest);
  if (shardVersion === undefined) {
    const isRead = written === undefined && (keys === undefined || callsThatChangeNothing.has(method));
    if (!isRead && space !== undefined) host.refuseStrangers(space);
    return run();
  }
  assertVersion(host, space, shardVersion);
  if (space === undefined) return run();
  if (keys !== undefined) return host.onKeys(space, keys, run);
  if (written === undefined) return run();
  if (method === 'updateMetadata' && rest.id !== undefined) {
    await host.gather(space, rest.id, session);
    assertVersion(host, space, shardVersion);
  }
  return host.write(space, written, run);
}

/** @throws NOT_OWNER unless the shard goes by the same map */
function assertVersion(host: ShardHost, space: string | undefined, called: number): void {
  const version = space === undefined ? undefined : host.mapOf(space)?.version;
  if (version === called) return;
  throw shibuDbError('NOT_OWNER', `Got a call by version ${called} of the shards, expected ${version}`, {
    details: { version },
  });
}

interface OfSpace {
  readonly space?: string;
  readonly id?: VectorId;
  readonly ids?: readonly VectorId[];
  readonly key?: string;
  readonly keys?: readonly string[];
  readonly entries?: readonly PutEntry[] | PackedEntries;
}

/** The keys that a call is about; nothing: it is about none, or looks at all without changing them. */
function keysOf(method: Method, { key, keys, entries }: OfSpace): Keys | undefined {
  switch (method) {
    case 'put':
    case 'get':
    case 'delete':
    case 'exists':
    case 'increment':
    case 'putIf':
    case 'expire':
    case 'ttl':
      return keyList([key]);
    case 'getMany':
    case 'deleteMany':
    case 'getEach':
    case 'putEach':
      return keyList(keys);
    case 'putMany':
      return keysOfEntries(entries);
    case 'clear':
      return 'all';
    default:
      return undefined;
  }
}

export function keysOfEntries(entries: readonly PutEntry[] | PackedEntries | undefined): string[] {
  return Array.isArray(entries)
    ? keyList(entries.map((entry) => entry?.key))
    : keyList((entries as Partial<PackedEntries> | undefined)?.keys);
}

/** What is no key is for the session to refuse: it may go anywhere. */
export function keyList(keys: unknown): string[] {
  return Array.isArray(keys) ? keys.map(String) : [];
}

/** The vectors that a call writes; nothing: it writes none. */
function writtenIds(method: Method, { id, ids }: OfSpace): readonly VectorId[] | undefined {
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
    case 'shardKeys': {
      const { space, to } = args as ShardCalls['shardKeys'][0];
      return host.keysFor(space, to, session);
    }
    case 'shardEntries': {
      const { space, keys } = args as ShardCalls['shardEntries'][0];
      return host.entries(space, keys, session);
    }
    case 'shardDropKeys':
      await session.call('deleteMany', args as ShardCalls['shardDropKeys'][0], {});
      return undefined;
  }
}
