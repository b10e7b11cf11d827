/**
 * `shibumi/server`: the bridge, for Node. It puts a database that lives here within reach of `connect` of `shibumi/bridge`,
 * from browsers, edge runtimes and programs. Nobody gets in without a name and a password.
 */

export type { FirstAdmin } from './api/database.ts';
export {
  AuthenticationError,
  ConnectionError,
  type ErrorCode,
  type ErrorDetails,
  isShibuDbError,
  QueryError,
  ShibuDbError,
} from './api/errors.ts';
export { type RunningServer, type ServeOptions, serve } from './server/serve.ts';
export type { RoutingConfig } from './server/upstreams/config.ts';
