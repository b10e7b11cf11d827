// In Node and in a page.

import type { Database } from '../../src/api/database.ts';
import { connect } from '../../src/bridge.ts';
import type { DatabaseClient } from '../../src/client/database-client.ts';
import type { CaseOptions } from '../conformance/case.ts';

/** `connect` with the options of a case: the other platforms' `open` makes the first admin, a server its own. */
export async function connectForCase(url: string, { log, admin }: CaseOptions = {}): Promise<Database> {
  const db = await connect(url, log === undefined ? {} : { log });
  if (admin !== undefined) await (db as DatabaseClient).createFirstAdmin(admin);
  return db;
}
