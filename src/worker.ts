/**
 * `shibumi/worker`: the script of a worker. Loading it exposes the engine through Comlink; it exports nothing. A worker makes its
 * helpers, where it can have any, from this same script: bundlers and policies have no more files to know.
 */

import * as Comlink from 'comlink';
import { isHelper, serveHelper } from './rpc/helper-worker.ts';
import { Endpoint } from './worker-endpoint.ts';

if (isHelper()) serveHelper();
else Comlink.expose(new Endpoint());
