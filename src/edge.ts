/**
 * `shibumi/edge`: the same database inside a Durable Object, over its SQLite storage. The engine runs in the object's isolate;
 * the core comes compiled, by static import, since Workers compile nothing at run time.
 */

import type { Database } from './api/database.ts';
import { DatabaseClient } from './client/database-client.ts';
import { withAdmin } from './client/first-admin.ts';
import type { DurableStorage } from './edge/durable-storage.ts';
import { defaultPrefix, type EdgeOptions, openEngine } from './edge/open-engine.ts';
import { dropTables } from './edge/sqlite-backend.ts';
import { Session } from './engine/session.ts';
import { DirectTransport } from './local/direct-transport.ts';

export type * from './api/database.ts';
export {
  ConnectionError,
  type ErrorCode,
  type ErrorDetails,
  isShibuDbError,
  QueryError,
  ShibuDbError,
} from './api/errors.ts';
export type { DurableStorage } from './edge/durable-storage.ts';
export type { EdgeOptions } from './edge/open-engine.ts';

/**
 * Opens the database in a Durable Object's storage (`ctx.storage` of a class with SQLite), making it if there is none. One
 * database an object; open it once, for example in `ctx.blockConcurrencyWhile`.
 *
 * @throws CORRUPTION, VERSION_MISMATCH, OUT_OF_MEMORY when the isolate's share is used up
 */
export async function open(storage: DurableStorage, options: EdgeOptions): Promise<Database> {
  const { admin, ...rest } = options;
  const engine = await openEngine(storage, rest);
  return withAdmin(new DatabaseClient(new DirectTransport(new Session(engine, () => engine.close()))), admin);
}

/** Deletes the database in an object's storage; there may have been none. Close it before. */
export async function deleteDatabase(
  storage: DurableStorage,
  options: { prefix?: string } = {},
): Promise<void> {
  dropTables(storage, options.prefix ?? defaultPrefix);
  await storage.sync();
}
