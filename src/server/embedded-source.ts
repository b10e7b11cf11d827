/** The engine in this process, over a folder or memory: what `shibumi serve ./data` serves. */

import { randomBytes } from 'node:crypto';
import type { FirstAdmin } from '../api/database.ts';
import { Session } from '../engine/session.ts';
import type { Callee, Source } from '../host/source.ts';
import { type EngineOptions, openEngine } from '../node/open-engine.ts';

/**
 * Opens the database. A server always needs users: where there are none, an admin is made, and told once with the password
 * that it was given.
 */
export async function openEmbedded(
  place: string,
  options: EngineOptions,
  admin: FirstAdmin | undefined,
): Promise<{ source: Source; made: FirstAdmin | undefined }> {
  const { engine, close } = await openEngine(place, options);
  try {
    const first = admin ?? { username: 'admin', password: randomBytes(15).toString('base64url') };
    const made = (await engine.users.createFirstAdmin(first)) ? first : undefined;
    const source: Source = {
      kind: options.storage ?? 'files',
      openSession: (): Callee => new Session(engine),
      close,
    };
    return { source, made };
  } catch (error) {
    await close();
    throw error;
  }
}
