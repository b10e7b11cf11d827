/** The catalog as it is now, and the one way of changing it: one change after another, each stored before it counts. */

import { shibuDbError } from '../api/errors.ts';
import type { StorageBackend } from '../storage/backend.ts';
import { type Catalog, type CatalogEntry, encodeCatalog } from '../storage/catalog.ts';
import type { Checksum } from '../storage/envelope.ts';

/** Everything about a new space except its number. */
export type NewSpace = Omit<CatalogEntry, 'id'>;

export class SpaceCatalog {
  readonly #backend: StorageBackend;
  readonly #checksum: Checksum;
  readonly #assertOpen: () => void;
  #current: Catalog;
  #work: Promise<unknown> = Promise.resolve();

  /** @param assertOpen throws when nothing may begin any more */
  constructor(catalog: Catalog, backend: StorageBackend, checksum: Checksum, assertOpen: () => void) {
    this.#current = catalog;
    this.#backend = backend;
    this.#checksum = checksum;
    this.#assertOpen = assertOpen;
  }

  get current(): Catalog {
    return this.#current;
  }

  get spaces(): readonly CatalogEntry[] {
    return this.#current.spaces;
  }

  /** @throws SPACE_NOT_FOUND */
  entryOf(name: string): CatalogEntry {
    for (const space of this.spaces) if (space.name === name) return space;
    const names = this.spaces.map((space) => space.name).join(', ');
    // With users, not everybody may know what there is.
    const others =
      this.#current.users === undefined ? `; there ${names === '' ? 'are none yet' : `is: ${names}`}` : '';
    throw shibuDbError('SPACE_NOT_FOUND', `There is no space "${name}"${others}`);
  }

  /** @throws SPACE_NOT_FOUND when the space was deleted or emptied since its entry was looked up */
  assertCurrent(entry: CatalogEntry): void {
    for (const space of this.spaces)
      if (space === entry || (space.id === entry.id && space.name === entry.name)) return;
    throw shibuDbError('SPACE_NOT_FOUND', `The space "${entry.name}" was deleted or cleared meanwhile`);
  }

  /** @throws SPACE_EXISTS */
  create(space: NewSpace): Promise<void> {
    return this.change(async () => {
      if (this.spaces.some(({ name }) => name === space.name)) {
        throw shibuDbError('SPACE_EXISTS', `There is a space "${space.name}" already`);
      }
      const entry: CatalogEntry = { id: this.#current.nextId, ...space };
      const spaces = [...this.spaces, entry];
      await this.write({ ...this.#current, nextId: entry.id + 1, spaces });
    });
  }

  /** Runs `work` when every change before it has ended. @throws READ_ONLY */
  change(work: () => Promise<void>): Promise<void> {
    const running = this.#work.then(() => {
      this.#assertOpen();
      if (this.#backend.readOnly !== undefined) throw shibuDbError('READ_ONLY', this.#backend.readOnly);
      return work();
    });
    this.#work = running.catch(() => {});
    return running;
  }

  /** Only inside `change`: stores a catalog and drops, in the same transaction, everything of the spaces `removed`. */
  async write(catalog: Catalog, removed: readonly number[] = []): Promise<void> {
    await this.#backend.writeCatalog(encodeCatalog(catalog, this.#checksum), removed);
    this.#current = catalog;
  }

  /**
   * Only inside `change`: the same, but nobody finds the removed spaces from now on, so that `before` can wait for what was
   * submitted to them earlier. If either fails, the former catalog counts again.
   */
  async writeAfter(before: () => Promise<void>, catalog: Catalog, removed: readonly number[]): Promise<void> {
    const former = this.#current;
    this.#current = catalog;
    try {
      await before();
      await this.write(catalog, removed);
    } catch (error) {
      this.#current = former;
      throw error;
    }
  }

  /** Resolves when no change is under way. */
  async idle(): Promise<void> {
    await this.#work;
  }
}
