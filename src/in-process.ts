/**
 * `shibumi/in-process`: the engine in the calling thread, over IndexedDB. For service workers, which have no workers of their
 * own, and for a worker that is to hold the database itself. The same `Database`: it shares what it opens with the pages and
 * workers of the site, and whoever came first owns it. On a page `shibumi` is the one to use: there, what computes belongs
 * into a worker.
 */

import * as Comlink from 'comlink';
import type { Database } from './api/database.ts';
import { deleteDatabase as deleteInWorker, type OpenOptions, open as openInWorker } from './index.ts';
import { Endpoint } from './worker-endpoint.ts';

export type * from './api/database.ts';
export {
  AuthenticationError,
  ConnectionError,
  type ErrorCode,
  type ErrorDetails,
  isShibuDbError,
  PoolExhaustedError,
  QueryError,
  ShibuDbError,
} from './api/errors.ts';

/** Those of `open` of `shibumi`, but for the workers that are not there. */
export type InProcessOptions = Omit<OpenOptions, 'worker' | 'broker' | 'threads'>;

/**
 * Opens a database, creating it if there is none. In a script without `import.meta` (a classic service worker that a bundler
 * wrote) `wasm` must be given.
 *
 * @throws as `open` of `shibumi`
 */
export function open(name: string, options: InProcessOptions = {}): Promise<Database> {
  // Helpers run the script of their worker, which here is the caller's.
  return openInWorker(name, { ...options, worker: standIn, broker: false, threads: 1 });
}

/**
 * Deletes a database and everything in it. Resolves when it is gone; there may have been none.
 *
 * @throws LOCKED while anybody has it open
 */
export function deleteDatabase(name: string, options: { timeoutMs?: number } = {}): Promise<void> {
  return deleteInWorker(name, { ...options, worker: standIn() });
}

/** Stands for a worker where there is none: a port whose other end is served by this thread. */
function standIn(): Worker {
  const endpoint = new Endpoint();
  const { port1, port2 } = new MessageChannel();
  Comlink.expose(endpoint, port2);
  port1.start();
  const terminate = (): void => {
    endpoint.tab.end();
    port1.close();
  };
  // A worker's events of failure never come: what fails here fails the thread.
  return Object.assign(port1, { onerror: null, terminate }) as unknown as Worker;
}
