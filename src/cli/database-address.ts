/** A database by what the command line calls it: a folder, or the address of a bridge. */

import type { Database } from '../api/database.ts';
import { connect } from '../bridge/client/connect.ts';
import type { Open } from './main.ts';
import { encryptionFromEnvironment, passwordOf } from './password.ts';

export interface AddressOptions {
  /** Whether to make a folder's database where there is none. */
  readonly create: boolean;
  /** Whom to sign in, with `passwordOf`. */
  readonly user?: string | undefined;
}

/** A folder, `ws://user@host:port/`, or an upstream's address. */
export async function openAddress(
  open: Open,
  place: string,
  { create, user }: AddressOptions,
): Promise<Database> {
  if (/^[a-z][a-z-]+:\/\//i.test(place) && !/^wss?:/i.test(place)) {
    // Whoever opens none need not load them.
    const { isUpstreamAddress, openUpstreamDatabase } = await import('../server/upstreams/open-upstream.ts');
    if (isUpstreamAddress(place)) return openUpstreamDatabase(place);
  }
  if (!/^wss?:\/\//i.test(place)) return openFolder(open, place, { create, user });
  const url = new URL(place);
  const username = user ?? decodeURIComponent(url.username);
  url.username = url.password = '';
  if (username === '') return connect(url);
  return connect(url, { username, password: await passwordOf(username) });
}

async function openFolder(open: Open, folder: string, { create, user }: AddressOptions): Promise<Database> {
  const encryption = await encryptionFromEnvironment();
  const db = await open(folder, encryption === undefined ? { create } : { create, encryption });
  if (user === undefined) return db;
  try {
    await db.authenticate(user, await passwordOf(user));
    return db;
  } catch (error) {
    await db.close();
    throw error;
  }
}
