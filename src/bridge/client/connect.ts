/** `connect`: what it is told is checked here; the work is the transport's. */

import type { Database } from '../../api/database.ts';
import { shibuDbError } from '../../api/errors.ts';
import { integerIn, invalid, shown } from '../../base/arguments.ts';
import { type ClientOptions, openClient } from '../../client/open-client.ts';
import { type Credentials, SocketTransport } from './socket-transport.ts';

/** Who connects, and how long a lost connection is waited for. */
export interface ConnectOptions extends Pick<ClientOptions, 'log'> {
  /** Signs in with the connection. Default: nobody is signed in, and everything but `authenticate` is refused. */
  username?: string;
  /** Goes with `username`. Default: none; over `wss://` only the server sees it. */
  password?: string;
  /** A one-use ticket instead of a password, got by `POST /ticket`: for pages, which should not keep a password. */
  ticket?: string;
  /**
   * How long opening may take, and how long a call waits for a connection that broke before it fails with
   * `BRIDGE_UNAVAILABLE` (or `OUTCOME_UNKNOWN`, if it had been sent and may have taken effect). Default 30000. How long a call
   * itself may take is told by its own `timeoutMs`.
   */
  timeoutMs?: number;
}

/**
 * Connects to a bridge at `ws://…` or `wss://…`. A connection that breaks is made again: open calls are sent again and take effect
 * once, the chosen space, the user and open scans stay as they were.
 *
 * @throws BRIDGE_UNAVAILABLE when nobody answers there, TIMEOUT, VERSION_MISMATCH, INVALID_CREDENTIALS, INVALID_ARGUMENT
 */
export async function connect(url: string | URL, options: ConnectOptions = {}): Promise<Database> {
  const address = addressOf(url);
  const timeoutMs = integerIn(options.timeoutMs ?? 30_000, 1, 2 ** 31 - 1, 'timeoutMs');
  if (typeof WebSocket === 'undefined')
    throw shibuDbError('UNSUPPORTED', 'This runtime has no WebSocket; Node has one from version 22 on');
  const credentials = credentialsOf(options);
  return openClient(async () => {
    const transport = new SocketTransport({ url: address, timeoutMs });
    try {
      await transport.connect(credentials);
    } catch (error) {
      transport.release();
      throw error;
    }
    return transport;
  }, options);
}

/** @throws INVALID_ARGUMENT */
export function addressOf(url: unknown): string {
  try {
    const parsed = new URL(url as string | URL);
    if ((parsed.protocol === 'ws:' || parsed.protocol === 'wss:') && parsed.username === '') {
      parsed.hash = '';
      return parsed.href;
    }
  } catch {
    // Said below.
  }
  throw invalid(
    `Got ${shown(url)} for the bridge's address, expected a ws: or wss: URL without a user in it`,
  );
}

const optionNames: readonly string[] = ['username', 'password', 'ticket', 'timeoutMs', 'log'];

function credentialsOf({ username, password, ticket, ...rest }: ConnectOptions): Credentials | undefined {
  const stranger = Object.keys(rest).find((name) => !optionNames.includes(name));
  if (stranger !== undefined)
    throw invalid(`Got option ${shown(stranger)}, expected only ${optionNames.join(', ')}`);
  if (ticket !== undefined) {
    if (typeof ticket === 'string' && /^[\w-]+$/.test(ticket) && username === undefined) return { ticket };
    throw invalid('Got a ticket that is none, or a username beside it, expected what POST /ticket answered');
  }
  if (username === undefined && password === undefined) return undefined;
  if (typeof username !== 'string' || typeof password !== 'string')
    throw invalid('Got one of username and password, expected both, as texts');
  return { username, password };
}
