/** A `Database` that lies in one upstream, without a server in front of it: for `shibumi move`. Nobody need sign in. */

import type { Database } from '../../api/database.ts';
import { DatabaseClient } from '../../client/database-client.ts';
import { Session } from '../../engine/session.ts';
import { DirectTransport } from '../../local/direct-transport.ts';
import { openEngine } from '../../node/open-engine.ts';
import { openUpstream } from './config.ts';
import { RoutedSession } from './routed-session.ts';
import { Routes } from './routes.ts';

const schemes = /^(rediss?|redis-cluster|postgres(ql)?|shibudb|nubdb):/i;

export function isUpstreamAddress(address: string): boolean {
  return schemes.test(address);
}

/** @throws what the upstream's opening throws */
export async function openUpstreamDatabase(address: string): Promise<Database> {
  const upstream = await openUpstream(address);
  const routes = new Routes([{ pattern: '*', upstream }]);
  const { engine, close } = await openEngine('upstream', { storage: 'memory' });
  const session = new Session(engine, async () => {
    await close();
    await routes.close();
  });
  return new DatabaseClient(
    new DirectTransport(new RoutedSession(session, engine.users, routes) as Pick<Session, 'call'>),
  );
}
