/** The option `admin` of every `open`. */

import type { Database, FirstAdmin } from '../api/database.ts';
import { invalid, shown } from '../base/arguments.ts';
import type { DatabaseClient } from './database-client.ts';

/** The database with its first admin, if one was asked for and there are no users. Closed again when that fails. */
export async function withAdmin(db: DatabaseClient, admin: FirstAdmin | undefined): Promise<Database> {
  if (admin === undefined) return db;
  try {
    if (typeof admin !== 'object' || admin === null)
      throw invalid(`Got ${shown(admin)} for admin, expected { username, password }`);
    await db.createFirstAdmin(admin);
    return db;
  } catch (error) {
    await db.close().catch(() => {});
    throw error;
  }
}
