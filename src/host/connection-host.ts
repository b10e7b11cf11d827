/** What the connections of a server share. */

import type { Admission } from './admission.ts';
import type { SessionStore } from './session-store.ts';
import type { SocketConnection } from './socket-connection.ts';

/** What is counted of the traffic (metrics.ts). */
export interface Traffic {
  bytesReceived: number;
  bytesSent: number;
  /** @param code of the failure, if it was one */
  called(method: string, code: string | undefined, seconds: number): void;
}

export interface ConnectionHost {
  readonly sessions: SessionStore;
  readonly admission: Admission;
  readonly metrics: Traffic;
  /** How often each side lets itself be heard. */
  readonly heartbeatMs: number;
  /** Whether the server watches its clients by a timer; without, it waits for the runtime to tell that one has gone. */
  readonly watches: boolean;
  /** Runs the argument soon: what is answered until then travels together. */
  schedule(flush: () => void): void;
  /** One line; never a secret, a key or a value. */
  log(line: string): void;
  /** A connection has answered everything there was. */
  quiet?(connection: SocketConnection): void;
  /** A connection has ended. */
  left(connection: SocketConnection): void;
}
