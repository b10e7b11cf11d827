/**
 * The backend over IndexedDB, through `idb`.
 *
 * One IndexedDB database per Shibumi database, three object stores with keys given from outside:
 *   state   'catalog' -> bytes, ['manifest', space] -> bytes
 *   blocks  [space, block, generation] -> bytes
 *   log     [space, sequence] -> bytes
 *
 * Rules learnt from measurements: a write counts when the transaction is *complete*, never when a request succeeded (on a
 * quota overrun `success` fires first and only `abort` tells the truth); inside a transaction nothing but IndexedDB is
 * awaited; a value put must be a view over exactly its own buffer, because `put` clones the whole backing buffer.
 */

import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import { isShibuDbError, type ShibuDbError, shibuDbError } from '../api/errors.ts';
import { assert } from '../base/assert.ts';
import type {
  BlockName,
  LogEntry,
  StorageBackend,
  StorageEstimate,
  StoredBlock,
  StoredState,
} from './backend.ts';

interface Schema extends DBSchema {
  state: { key: string | [string, number]; value: Uint8Array };
  blocks: { key: [number, number, number]; value: Uint8Array };
  log: { key: [number, number]; value: Uint8Array };
}
type Store = 'state' | 'blocks' | 'log';

const layoutVersion = 1;
/** Behind every number, so that [space, ...anything] < [space, last]. Arrays sort after numbers in IndexedDB. */
const last: never = [] as never;

/** The name of the IndexedDB database that keeps a Shibumi database. */
export function indexedDbName(name: string): string {
  return `shibumi:${name}`;
}

export class IndexedDbBackend implements StorageBackend {
  readonly kind = 'indexeddb';
  readonly #db: IDBPDatabase<Schema>;
  #closed: string | undefined;

  private constructor(db: IDBPDatabase<Schema>) {
    this.#db = db;
    // Another context wants to delete or upgrade: holding on would block it for ever.
    db.addEventListener('versionchange', () => this.#end('it was deleted or upgraded by another page'));
    db.addEventListener('close', () =>
      this.#end('the browser closed it, for example because its data was cleared'),
    );
  }

  /** @throws STORAGE_UNAVAILABLE where there is no IndexedDB or the browser refuses it; TIMEOUT when it does not answer */
  static async open(name: string, timeoutMs: number): Promise<IndexedDbBackend> {
    if (typeof indexedDB === 'undefined') {
      throw shibuDbError(
        'STORAGE_UNAVAILABLE',
        'This context has no IndexedDB; open with { storage: "memory" } to go without',
      );
    }
    const opening = openDB<Schema>(indexedDbName(name), layoutVersion, {
      upgrade(db) {
        for (const store of ['state', 'blocks', 'log'] as const) db.createObjectStore(store);
      },
    });
    // An open queued behind a blocked upgrade or deletion gets no event at all: time is the only sign.
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, undefined);
    });
    try {
      const db = await Promise.race([opening, late]);
      if (db === undefined) {
        opening.then((stray) => stray.close()).catch(() => {});
        throw shibuDbError('TIMEOUT', `IndexedDB did not open "${name}" within ${timeoutMs} ms`);
      }
      return new IndexedDbBackend(db);
    } catch (error) {
      if (isShibuDbError(error)) throw error;
      throw storageError(error, 'open', 'STORAGE_UNAVAILABLE');
    } finally {
      clearTimeout(timer);
    }
  }

  readState(): Promise<StoredState> {
    return this.#run('readState', async () => {
      const tx = this.#db.transaction('state', 'readonly');
      const [catalog, keys, values] = await Promise.all([
        tx.store.get('catalog'),
        tx.store.getAllKeys(IDBKeyRange.bound(['manifest'], ['manifest', last])),
        tx.store.getAll(IDBKeyRange.bound(['manifest'], ['manifest', last])),
        tx.done,
      ]);
      const manifests = new Map<number, Uint8Array>();
      for (const [i, key] of keys.entries())
        manifests.set((key as [string, number])[1], values[i] as Uint8Array);
      return { catalog, manifests };
    });
  }

  readBlocks(space: number, names: readonly BlockName[]): Promise<(Uint8Array | undefined)[]> {
    return this.#run('readBlocks', async () => {
      const tx = this.#db.transaction('blocks', 'readonly');
      const gets = names.map((name) => tx.store.get([space, name.block, name.generation]));
      const [values] = await Promise.all([Promise.all(gets), tx.done]);
      return values;
    });
  }

  readLog(space: number, sequence: number): Promise<LogEntry[]> {
    return this.#run('readLog', async () => {
      const tx = this.#db.transaction('log', 'readonly');
      const range = IDBKeyRange.bound([space, sequence], [space, last]);
      const [keys, values] = await Promise.all([tx.store.getAllKeys(range), tx.store.getAll(range), tx.done]);
      return keys.map((key, i) => ({ space, sequence: key[1], bytes: values[i] as Uint8Array }));
    });
  }

  listBlocks(space: number): Promise<BlockName[]> {
    return this.#run('listBlocks', async () => {
      const keys = await this.#db.getAllKeys('blocks', IDBKeyRange.bound([space], [space, last]));
      return keys.map(([, block, generation]) => ({ block, generation }));
    });
  }

  append(entries: readonly LogEntry[], flush: boolean): Promise<void> {
    return this.#write('append', ['log'], flush, (tx) => {
      const log = tx.objectStore('log');
      // `add`, not `put`: no record is ever written over, whatever goes wrong above.
      return entries.map((entry) => log.add(exact(entry.bytes), [entry.space, entry.sequence]));
    });
  }

  flush(): Promise<void> {
    // A strict transaction flushes all earlier ones of the database; one that writes nothing might flush nothing.
    return this.#write('flush', ['state'], true, (tx) => [
      tx.objectStore('state').put(new Uint8Array(1), 'flush'),
    ]);
  }

  writeBlocks(space: number, blocks: readonly StoredBlock[]): Promise<void> {
    return this.#write('writeBlocks', ['blocks'], false, (tx) => {
      const store = tx.objectStore('blocks');
      return blocks.map(({ block, generation, bytes }) =>
        store.put(exact(bytes), [space, block, generation]),
      );
    });
  }

  publish(space: number, manifest: Uint8Array): Promise<void> {
    return this.#write('publish', ['state'], true, (tx) => [
      tx.objectStore('state').put(exact(manifest), ['manifest', space]),
    ]);
  }

  drop(space: number, blocks: readonly BlockName[], sequence: number): Promise<void> {
    return this.#write('drop', ['blocks', 'log'], false, (tx) => [
      ...blocks.map((name) => tx.objectStore('blocks').delete([space, name.block, name.generation])),
      tx.objectStore('log').delete(IDBKeyRange.bound([space], [space, sequence], false, true)),
    ]);
  }

  writeCatalog(catalog: Uint8Array, removed: readonly number[]): Promise<void> {
    return this.#write('writeCatalog', ['state', 'blocks', 'log'], true, (tx) => {
      const requests: Promise<unknown>[] = [tx.objectStore('state').put(exact(catalog), 'catalog')];
      for (const space of removed) {
        const all = IDBKeyRange.bound([space], [space, last]);
        requests.push(
          tx.objectStore('state').delete(['manifest', space]),
          tx.objectStore('blocks').delete(all),
          tx.objectStore('log').delete(all),
        );
      }
      return requests;
    });
  }

  async estimate(): Promise<StorageEstimate> {
    const storage = globalThis.navigator?.storage;
    if (storage === undefined) return {};
    const [estimate, persisted] = await Promise.all([storage.estimate?.(), storage.persisted?.()]);
    return {
      ...(estimate?.usage === undefined ? {} : { usageBytes: estimate.usage }),
      ...(estimate?.quota === undefined ? {} : { quotaBytes: estimate.quota }),
      ...(persisted === undefined ? {} : { persisted }),
    };
  }

  close(): void {
    this.#end('close() was called');
  }

  #end(reason: string): void {
    this.#closed ??= reason;
    this.#db.close();
  }

  async #run<Result>(action: string, body: () => Promise<Result>): Promise<Result> {
    if (this.#closed !== undefined)
      throw shibuDbError('CLOSED', `The storage connection is closed: ${this.#closed}`);
    try {
      return await body();
    } catch (error) {
      throw isShibuDbError(error) ? error : storageError(error, action, 'STORAGE_FAILED');
    }
  }

  #write(
    action: string,
    stores: Store[],
    flush: boolean,
    requests: (tx: ReturnType<typeof this.begin>) => Promise<unknown>[],
  ): Promise<void> {
    return this.#run(action, async () => {
      const tx = this.begin(stores, flush);
      // A failing request rejects and aborts the transaction; `done` is what is reported, so the rest is only kept quiet.
      for (const request of requests(tx)) request.catch(() => {});
      tx.commit();
      await tx.done;
    });
  }

  private begin(stores: Store[], flush: boolean) {
    return this.#db.transaction(stores, 'readwrite', { durability: flush ? 'strict' : 'relaxed' });
  }
}

/** Deletes a database's storage; resolves when it is gone. */
export async function deleteIndexedDb(name: string, timeoutMs: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const request = indexedDB.deleteDatabase(indexedDbName(name));
    const timer = setTimeout(
      () =>
        reject(
          shibuDbError(
            'TIMEOUT',
            `IndexedDB did not delete "${name}" within ${timeoutMs} ms; is it open elsewhere?`,
          ),
        ),
      timeoutMs,
    );
    request.onsuccess = () => {
      clearTimeout(timer);
      resolve();
    };
    request.onerror = () => {
      clearTimeout(timer);
      reject(storageError(request.error, 'deleteDatabase', 'STORAGE_FAILED'));
    };
  });
}

function exact(bytes: Uint8Array): Uint8Array {
  assert(bytes.byteLength === bytes.buffer.byteLength, 'a stored value owns its whole buffer');
  return bytes;
}

function storageError(
  error: unknown,
  action: string,
  code: 'STORAGE_FAILED' | 'STORAGE_UNAVAILABLE',
): ShibuDbError {
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'QuotaExceededError') {
    return shibuDbError(
      'QUOTA_EXCEEDED',
      `The browser's storage quota is used up (${action}); nothing was written`,
      { cause: error },
    );
  }
  const reason = error instanceof Error ? error.message : String(error);
  return shibuDbError(code, `IndexedDB failed in ${action}: ${name === '' ? '' : `${name}: `}${reason}`, {
    cause: error,
  });
}
