/** A helper of `shibumi/node` (engine/helper.ts): the script of a worker thread. It exports nothing. */

import { serveHelperThread } from './node/helper-thread.ts';

serveHelperThread();
