/** How a session's calls find the space they work on: the one they name, or the session's current one. */

import { shibuDbError } from '../api/errors.ts';
import type { CatalogEntry } from '../storage/catalog.ts';
import type { DatabaseEngine } from './database-engine.ts';
import { readSpace } from './read-space.ts';
import type { ResidentSpace } from './resident-space.ts';

export class SpaceAccess {
  readonly engine: DatabaseEngine;
  #current: string | undefined;

  constructor(engine: DatabaseEngine) {
    this.engine = engine;
  }

  /** Makes a space the current one. @throws SPACE_NOT_FOUND */
  use(name: string): void {
    this.engine.entryOf(name);
    this.#current = name;
  }

  get current(): string | undefined {
    return this.#current;
  }

  /** What was current in an earlier session; whether it is still there, the calls on it will say. */
  resume(name: string | undefined): void {
    this.#current = name;
  }

  /** @throws NO_SPACE_SELECTED, SPACE_NOT_FOUND, WRONG_ENGINE */
  entry(space: string | undefined, engine: 'key-value' | 'vector', call: string): CatalogEntry {
    const name = space ?? this.#current;
    if (name === undefined) {
      throw shibuDbError(
        'NO_SPACE_SELECTED',
        `${call} needs a space: call useSpace(name) first or pass { space }`,
      );
    }
    const entry = this.engine.entryOf(name);
    if (entry.engine !== engine) {
      throw shibuDbError(
        'WRONG_ENGINE',
        `${call} needs a ${engine} space, but "${name}" is a ${entry.engine} space`,
      );
    }
    return entry;
  }

  /**
   * Answers without a promise where the space is in memory: a packed message of a thousand gets is then answered at once.
   * `read` is called again where it came to blocks that were not.
   */
  read<Result>(
    entry: CatalogEntry,
    read: (resident: ResidentSpace) => Result | Promise<Result>,
  ): Result | Promise<Result> {
    return readSpace(this.engine, entry, read);
  }
}
