/**
 * `shibumi/bridge`: the same `Database`, with the engine in a server (`shibumi serve`). For browsers, edge runtimes, Node,
 * Bun and Deno; it needs nothing but a global `WebSocket`.
 */

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
export { type ConnectOptions, connect } from './bridge/client/connect.ts';
export { type BridgePoolOptions, createConnectionPool } from './bridge/client/connection-pool.ts';
export type {
  ConnectionPool,
  ConnectionPoolOptions,
  ConnectionPoolStats,
} from './client/connection-pool.ts';
