/**
 * `shibumi/edge`: the same database inside a Durable Object, over its SQLite storage. `ShibumiObject` is such an object with
 * an HTTP front and RPC, `connectObject` reaches it from other Workers; `open` is for objects of your own. The engine runs in
 * the object's isolate; the core comes compiled, by static import, since Workers compile nothing at run time.
 */

import type { Database } from './api/database.ts';
import { openClient } from './client/open-client.ts';
import type { DurableStorage } from './edge/durable-storage.ts';
import { type ObjectStub, ObjectTransport } from './edge/object-transport.ts';
import { defaultPrefix, type EdgeOptions, openEngine } from './edge/open-engine.ts';
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
  QueryError,
  ShibuDbError,
} from './api/errors.ts';
export type { DurableStorage } from './edge/durable-storage.ts';
export type { ObjectStub } from './edge/object-transport.ts';
export type { EdgeOptions } from './edge/open-engine.ts';
export { ShibumiObject } from './edge/shibumi-object.ts';

/**
 * Opens the database in a Durable Object's storage (`ctx.storage` of a class with SQLite), making it if there is none. One
 * database an object; open it once, for example in `ctx.blockConcurrencyWhile`.
 *
 * @throws CORRUPTION, VERSION_MISMATCH, OUT_OF_MEMORY when the isolate's share is used up
 */
export async function open(storage: DurableStorage, options: EdgeOptions): Promise<Database> {
  const { admin: _admin, log: _log, ...rest } = options;
  return openClient(async () => {
    const engine = await openEngine(storage, rest);
    return new DirectTransport(new Session(engine, () => engine.close()));
  }, options);
}

export interface ConnectObjectOptions {
  /** Whom to sign in as. Default: nobody yet; every call but `authenticate` is refused. */
  username?: string;
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

/** Deletes the database in an object's storage; there may have been none. Close it before. */
export async function deleteDatabase(
  storage: DurableStorage,
  options: { prefix?: string } = {},
): Promise<void> {
  dropTables(storage, options.prefix ?? defaultPrefix);
  await storage.sync();
}
