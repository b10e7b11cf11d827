/** What a server stands in front of: an engine in this process, or another database that is reached over a wire. */

import type { CallContext, Method } from '../api/calls.ts';
import { isShibuDbError } from '../api/errors.ts';

/** Runs calls by name: a session. What it throws are `ShibuDbError`s, or faults of its own. */
export interface Callee {
  call(method: Method, args: never, context: CallContext): unknown;
}

/**
 * Whether a session is not let in any more. Asked by a step of a scan that there is not: rights are looked at first, and nothing else
 * comes of it.
 */
export async function isShutOut(callee: Callee): Promise<boolean> {
  try {
    await callee.call('scanNext', { scan: -1 } as never, {});
    return false;
  } catch (error) {
    return isShibuDbError(error) && error.code === 'NOT_AUTHENTICATED';
  }
}

export interface Source {
  /** For `/health` and logs: `files`, `memory`, `redis`, … */
  readonly kind: string;
  /** A session of its own for one caller; ended by the call `close`. */
  openSession(): Callee;
  close(): Promise<void>;
}

/** What listeners for other protocols need besides. */
export interface ListenerSource extends Source {
  /** What lets a session act as this user: for listeners whose clients bring no password. @throws USER_NOT_FOUND */
  tokenOf(username: string): Promise<string>;
  /** Makes the key-value space if there is none of that name. */
  ensureSpace(name: string): Promise<void>;
}
