/** The engine in this process, over a folder or memory: what `shibumi serve ./data` serves. */

import { randomBytes } from 'node:crypto';
import type { FirstAdmin } from '../api/database.ts';
import { isShibuDbError, shibuDbError } from '../api/errors.ts';
import { shown } from '../base/arguments.ts';
import { parseNewSpace } from '../engine/new-space.ts';
import { Session } from '../engine/session.ts';
import type { Callee, ListenerSource } from '../host/source.ts';
import { type EngineOptions, openEngine } from '../node/open-engine.ts';
import { RoutedSession } from './upstreams/routed-session.ts';
import type { Routes } from './upstreams/routes.ts';
import type { Upstream } from './upstreams/upstream.ts';

/**
 * Opens the database. A server always needs users: where there are none, an admin is made, and told once with the password
 * that it was given.
 */
export async function openEmbedded(
  place: string,
  options: EngineOptions,
  admin: FirstAdmin | undefined,
  routes: Routes | undefined,
): Promise<{ source: ListenerSource; made: FirstAdmin | undefined }> {
  const { engine, close } = await openEngine(place, options);
  try {
    const first = admin ?? { username: 'admin', password: randomBytes(15).toString('base64url') };
    const made = (await engine.users.createFirstAdmin(first)) ? first : undefined;
    const source: ListenerSource = {
      kind: options.storage ?? 'files',
      openSession: (): Callee => {
        const session = new Session(engine);
        return routes === undefined ? session : new RoutedSession(session, engine.users, routes);
      },
      tokenOf: async (username) => {
        const user = engine.users.find(username);
        if (user !== undefined) return engine.users.issueToken(user);
        throw shibuDbError('USER_NOT_FOUND', `There is no user ${shown(username)} for guests to act as`);
      },
      ensureSpace: async (name) => {
        const upstream = routes?.upstreamOf(name);
        if (upstream !== undefined) {
          await ensureUpstreamSpace(upstream, name);
          return;
        }
        if (engine.listSpaces().some((space) => space.name === name)) return;
        await engine.createSpace(await parseNewSpace(name, 'key-value', {}));
      },
      close: async () => {
        await close();
        await routes?.close();
      },
    };
    return { source, made };
  } catch (error) {
    await close();
    throw error;
  }
}

/** With the strongest promise that the upstream can keep. */
async function ensureUpstreamSpace(upstream: Upstream, name: string): Promise<void> {
  if ((await upstream.listSpaces()).some((space) => space.name === name)) return;
  for (const durability of ['strict', 'relaxed', 'none'] as const) {
    try {
      await upstream.createSpace(await parseNewSpace(name, 'key-value', { durability }));
      return;
    } catch (error) {
      if (!isShibuDbError(error) || error.code !== 'UNSUPPORTED' || durability === 'none') throw error;
    }
  }
}
