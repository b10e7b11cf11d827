/**
 * The script of the worker that a page has by itself: the one of `shibumi/worker`, but that in the package its parts (engine/parts.ts) are
 * files of their own beside it (tools/worker-parts.mjs). That one stays whole, for whoever copies files by hand.
 */

import './worker.ts';
