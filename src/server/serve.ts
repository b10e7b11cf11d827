/** `serve`: opens a database and puts it within reach. */

import type { FirstAdmin } from '../api/database.ts';
import type { Encryption } from '../api/encryption.ts';
import { integerIn, invalid, shown } from '../base/arguments.ts';
import { BridgeServer } from './bridge-server.ts';
import { openEmbedded } from './embedded-source.ts';
import { type ListenerName, type ListenerOptions, openListeners } from './listeners/open-listeners.ts';
import type { TcpListener } from './listeners/tcp-listener.ts';
import { pemOf } from './pem.ts';
import { openRoutes, type RoutingConfig } from './upstreams/config.ts';

/** Where a server listens, whom it lets in, and how much they may do. */
export interface ServeOptions extends ListenerOptions {
  /** Address to listen on. Default `127.0.0.1`: this machine alone. Anything else should have `tls`. */
  host?: string;
  /** Default 0: a free one, told in `url`. */
  port?: number;
  /** Key and certificate in PEM. Default: none; the WebSocket is `ws:`. */
  tls?: { key: string | Uint8Array; cert: string | Uint8Array };
  /** Origins of the pages that may connect (`https://app.example`). Default: none. Programs send no origin, and may. */
  origins?: readonly string[];
  /** The admin to create where the database has no users. Default: `admin` with a random password, told in `createdAdmin`. */
  admin?: FirstAdmin;
  /** Spaces that lie in other databases: Redis, Postgres, ShibuDB, NubDB. Default: none. docs/bridge.md */
  routing?: RoutingConfig;
  /** Where the data is kept; `memory` forgets it. Default `files`. */
  storage?: 'files' | 'memory';
  /** What opens the folder, where it is encrypted, or is to be made so. Default: none; a plain folder. docs/encryption.md */
  encryption?: Encryption;
  /** Connections there may be at a time. Default 1000; changed while it runs by `PUT /limit`. */
  connectionsMax?: number;
  /** Connections from one address. Default: no limit of its own. */
  connectionsPerAddress?: number;
  /** Attempts to log in from one address, a minute. Default 60. */
  loginsPerMinute?: number;
  /** Calls a second of one user over all connections. Default: no limit. */
  callsPerSecond?: number;
  /** How long a session waits for a client that lost its connection, in milliseconds. Default 60000. */
  resumeMs?: number;
  /** Gets a line for what an operator should know; never a password, token, key or value. Default: nothing is logged. */
  log?: (line: string) => void;
}

/** A server that listens. */
export interface RunningServer extends AsyncDisposable {
  /** For `connect`: `ws://127.0.0.1:4321/`. */
  readonly url: string;
  /** The port of `url`. */
  readonly port: number;
  /** The ports of the listeners that were asked for. */
  readonly listeners: { readonly [Name in ListenerName]?: number };
  /** The admin that was made because there were no users: the only time its password is told. */
  readonly createdAdmin: FirstAdmin | undefined;
  /** Finishes what was accepted, and closes the database. May be called twice. */
  close(): Promise<void>;
}

/**
 * Opens the database in the folder `path` and serves it.
 *
 * @throws what `open` of `shibumi/node` throws; BRIDGE_UNAVAILABLE when the address cannot be listened on; INVALID_ARGUMENT
 */
export async function serve(path: string, options: ServeOptions = {}): Promise<RunningServer> {
  if (typeof path !== 'string' || path.length === 0)
    throw invalid(`Got ${shown(path)} for the database's path, expected the path of a folder`);
  const {
    host = '127.0.0.1',
    port = 0,
    tls,
    origins = [],
    admin,
    storage = 'files',
    log = () => {},
  } = options;
  integerIn(port, 0, 65_535, 'port');
  const resumeMs = integerIn(options.resumeMs ?? 60_000, 0, 2 ** 31 - 1, 'resumeMs');
  const routes = options.routing === undefined ? undefined : await openRoutes(options.routing);
  const stored = options.encryption === undefined ? { storage } : { storage, encryption: options.encryption };
  const { source, made } = await openEmbedded(path, stored, admin, routes).catch(async (error: unknown) => {
    await routes?.close();
    throw error;
  });
  const server = new BridgeServer(source, { ...options, host, port, tls, origins, resumeMs, log });
  let listeners: Map<ListenerName, TcpListener>;
  try {
    listeners = await openListeners(source, server.host, options, { host, tls: pemOf(tls) });
  } catch (error) {
    await source.close();
    throw error;
  }
  const close = async (): Promise<void> => {
    await Promise.all([...listeners.values()].map((listener) => listener.close()));
    await server.close();
  };
  try {
    await server.listen();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    url: server.url,
    port: server.port,
    listeners: Object.fromEntries([...listeners].map(([name, listener]) => [name, listener.port])),
    createdAdmin: made,
    close,
    [Symbol.asyncDispose]: close,
  };
}
