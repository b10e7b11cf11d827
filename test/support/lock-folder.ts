// What two test files that run side by side must not do at once: two installations in one folder spoil one another.

import { mkdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';

/**
 * Does `work` while no other process does it under the same lock, a folder. Requires: it takes no longer than `atMostMs`: whoever holds
 * the lock longer was killed.
 */
export function withLock<T>(lock: string, work: () => T, atMostMs: number): T {
  mkdirSync(path.dirname(lock), { recursive: true });
  while (!taken(lock, atMostMs)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  try {
    return work();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

function taken(lock: string, atMostMs: number): boolean {
  try {
    mkdirSync(lock);
    return true;
  } catch {
    const made = statSync(lock, { throwIfNoEntry: false });
    if (made !== undefined && Date.now() - made.mtimeMs > 1.2 * atMostMs)
      rmSync(lock, { recursive: true, force: true });
    return false;
  }
}
