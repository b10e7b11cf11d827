/**
 * Engines that several callers use at the same time: the first to ask for one opens it, the last to leave closes it. Whoever
 * asks while it is being closed waits and opens it anew.
 */

import type { DatabaseEngine } from './database-engine.ts';

export interface OpenedEngine {
  readonly engine: DatabaseEngine;
  /** Lets go of what the engine stood on, after it was closed. */
  release(): Promise<void>;
}

/** What one caller has of an engine; `close` ends the engine with the last of its shares. */
export interface EngineShare {
  readonly engine: DatabaseEngine;
  close(): Promise<void>;
}

interface Shared<Opened> {
  readonly opened: Promise<Opened>;
  shares: number;
  closing: Promise<void> | undefined;
}

export class SharedEngines<Opened extends OpenedEngine = OpenedEngine> {
  readonly #engines: Map<string, Shared<Opened>> = new Map();

  /** A share in the engine `key`, which `open` makes if there is none. `join` may refuse one that is there. */
  async share(
    key: string,
    open: () => Promise<Opened>,
    join: (opened: Opened) => void | Promise<void> = () => {},
  ): Promise<EngineShare> {
    for (;;) {
      const closing = this.#engines.get(key)?.closing;
      if (closing === undefined) break;
      await closing.catch(() => {});
    }
    const known = this.#engines.get(key);
    const shared = known ?? { opened: open(), shares: 0, closing: undefined };
    this.#engines.set(key, shared);
    shared.shares++;
    try {
      const opened = await shared.opened;
      if (known !== undefined) await join(opened);
      let left: Promise<void> | undefined;
      const close = (): Promise<void> => (left ??= this.#leave(key, shared, opened));
      return { engine: opened.engine, close };
    } catch (error) {
      // Nobody has a share in an engine that could not be opened; one that was refused leaves the others theirs.
      shared.shares--;
      if (known === undefined) this.#engines.delete(key);
      throw error;
    }
  }

  async #leave(key: string, shared: Shared<Opened>, { engine, release }: Opened): Promise<void> {
    shared.shares--;
    if (shared.shares > 0) return;
    shared.closing = engine
      .close()
      .finally(release)
      .finally(() => this.#engines.delete(key));
    await shared.closing;
  }
}
