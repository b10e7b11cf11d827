/** What the tabs of one database call what they share. */

/** Held by the worker that owns the database. */
export function ownerLock(name: string): string {
  return `shibumi:${name}`;
}

/** Held by whoever is taking the database from an owner that gives no sign: one at a time. */
export function takeoverLock(name: string): string {
  return `shibumi:takeover:${name}`;
}

/** Held by a page or worker as long as it lives: whoever gets it knows that the holder is gone. */
export function aliveLock(id: string): string {
  return `shibumi:alive:${id}`;
}

/** The channel on which all of a database's tabs hear each other. */
export function controlChannel(name: string): string {
  return `shibumi:${name}`;
}

/** A channel of two: a client and the owner, where no port can be had. */
export function pairChannel(name: string, id: string): string {
  return `shibumi:${name}:${id}`;
}

/** Names somebody. `crypto.randomUUID` is missing in insecure contexts. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** `undefined` in insecure contexts. */
export function webLocks(): LockManager | undefined {
  return globalThis.navigator?.locks;
}

/** How long somebody who lives may take to answer, when there is reason to think that it does not. */
const answerMs = 500;

/**
 * Whether somebody answers whose lock was let go. Chromium gives pages new locks when their site's data is cleared, and forgets
 * who held the former ones: then a lock that is free proves nothing.
 */
export async function answers(ping: Promise<unknown>): Promise<boolean> {
  return Promise.race([
    ping.then(
      () => true,
      () => false,
    ),
    new Promise<boolean>((resolve) => setTimeout(() => resolve(false), answerMs)),
  ]);
}

/** Resolves when the lock is held; only the end of this page or worker, or `until`, lets it go. */
export function holdForEver(lock: string, until: Promise<void> = new Promise(() => {})): Promise<void> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(lock, () => {
        resolve();
        return until;
      })
      .catch(reject);
  });
}
