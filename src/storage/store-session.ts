/**
 * One session with an IndexedDB store, from opening to closing: whether the store is the one that was left, and whether the
 * session before ended in peace. See indexeddb-loss.ts and browser-log.ts for what may have happened to it.
 *
 * In the object store `state`: 'running' (one byte) unless the last session ended in peace, 'lost' (UTF-8 text) once the browser
 * has dropped the store, ['padding', n] for moments.
 */

import { encodeUtf8 } from '../base/text.ts';
import { renewBrowserLog } from './browser-log.ts';
import { DatabaseMark, dataLost, isChromiumStore } from './indexeddb-loss.ts';

const store = 'state';

export class StoreSession {
  readonly #db: IDBDatabase;
  readonly #mark: DatabaseMark;
  #marked = false;
  /** The browser's log may be torn and has not been renewed yet. */
  #torn = false;
  #ended = false;

  private constructor(db: IDBDatabase, mark: DatabaseMark) {
    this.#db = db;
    this.#mark = mark;
  }

  /**
   * `isNew`: the store was made by this open. `acceptLoss`: go on with an empty one where the browser dropped the former.
   *
   * @throws DATA_LOST
   */
  static async begin(
    name: string,
    db: IDBDatabase,
    isNew: boolean,
    acceptLoss: boolean,
  ): Promise<StoreSession> {
    const session = new StoreSession(db, new DatabaseMark(name));
    const unexpected = isNew && (await session.#mark.isSet());
    const { lost, running } = await session.#readAndMark(unexpected, acceptLoss);
    if (lost !== undefined && !acceptLoss) throw dataLost(name, lost);
    session.#torn = running && isChromiumStore();
    if (session.#torn) session.#renew();
    return session;
  }

  #readAndMark(
    unexpected: boolean,
    acceptLoss: boolean,
  ): Promise<{ lost: string | undefined; running: boolean }> {
    return new Promise((resolve, reject) => {
      const tx = this.#db.transaction(store, 'readwrite', { durability: 'relaxed' });
      const state = tx.objectStore(store);
      const known = state.get('lost');
      const before = state.get('running');
      let lost: string | undefined;
      before.onsuccess = () => {
        lost = unexpected ? 'its store is gone, although it was never deleted' : undefined;
        if (known.result !== undefined) lost = new TextDecoder().decode(known.result);
        if (lost !== undefined && acceptLoss) state.delete('lost');
        else if (lost !== undefined) state.put(encodeUtf8(lost), 'lost');
        if (before.result === undefined) state.put(new Uint8Array(1), 'running');
      };
      tx.oncomplete = () => resolve({ lost, running: before.result !== undefined });
      tx.onabort = () => reject(tx.error);
    });
  }

  #renew(): void {
    renewBrowserLog(this.#db, store, () => this.#ended).then(
      () => {
        this.#torn = false;
      },
      // No room, or closed meanwhile: the next session tries again.
      () => {},
    );
  }

  get isTorn(): boolean {
    return this.#torn;
  }

  /** Says outside IndexedDB that there is something to lose. Before the first of it is written. */
  async holdsData(): Promise<void> {
    if (!this.#marked) await this.#mark.set();
    this.#marked = true;
  }

  /** Ends it in peace. Not waited for: a connection that is being closed still finishes what was begun. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#torn) return;
    try {
      const tx = this.#db.transaction(store, 'readwrite', { durability: 'relaxed' });
      tx.objectStore(store).delete('running');
      tx.commit();
    } catch {
      // The browser has closed the connection already: the session counts as interrupted.
    }
  }
}
