/**
 * `shibumi/edge`: the same database inside a Durable Object, over its SQLite storage. `ShibumiObject` is such an object with
 * an HTTP front and RPC, `connectObject` reaches it from other Workers; `open` is for objects of your own. The engine runs in
 * the object's isolate; the core comes compiled, by static import, since Workers compile nothing at run time.
 */

import type { CallOptions, Database, ProgressOptions } from './api/database.ts';
import { invalid, shown } from './base/arguments.ts';
import { DatabaseClient } from './client/database-client.ts';
import { openClient } from './client/open-client.ts';
import { type CheckedSource, type FetchedSource, staticSource } from './client/static-source.ts';
import type { DurableStorage } from './edge/durable-storage.ts';
import { type ObjectStub, ObjectTransport } from './edge/object-transport.ts';
import { defaultPrefix, type EdgeOptions, openEngine, openSnapshot } from './edge/open-engine.ts';
import { runOn } from './edge/run-on.ts';
import { ShardedTransport } from './edge/sharding/sharded-transport.ts';
import { dropTables } from './edge/sqlite-backend.ts';
import { Session } from './engine/session.ts';
import { DirectTransport } from './local/direct-transport.ts';

export type * from './api/database.ts';
export {
  AuthenticationError,
  ConnectionError,
  type ErrorCode,
  type ErrorDetails,
  isShibuDbError,
  PartialResultError,
  QueryError,
  ShibuDbError,
} from './api/errors.ts';
export type { FetchedSource, StaticSource } from './client/static-source.ts';
export type { DurableStorage } from './edge/durable-storage.ts';
export type { ObjectStub } from './edge/object-transport.ts';
export type { EdgeOptions } from './edge/open-engine.ts';
export { ShibumiObject } from './edge/shibumi-object.ts';

/**
 * Opens the database in a Durable Object's storage (`ctx.storage` of a class with SQLite), making it if there is none. One
 * database an object; open it once, for example in `ctx.blockConcurrencyWhile`. With `{ from: url }` it opens a static
 * snapshot, in any Worker, which can only be read; open it once an isolate, and hold on to it.
 *
 * @throws CORRUPTION, VERSION_MISMATCH, OUT_OF_MEMORY when the isolate's share is used up, STORAGE_UNAVAILABLE when a
 *   snapshot cannot be reached
 */
export async function open(storage: DurableStorage | FetchedSource, options: EdgeOptions): Promise<Database> {
  const { admin: _admin, log: _log, ...rest } = options;
  return openClient(async () => {
    if ('from' in storage)
      return new DirectTransport(
        await openSnapshot({ ...(staticSource(storage) as CheckedSource), runOn }, rest),
      );
    const engine = await openEngine(storage, rest);
    return new DirectTransport(new Session(engine, () => engine.close()));
  }, options);
}

/** Who calls an object. */
export interface ConnectObjectOptions {
  /** Whom to sign in as. Default: nobody yet; every call but `authenticate` is refused. */
  username?: string;
  /** Goes with `username`. Default: none. */
  password?: string;
}

/**
 * The database of a `ShibumiObject` from another Worker or object: calls travel by RPC. An object that was reset meanwhile is
 * opened again; what had been sent then and was not answered fails with OUTCOME_UNKNOWN, unless it changes nothing.
 *
 * @param stub gives the object's stub: `() => env.NOTES.get(env.NOTES.idFromName('mine'))`
 * @throws INVALID_CREDENTIALS, NO_USERS, TOO_MANY_ATTEMPTS, BRIDGE_UNAVAILABLE
 */
export async function connectObject(
  stub: () => ObjectStub,
  options: ConnectObjectOptions = {},
): Promise<Database> {
  const { username, password } = options;
  const db = await openClient(() => new ObjectTransport(stub), {});
  if (username === undefined && password === undefined) return db;
  try {
    await db.authenticate(username as string, password as string);
    return db;
  } catch (error) {
    await db.close().catch(() => {});
    throw error;
  }
}

/** Which objects hold the shards, and who calls them. */
export interface ConnectShardedOptions {
  /** Gives the stub of a shard: `(name) => env.NOTES.get(env.NOTES.idFromName(name))`. */
  stub: (name: string) => ObjectStub;
  /** Names of the objects that new spaces are sharded over. The first one is asked which there are now. */
  shards: readonly string[];
  /** Whom to sign in as, at every shard: the admin of their options, or a user that each of them has. */
  username: string;
  /** The same at every shard. */
  password: string;
}

/** A `Database` of sharded spaces. What only makes sense on one object fails with UNSUPPORTED. */
export interface ShardedDatabase extends Database {
  /**
   * Spreads a space over more objects. Only what becomes theirs is moved, while reads and writes go on. When it is stopped in
   * the middle, everything stays reachable; another call, with no names or the same, goes on.
   */
  addShards(space: string, names: readonly string[], options?: CallOptions & ProgressOptions): Promise<void>;
  /** Names of the objects that the space is on, in the order in which they came. */
  shardsOf(space: string): Promise<readonly string[]>;
}

/**
 * The database of spaces that are sharded over many `ShibumiObject`s (which override `peer`). A search asks all shards and
 * merges their hits; one that fails makes it throw a `PartialResultError` with the hits there are, unless `allowPartial`.
 *
 * @throws INVALID_ARGUMENT; what `connectObject` throws, at the first call
 */
export function connectSharded({ stub, shards, username, password }: ConnectShardedOptions): ShardedDatabase {
  if (!Array.isArray(shards) || shards.length === 0 || new Set(shards).size !== shards.length)
    throw invalid(`Got ${shown(shards)} for shards, expected the names of at least one, each once`);
  const open = new Map<string, Promise<ObjectTransport>>();
  const shardOf = (name: string): Promise<ObjectTransport> => {
    let shard = open.get(name);
    if (shard === undefined) {
      const transport = new ObjectTransport(() => stub(name));
      shard = transport.call('authenticate', { username, password }, {}).then(() => transport);
      // One that could not be reached is tried again by the next call.
      shard.catch(() => open.delete(name));
      open.set(name, shard);
    }
    return shard;
  };
  const transport = new ShardedTransport(shardOf, shards, () => {
    for (const shard of open.values()) shard.then((one) => one.release()).catch(() => {});
    open.clear();
  });
  const db = new DatabaseClient(transport);
  return Object.assign(db, {
    addShards: (space: string, names: readonly string[], options = {}) =>
      transport.addShards(space, names, options),
    shardsOf: async (space: string) => (await transport.mapOf(space)).shards,
  });
}

/** Deletes the database in an object's storage; there may have been none. Close it before. */
export async function deleteDatabase(
  storage: DurableStorage,
  options: { prefix?: string } = {},
): Promise<void> {
  dropTables(storage, options.prefix ?? defaultPrefix);
  await storage.sync();
}
