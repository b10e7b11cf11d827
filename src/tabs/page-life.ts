/**
 * A page that the browser freezes, or keeps for the back button, runs no more and must not be waited for: it lets go of the
 * database before, and gets in line again when it is shown. Where this comes too late the others take it by force.
 */

import type { TabTransport } from './tab-transport.ts';

/** Until the transport is released. In a worker nothing happens: it has no such events. */
export function watchPage(transport: TabTransport): void {
  if (typeof document === 'undefined') return;
  const { signal } = transport;
  const suspend = (): void => transport.suspend();
  const resume = (): void => transport.resume();
  // Also of a page that is going for good: what time the browser leaves it is used to end in order.
  addEventListener('pagehide', suspend, { signal });
  addEventListener('pageshow', ({ persisted }) => persisted && resume(), { signal });
  document.addEventListener('freeze', suspend, { signal });
  document.addEventListener('resume', resume, { signal });
}
