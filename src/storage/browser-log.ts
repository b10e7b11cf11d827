/**
 * Keeping Chromium from dropping a database after two crashes.
 *
 * Chromium keeps IndexedDB in a LevelDB of the origin. A kill in the middle of a write leaves the last record of its log
 * torn. The next browser reads up to there, and goes on writing *behind* the torn record, into the same log file. The one
 * after that meets a checksum that does not match in the middle of the log, calls the store corrupt, and deletes all of it
 * (`test/browser/data-loss.test.ts` does this). So when the last session did not end in peace, the log is changed for a new
 * one: LevelDB does that when more than its write buffer (4 MiB) was written, and the old log then goes.
 */

/** More than the write buffer. Random, since values are compressed; small, since those above 64 KiB are kept in files. */
const paddingBytes = 5 * 1024 * 1024;
const valueBytes = 60_000;
const valuesPerTransaction = 4;

/** Writes and deletes padding in an object store with keys given from outside, in short transactions. */
export async function renewBrowserLog(db: IDBDatabase, store: string, stopped: () => boolean): Promise<void> {
  const random = new Uint8Array(valueBytes);
  const keys = Array.from({ length: valuesPerTransaction }, (_, i) => ['padding', i]);
  for (let bytes = 0; bytes < paddingBytes; bytes += valueBytes * valuesPerTransaction) {
    if (stopped()) throw new DOMException('The connection is being closed', 'AbortError');
    await transaction(db, store, (target) => {
      for (const key of keys) target.put(crypto.getRandomValues(random), key);
    });
  }
  await transaction(db, store, (target) => {
    for (const key of keys) target.delete(key);
  });
}

function transaction(db: IDBDatabase, store: string, work: (store: IDBObjectStore) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const tx = db.transaction(store, 'readwrite', { durability: 'relaxed' });
    tx.oncomplete = () => resolve();
    tx.onabort = () => reject(tx.error);
    work(tx.objectStore(store));
    tx.commit();
  });
}
