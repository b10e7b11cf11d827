/** Work that goes on behind the answer of the event that began it: else the runtime ends it there. */

import * as workers from 'cloudflare:workers';

export function runOn(work: Promise<unknown>): void {
  try {
    workers.waitUntil?.(work);
  } catch {
    // Outside of an event; what comes here is a favour.
  }
}
