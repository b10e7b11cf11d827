/**
 * The scans that are open, under numbers of this client's own: a server's numbers begin anew with each session, and a scan
 * of a session that is gone must not go on as another one's.
 */

import type { ScanStep } from '../api/calls.ts';
import { type ShibuDbError, shibuDbError } from '../api/errors.ts';

interface OpenScan {
  /** The server's number; nothing: its session is gone. */
  server: number | undefined;
  /** Where it stands. */
  cursor: string | undefined;
}

export class OpenScans {
  readonly #scans: Map<number, OpenScan> = new Map();
  #next = 1;

  opened(server: number): number {
    const scan = this.#next++;
    this.#scans.set(scan, { server, cursor: undefined });
    return scan;
  }

  /** The server's number; one that there is not for a scan that is not open, so that the server refuses it. @throws SNAPSHOT_LOST */
  serverNumberOf(scan: number): number {
    const open = this.#scans.get(scan);
    if (open === undefined) return -1;
    if (open.server === undefined) throw this.lostError(scan);
    return open.server;
  }

  isLost(scan: number): boolean {
    const open = this.#scans.get(scan);
    return open !== undefined && open.server === undefined;
  }

  stepped(scan: number, { done, cursor }: ScanStep<unknown>): void {
    const open = this.#scans.get(scan);
    if (done) this.#scans.delete(scan);
    else if (open !== undefined) open.cursor = cursor;
  }

  closed(scan: number): void {
    this.#scans.delete(scan);
  }

  /** The session is gone. */
  loseAll(): void {
    for (const open of this.#scans.values()) open.server = undefined;
  }

  lostError(scan: number): ShibuDbError {
    return shibuDbError('SNAPSHOT_LOST', 'The scan ended with the session that it was made in', {
      details: { cursor: this.#scans.get(scan)?.cursor },
    });
  }
}
