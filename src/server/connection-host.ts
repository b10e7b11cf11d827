/** What the connections of a server share. */

import type { Admission } from './admission.ts';
import type { Metrics } from './metrics.ts';
import type { SessionStore } from './session-store.ts';

export interface ConnectionHost {
  readonly sessions: SessionStore;
  readonly admission: Admission;
  readonly metrics: Metrics;
  /** How often each side lets itself be heard. */
  readonly heartbeatMs: number;
  /** One line; never a secret, a key or a value. */
  log(line: string): void;
  /** A connection has ended. */
  left(connection: { close(): void }): void;
}
