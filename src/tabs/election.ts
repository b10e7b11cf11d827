/**
 * Who may own the database: the holder of a Web Lock. It goes to the next in line when the holder lets go or dies; from a
 * holder that is frozen it is stolen. The lock only says who should try: that a former holder can write nothing any more
 * is for the epoch to ensure (storage/indexeddb-backend.ts).
 *
 * Without Web Locks (pages that are not served securely) nobody is told that an owner is gone: standing never succeeds, and
 * whoever has missed the owner for long enough seizes the database; the epoch decides between several that do.
 */

import { ownerLock, takeoverLock } from './names.ts';

export interface Mandate {
  /** It was taken from somebody who may not know yet, instead of given. */
  readonly seized: boolean;
  /** Resolves when it was taken by somebody else. */
  readonly taken: Promise<void>;
  release(): void;
}

/** So often another may be at it before the lock of taking over is stolen too: that one is frozen itself. */
const refusalsMax = 3;

export class Election {
  readonly #name: string;
  readonly #locks: LockManager | undefined;
  #refusals = 0;

  constructor(name: string, locks: LockManager | undefined) {
    this.#name = name;
    this.#locks = locks;
  }

  /** Waits in line. @throws AbortError when the signal fires first */
  stand(signal: AbortSignal): Promise<Mandate> {
    return this.#request({ signal }, false);
  }

  /**
   * Takes the database from an owner that gives no sign and runs `own` with it, unless another is doing so already.
   * `isMissing` is asked last, when nobody else can be at it any more.
   */
  async seize(isMissing: () => Promise<boolean>, own: (mandate: Mandate) => Promise<void>): Promise<void> {
    const seize = async (): Promise<void> => {
      this.#refusals = 0;
      if (await isMissing()) await own(await this.#request({ steal: true }, true));
    };
    if (this.#locks === undefined) return seize();
    const options: LockOptions = this.#refusals < refusalsMax ? { ifAvailable: true } : { steal: true };
    await this.#locks.request(takeoverLock(this.#name), options, async (lock) => {
      if (lock === null) this.#refusals++;
      else await seize();
    });
  }

  #request(options: LockOptions, seized: boolean): Promise<Mandate> {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const { promise: taken, resolve: lose } = Promise.withResolvers<void>();
    const mandate: Mandate = { seized, taken, release };
    if (this.#locks === undefined) return seized ? Promise.resolve(mandate) : new Promise(() => {});
    const locks = this.#locks;
    return new Promise((resolve, reject) => {
      locks
        .request(ownerLock(this.#name), options, () => {
          resolve(mandate);
          return held;
        })
        .catch((error: unknown) => {
          // Stolen while it was held; or, before that, the signal fired.
          lose();
          reject(error);
        });
    });
  }
}
