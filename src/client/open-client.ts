/** The end of every `open`: a `Database` over the transport that was made, with the options that all of them have. */

import type { Database, FirstAdmin, LogLevel, LogOptions } from '../api/database.ts';
import { invalid, shown } from '../base/arguments.ts';
import { DatabaseClient } from './database-client.ts';
import { loggerOf } from './logger.ts';
import type { Transport } from './transport.ts';

/** Options of every `open`. */
export interface ClientOptions {
  /**
   * The admin to create if the database has no users; from then on every call needs `authenticate`. Does nothing when there
   * are users, whatever their names and passwords.
   */
  admin?: FirstAdmin;
  /**
   * Tells what happens: a level (to the console), or a level and where to. `debug` notes every call, `info` what changes the
   * database as a whole, `warn` and `error` what went wrong. Records never hold data or secrets. Default: nothing is told.
   */
  log?: LogLevel | LogOptions;
}

/** `onCreated` is told of each space that this client made. @throws INVALID_ARGUMENT; what `connect` throws */
export async function openClient(
  connect: () => Promise<Transport> | Transport,
  { admin, log }: ClientOptions,
  onCreated?: () => void,
): Promise<Database> {
  if (admin !== undefined && (typeof admin !== 'object' || admin === null))
    throw invalid(`Got ${shown(admin)} for admin, expected { username, password }`);
  const logger = loggerOf(log);
  const startedMs = performance.now();
  const db = new DatabaseClient(await connect(), logger, onCreated);
  try {
    if (admin !== undefined) await db.createFirstAdmin(admin);
  } catch (error) {
    await db.close().catch(() => {});
    throw error;
  }
  if (logger !== undefined) db.followLog(logger);
  logger?.note('info', 'open', { durationMs: performance.now() - startedMs });
  return db;
}
