/**
 * The backend over IndexedDB, through `idb`.
 *
 * One IndexedDB database per Shibumi database, three object stores with keys given from outside:
 *   state   'catalog' -> bytes, ['manifest', space] -> bytes, 'epoch' -> bytes
 *   blocks  [space, block, generation] -> bytes
 *   log     [space, sequence] -> bytes
 *
 * One writer at a time. Every writing transaction has `state` in its scope, so that IndexedDB runs them one after the other,
 * those of other connections too. Two things rest on it:
 *
 *  * The store survives a kill. Chromium writes a large transaction bit by bit, and keeps beside it how to undo it and which
 *    locks it has. If two of one database were under way at a kill, both have the lock of the database, and the next browser takes
 *    that for corruption and deletes everything (`test/browser/data-loss.test.ts`; 3 of 8 kills with two writers, 0 of 8 with one).
 *  * The fence. Whoever opens the database raises its *epoch* (storage/epoch.ts); every transaction that writes reads it first
 *    and is aborted where it is not the writer's own any more. What a former owner (a tab that was frozen, say) still tries to
 *    write either came before the new owner read anything, or does not happen.
 *
 * The price: a record waits for the blocks a checkpoint writes at that moment, so a checkpoint writes few at a time.
 *
 * Power loss. A strict transaction does not flush all earlier ones in Chromium (`test/browser/power-loss.test.ts`): neither the
 * files that relaxed ones put large values into, nor what they wrote to a log of LevelDB's that has been changed for a new one since. So
 * whatever writes a large value, or blocks, is strict itself, and a strict transaction writes small relaxed records again
 * (unflushed-records.ts).
 *
 * What store-session.ts keeps in `state` says whether this is still the store that was left.
 *
 * Rules learnt from measurements: a write counts when the transaction is *complete*, never when a request succeeded (on a
 * quota overrun `success` fires first and only `abort` tells the truth); inside a transaction nothing but IndexedDB is
 * awaited; a value put must be a view over exactly its own buffer, because `put` clones the whole backing buffer. Log records are cut
 * from a slab, and copied for that.
 */

import { type DBSchema, type IDBPDatabase, type IDBPTransaction, openDB, unwrap } from 'idb';
import { isShibuDbError, type ShibuDbError, shibuDbError } from '../api/errors.ts';
import { assert } from '../base/assert.ts';
import { owned } from '../base/slab.ts';
import { encodeUtf8 } from '../base/text.ts';
import { withTimeout } from '../base/with-timeout.ts';
import type {
  BlockName,
  LogEntry,
  StorageBackend,
  StorageEstimate,
  StoredBlock,
  StoredState,
} from './backend.ts';
import { decodeEpoch, type Epoch, encodeEpoch, firstEpoch } from './epoch.ts';
import { browserLoss, DatabaseMark, isChromiumStore } from './indexeddb-loss.ts';
import { QuotaReserve, type ReserveState, reserveBytes } from './quota-reserve.ts';
import { StoreSession } from './store-session.ts';
import { UnflushedRecords } from './unflushed-records.ts';

interface Schema extends DBSchema {
  state: { key: string | [string, number]; value: Uint8Array };
  blocks: { key: [number, number, number]; value: Uint8Array };
  log: { key: [number, number]; value: Uint8Array };
}
type Store = 'state' | 'blocks' | 'log';
const allStores: readonly Store[] = ['state', 'blocks', 'log'];

/** Of a manifest that names 16 blocks, 4 MiB. */
const manifestBytesOfLarge = 16 * 24;

/** Browsers keep larger values (of 64 KiB with what is written around them) in files of their own. */
const inlineBytesMax = 60_000;

const layoutVersion = 1;
/** Behind every number, so that [space, ...anything] < [space, last]. Arrays sort after numbers in IndexedDB. */
const last: never = [] as never;

/** The name of the IndexedDB database that keeps a Shibumi database. */
export function indexedDbName(name: string): string {
  return `shibumi:${name}`;
}

type Transaction = IDBPTransaction<Schema, Store[], 'readwrite'>;
/** What is written: named for messages, with the stores beside `state`, whether it is flushed, and the requests it is made of. */
type Write = readonly [
  action: string,
  stores: Exclude<Store, 'state'>[],
  flush: boolean,
  requests: (tx: Transaction) => Promise<unknown>[],
];

/** How long after its first sign the event that a connection was closed may come. */
const closeEventMs = 200;

/** Why a connection ended by itself, and what the engine above can still count on. */
export interface ConnectionEnd {
  /**
   * `fenced`: a later owner has raised the epoch. `versionchange`: another context deletes the database or upgrades it.
   * `closed`: the browser closed the connection, because the data was cleared or its store failed.
   */
  readonly kind: 'fenced' | 'versionchange' | 'closed';
  readonly reason: string;
}

export interface IndexedDbOptions {
  /** How long opening may take. */
  readonly timeoutMs: number;
  /** What the caller knows of the database: storage with another identity or an older epoch is not what it was. */
  readonly known?: Epoch | undefined;
  /** Go on with an empty store where the browser dropped the former one. Default false: `DATA_LOST`. */
  readonly acceptLoss?: boolean;
  /** Another connection, of an older version, is in the way of opening and does not give way. */
  readonly onBlocked?: () => void;
}

export class IndexedDbBackend implements StorageBackend {
  readonly kind = 'indexeddb';
  readonly #db: IDBPDatabase<Schema>;
  #owned: Epoch = { epoch: 0, identity: '' };
  #confirmedAtMs = Number.NEGATIVE_INFINITY;
  #end: ConnectionEnd | undefined;
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  #closed = false;
  /** Called once, when the connection ends by itself. */
  onEnd: ((end: ConnectionEnd) => void) | undefined;
  #session: StoreSession | undefined;
  readonly #unflushed: UnflushedRecords = new UnflushedRecords(isChromiumStore());
  #reserve: QuotaReserve = this.#newReserve('never');

  private constructor(db: IDBPDatabase<Schema>) {
    this.#db = db;
    // Another context wants to delete or upgrade: holding on would block it for ever.
    db.addEventListener('versionchange', ({ newVersion }) =>
      this.#endBy('versionchange', `another page ${newVersion === null ? 'deleted' : 'upgraded'} it`),
    );
    db.addEventListener('close', () =>
      this.#endBy('closed', 'the browser closed it, for example because its data was cleared'),
    );
  }

  /**
   * Opens the database, making it where there is none, and takes it over from whoever had it: from here on nobody else's
   * writes succeed.
   *
   * @throws STORAGE_UNAVAILABLE where there is no IndexedDB or the browser refuses it, TIMEOUT when it does not answer,
   *   STORAGE_LOST when it is not the one that is `known`, VERSION_MISMATCH when a later version made it, DATA_LOST
   */
  static async open(name: string, options: IndexedDbOptions): Promise<IndexedDbBackend> {
    if (typeof indexedDB === 'undefined') {
      throw shibuDbError(
        'STORAGE_UNAVAILABLE',
        'This context has no IndexedDB; open with { storage: "memory" } to go without',
      );
    }
    const { timeoutMs, known, acceptLoss = false, onBlocked } = options;
    let isNew = false;
    let blocked = false;
    const opening = openDB<Schema>(indexedDbName(name), layoutVersion, {
      upgrade(db, oldVersion, _newVersion, tx, event) {
        isNew = oldVersion === 0;
        for (const store of allStores) if (!db.objectStoreNames.contains(store)) db.createObjectStore(store);
        const loss = browserLoss(event);
        if (loss !== undefined)
          tx.objectStore('state')
            .put(encodeUtf8(loss), 'lost')
            .catch(() => {});
        // Nothing must be left of a database that was deleted under its users.
        if (known !== undefined) tx.abort();
      },
      blocked: () => {
        blocked = true;
        onBlocked?.();
      },
    });
    // An open queued behind a blocked upgrade or deletion gets no event at all: time is the only sign.
    const late = (): Error => {
      opening.then((stray) => stray.close()).catch(() => {});
      const why = blocked ? ': a page has an older layout of it open and does not let go' : '';
      return shibuDbError('TIMEOUT', `IndexedDB did not open "${name}" within ${timeoutMs} ms${why}`);
    };
    try {
      const backend = new IndexedDbBackend(await withTimeout(opening, timeoutMs, late));
      try {
        await backend.#claim(name, known);
        backend.#session = await StoreSession.begin(name, unwrap(backend.#db), isNew, acceptLoss);
        if (!isNew) backend.#reserve = backend.#newReserve(await backend.#reserveState());
      } catch (error) {
        backend.close();
        throw error;
      }
      return backend;
    } catch (error) {
      if (isShibuDbError(error)) throw error;
      if (nameOf(error) === 'AbortError' && known !== undefined) throw storageLost(name);
      if (nameOf(error) === 'VersionError') {
        throw shibuDbError(
          'VERSION_MISMATCH',
          `"${name}" was made by a later version of Shibumi; this build reads layout ${layoutVersion}`,
          { cause: error },
        );
      }
      throw storageError(error, 'open', 'STORAGE_UNAVAILABLE');
    }
  }

  async #reserveState(): Promise<ReserveState> {
    const keys = await this.#db.getAllKeys('state', IDBKeyRange.bound(['reserve'], ['reserve', last]));
    if (keys.length === 0) return 'never';
    return keys.length === 2 ? 'held' : 'given';
  }

  #newReserve(state: ReserveState): QuotaReserve {
    const store = {
      // With a mark that stays, so that the next session knows what is missing.
      put: (bytes: Uint8Array) =>
        this.#write('reserve', [], false, (tx) => [
          tx.objectStore('state').put(bytes, ['reserve', 0]),
          tx.objectStore('state').put(new Uint8Array(1), ['reserve', 1]),
        ]),
      full: (why: string) => this.#quotaExceeded(why, undefined),
      remove: () =>
        this.#write('reserve', [], true, (tx) => [tx.objectStore('state').delete(['reserve', 0])]),
    };
    return new QuotaReserve(store, state);
  }

  /** The epoch this backend writes in. */
  get epoch(): number {
    return this.#owned.epoch;
  }

  /** Tells this database from one that is made anew under its name. */
  get identity(): string {
    return this.#owned.identity;
  }

  /** When, by `performance.now()`, nobody else had taken the database over yet. */
  get confirmedAtMs(): number {
    return this.#confirmedAtMs;
  }

  async #claim(name: string, known: Epoch | undefined): Promise<void> {
    const atMs = performance.now();
    const tx = this.begin([], true);
    const found = await tx.objectStore('state').get('epoch');
    const former = found === undefined ? undefined : decodeEpoch(found);
    if (known !== undefined && (former?.identity !== known.identity || former.epoch < known.epoch)) {
      tx.abort();
      await tx.done.catch(() => {});
      throw storageLost(name);
    }
    this.#owned = former === undefined ? firstEpoch() : { ...former, epoch: former.epoch + 1 };
    const bytes = encodeEpoch(this.#owned);
    tx.objectStore('state')
      .put(bytes, 'epoch')
      .catch(() => {});
    tx.commit();
    await tx.done;
    this.#confirmedAtMs = atMs;
  }

  /** Looks whether the database still belongs to this backend. @throws NOT_OWNER when it does not */
  async confirm(): Promise<void> {
    await this.#run('confirm', async () => {
      const atMs = performance.now();
      this.#checkEpoch(await this.#db.get('state', 'epoch'));
      this.#confirmedAtMs = Math.max(this.#confirmedAtMs, atMs);
    });
  }

  #checkEpoch(found: Uint8Array | undefined): void {
    const { epoch, identity } = found === undefined ? { epoch: 0, identity: '' } : decodeEpoch(found);
    if (epoch === this.#owned.epoch && identity === this.#owned.identity) return;
    this.#endBy('fenced', `its epoch is ${epoch}, this owner's was ${this.#owned.epoch}`);
    throw notOwner(this.#end);
  }

  readState(): Promise<StoredState> {
    return this.#run('readState', async () => {
      const tx = this.#db.transaction('state', 'readonly');
      const all = async (kind: 'manifest' | 'manifest-copy'): Promise<Map<number, Uint8Array>> => {
        const range = IDBKeyRange.bound([kind], [kind, last]);
        const [keys, values] = await Promise.all([tx.store.getAllKeys(range), tx.store.getAll(range)]);
        return new Map(keys.map((key, i) => [(key as [string, number])[1], values[i] as Uint8Array]));
      };
      const [catalog, catalogCopy, manifests, manifestCopies] = await Promise.all([
        tx.store.get('catalog'),
        tx.store.get('catalog-copy'),
        all('manifest'),
        all('manifest-copy'),
        tx.done,
      ]);
      return { catalog, catalogCopy, manifests, manifestCopies };
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
      const entries = keys.map((key, i) => {
        return { space, sequence: key[1] as number, bytes: values[i] as Uint8Array };
      });
      // A session that was cut off left the last of them in the log that was the newest then.
      if (this.#session?.isTorn) this.#unflushed.addTail(entries);
      return entries;
    });
  }

  listBlocks(space: number): Promise<BlockName[]> {
    return this.#run('listBlocks', async () => {
      const keys = await this.#db.getAllKeys('blocks', IDBKeyRange.bound([space], [space, last]));
      return (keys as [number, number, number][]).map(([, block, generation]) => ({ block, generation }));
    });
  }

  async append(entries: readonly LogEntry[], flush: boolean, freeing?: number): Promise<void> {
    const flushed = flush || entries.some(({ bytes }) => isKeptInFile(bytes)) || this.#unflushed.isMuch;
    await this.#within(freeing, 'append', ['log'], flushed, (tx) => {
      const log = tx.objectStore('log');
      // `add`, not `put`: no record is ever written over, whatever goes wrong above.
      return entries.map((entry) => log.add(owned(entry.bytes), [entry.space, entry.sequence]));
    });
    if (!flushed) this.#unflushed.add(entries);
    this.#reserve.note(entries.reduce((sum, { bytes }) => sum + bytes.length, 0));
  }

  cutLog(space: number, sequence: number): Promise<void> {
    this.#unflushed.cut(space, sequence);
    return this.#write('cutLog', ['log'], true, (tx) => [
      tx.objectStore('log').delete(IDBKeyRange.bound([space, sequence], [space, last])),
    ]);
  }

  flush(): Promise<void> {
    // One that writes nothing might flush nothing.
    return this.#write('flush', [], true, (tx) => [tx.objectStore('state').put(new Uint8Array(1), 'flush')]);
  }

  async writeBlocks(space: number, blocks: readonly StoredBlock[], freeing?: number): Promise<void> {
    await this.#within(freeing, 'writeBlocks', ['blocks'], true, (tx) => {
      const store = tx.objectStore('blocks');
      return blocks.map(({ block, generation, bytes }) =>
        store.put(exact(bytes), [space, block, generation]),
      );
    });
    this.#reserve.note(blocks.reduce((sum, { bytes }) => sum + bytes.length, 0));
  }

  async publish(space: number, manifest: Uint8Array, freeing?: number): Promise<void> {
    await this.#within(freeing, 'publish', [], true, (tx) => [
      tx.objectStore('state').put(exact(manifest), ['manifest', space]),
      tx.objectStore('state').put(exact(manifest), ['manifest-copy', space]),
    ]);
    // What many sessions wrote counts as well.
    if (manifest.length >= manifestBytesOfLarge) this.#reserve.note(reserveBytes);
  }

  async drop(space: number, blocks: readonly BlockName[], sequence: number): Promise<void> {
    this.#unflushed.drop(space, sequence);
    await this.#write('drop', ['blocks', 'log'], false, (tx) => [
      ...blocks.map((name) => tx.objectStore('blocks').delete([space, name.block, name.generation])),
      tx.objectStore('log').delete(IDBKeyRange.bound([space], [space, sequence], false, true)),
    ]);
    this.#reserve.remake();
  }

  async writeCatalog(catalog: Uint8Array, removed: readonly number[]): Promise<void> {
    await this.#session?.holdsData();
    await this.#within(removed.length > 0 ? 0 : undefined, 'writeCatalog', ['blocks', 'log'], true, (tx) => {
      const requests: Promise<unknown>[] = [
        tx.objectStore('state').put(exact(catalog), 'catalog'),
        tx.objectStore('state').put(exact(catalog), 'catalog-copy'),
      ];
      for (const space of removed) {
        const all = IDBKeyRange.bound([space], [space, last]);
        requests.push(
          tx.objectStore('state').delete(['manifest', space]),
          tx.objectStore('state').delete(['manifest-copy', space]),
          tx.objectStore('blocks').delete(all),
          tx.objectStore('log').delete(all),
        );
      }
      return requests;
    });
    for (const space of removed) this.#unflushed.drop(space, Number.POSITIVE_INFINITY);
    if (removed.length > 0) this.#reserve.remake();
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
    if (this.#end === undefined && !this.#closed) this.#session?.end();
    this.#closed = true;
    this.#db.close();
  }

  #endBy(kind: ConnectionEnd['kind'], reason: string): void {
    if (this.#end !== undefined || this.#closed) return;
    this.#end = { kind, reason };
    this.#db.close();
    this.#ended.resolve();
    this.onEnd?.(this.#end);
  }

  /** A connection that the browser closes aborts its transactions first, and says why only then. */
  async #endBehind(error: unknown): Promise<ConnectionEnd | undefined> {
    if (this.#end === undefined && ['AbortError', 'UnknownError'].includes(nameOf(error)))
      await Promise.race([this.#ended.promise, new Promise((resolve) => setTimeout(resolve, closeEventMs))]);
    return this.#end;
  }

  async #run<Result>(action: string, body: () => Promise<Result>): Promise<Result> {
    if (this.#closed) throw shibuDbError('CLOSED', 'The storage connection is closed: close() was called');
    if (this.#end !== undefined) throw notOwner(this.#end);
    try {
      return await body();
    } catch (error) {
      if (isShibuDbError(error)) throw error;
      // The connection was closing when the transaction was to begin, so it did not.
      if (nameOf(error) === 'InvalidStateError') {
        this.#endBy('closed', 'the connection to it is gone');
        throw notOwner(this.#end);
      }
      if (nameOf(error) === 'QuotaExceededError') throw await this.#quotaExceeded(action, error);
      const end = await this.#endBehind(error);
      throw end === undefined ? storageError(error, action, 'STORAGE_FAILED') : notOwner(end);
    }
  }

  async #quotaExceeded(action: string, cause: unknown): Promise<ShibuDbError> {
    const { usageBytes, quotaBytes } = await this.estimate().catch((): StorageEstimate => ({}));
    const sizes = usageBytes === undefined ? '' : `: ${usageBytes} of ${quotaBytes} bytes, by its estimate`;
    return shibuDbError(
      'QUOTA_EXCEEDED',
      `The browser's storage quota is used up (${action})${sizes}; nothing was written`,
      { cause, details: { usageBytes, quotaBytes } },
    );
  }

  /** A write that takes room, or that leads to room and may use what is kept for that. */
  #within(freeing: number | undefined, ...[action, stores, flush, requests]: Write): Promise<void> {
    const write = (): Promise<void> => this.#write(action, stores, flush, requests);
    return freeing === undefined ? this.#reserve.growing(write) : this.#reserve.freeing(freeing, write);
  }

  #write(...[action, stores, flush, requests]: Write): Promise<void> {
    return this.#run(action, async () => {
      const atMs = performance.now();
      const again = flush ? this.#unflushed.records : [];
      const tx = this.begin(again.length > 0 && !stores.includes('log') ? [...stores, 'log'] : stores, flush);
      for (const { space, sequence, bytes } of again)
        tx.objectStore('log')
          .put(owned(bytes), [space, sequence])
          .catch(() => {});
      let fenced: unknown;
      // The requests do not wait for it, so it costs no round trip; the commit does.
      const fence = tx
        .objectStore('state')
        .get('epoch')
        .then((found) => {
          try {
            this.#checkEpoch(found);
            tx.commit();
          } catch (error) {
            fenced = error;
            tx.abort();
          }
        });
      // A failing request rejects and aborts the transaction; `done` is what is reported, so the rest is only kept quiet.
      for (const request of [fence, ...requests(tx)]) request.catch(() => {});
      try {
        await tx.done;
      } catch (error) {
        if (fenced !== undefined) throw fenced;
        const end = await this.#endBehind(error);
        // Cut off in the middle: the browser may have committed it before.
        if (end?.kind === 'closed') throw outcomeUnknown(action, end, error);
        throw error;
      }
      this.#unflushed.remove(again);
      this.#confirmedAtMs = Math.max(this.#confirmedAtMs, atMs);
    });
  }

  private begin(stores: Exclude<Store, 'state'>[], flush: boolean): Transaction {
    return this.#db.transaction(['state', ...stores], 'readwrite', {
      durability: flush ? 'strict' : 'relaxed',
    });
  }
}

/** Deletes a database's storage; resolves when it is gone. */
export async function deleteIndexedDb(name: string, timeoutMs: number): Promise<void> {
  await new DatabaseMark(name).remove();
  let blocked = false;
  const deleting = new Promise<void>((resolve, reject) => {
    const request = indexedDB.deleteDatabase(indexedDbName(name));
    request.onsuccess = () => resolve();
    request.onerror = () => reject(storageError(request.error, 'deleteDatabase', 'STORAGE_FAILED'));
    request.onblocked = () => {
      blocked = true;
    };
  });
  await withTimeout(deleting, timeoutMs, () => {
    const why = blocked ? 'a page has it open and does not let go' : 'is it open elsewhere?';
    return shibuDbError('TIMEOUT', `IndexedDB did not delete "${name}" within ${timeoutMs} ms: ${why}`);
  });
}

function isKeptInFile({ length }: Uint8Array): boolean {
  return length > inlineBytesMax;
}

function exact(bytes: Uint8Array): Uint8Array {
  assert(bytes.byteLength === bytes.buffer.byteLength, 'a stored value owns its whole buffer');
  return bytes;
}

function nameOf(error: unknown): string {
  return error instanceof DOMException ? error.name : '';
}

function notOwner(end: ConnectionEnd | undefined): ShibuDbError {
  const reason = end?.reason ?? 'the connection to it is gone';
  return shibuDbError(
    'NOT_OWNER',
    `This worker does not own the database any more: ${reason}; nothing was written`,
  );
}

function outcomeUnknown(action: string, { reason }: ConnectionEnd, cause: unknown): ShibuDbError {
  return shibuDbError(
    'OUTCOME_UNKNOWN',
    `The storage was lost in ${action}: ${reason}; it may have been written`,
    {
      cause,
    },
  );
}

function storageLost(name: string): ShibuDbError {
  return shibuDbError(
    'STORAGE_LOST',
    `The data of "${name}" was deleted while it was open; open it again to begin anew`,
  );
}

function storageError(
  error: unknown,
  action: string,
  code: 'STORAGE_FAILED' | 'STORAGE_UNAVAILABLE',
): ShibuDbError {
  const name = nameOf(error);
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
