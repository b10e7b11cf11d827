/** A session over a static snapshot, with an engine of its own: everything that reads, nothing that writes. */

import { checksumBy } from '../kernel/checksum.ts';
import { StaticBackend, type StaticOptions } from '../storage/static/static-backend.ts';
import { DatabaseEngine } from './database-engine.ts';
import { Session } from './session.ts';
import type { Environment } from './settings.ts';

/** @throws STORAGE_UNAVAILABLE, CORRUPTION, VERSION_MISMATCH, OUT_OF_MEMORY */
export async function openStaticSession(
  { from, ...options }: StaticOptions & { readonly from: string },
  environment: Omit<Environment, 'name' | 'backend'>,
): Promise<Session> {
  const { cores, memory } = environment;
  const backend = await StaticBackend.open(from, checksumBy(cores, memory), options);
  try {
    const engine = await DatabaseEngine.open({ ...environment, name: from, backend });
    return new Session(engine, () => {
      // First: the engine waits for what is being fetched, and nobody wants it any more.
      backend.close();
      return engine.close();
    });
  } catch (error) {
    backend.close();
    throw error;
  }
}
