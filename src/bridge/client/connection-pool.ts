/** Pools of connections to a bridge: the address instead of a function that opens one. */

import { invalid } from '../../base/arguments.ts';
import { ConnectionPool, type ConnectionPoolOptions } from '../../client/connection-pool.ts';
import { addressOf, type ConnectOptions, connect } from './connect.ts';

export interface BridgePoolOptions
  extends Omit<ConnectionPoolOptions, 'open'>,
    Pick<ConnectOptions, 'timeoutMs' | 'log'> {
  /** Where the bridge is: `ws://…` or `wss://…`. */
  url: string | URL;
}

/**
 * Makes a pool of connections to a bridge, or of whatever `open` opens. It opens `minSize` connections in the background;
 * what goes wrong with them is told to whoever asks for one. Only the first connection hashes the password: the others
 * sign in with the token it got.
 *
 * @throws INVALID_ARGUMENT
 */
export function createConnectionPool(options: BridgePoolOptions | ConnectionPoolOptions): ConnectionPool {
  if (typeof options !== 'object' || options === null || !('url' in options))
    return new ConnectionPool(options);
  if ('open' in options) throw invalid('Got both url and open, expected one of them');
  const { url, timeoutMs, log, ...rest } = options;
  const address = addressOf(url);
  const connectOptions = {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(log === undefined ? {} : { log }),
  };
  return new ConnectionPool({ ...rest, open: () => connect(address, connectOptions) });
}
