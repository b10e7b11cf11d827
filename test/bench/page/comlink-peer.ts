/** A worker that keeps a Map behind Comlink: what a call through a worker costs when nothing else is done; and opening storage, likewise. */

import * as Comlink from 'comlink';

const values = new Map<string, Uint8Array>();

const endpoint = {
  fill(count: number, value: Uint8Array): void {
    for (let i = 0; i < count; i++) values.set(`key-${i}`, value);
  },
  get(key: string): Uint8Array | undefined {
    return values.get(key);
  },
  /** Makes an IndexedDB database with one record, as durable as a new database has to be. */
  async makeDatabase(name: string): Promise<void> {
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore('records');
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      opening.onsuccess = () => resolve(opening.result);
      opening.onerror = () => reject(opening.error);
    });
    const writing = database.transaction('records', 'readwrite', { durability: 'strict' });
    writing.objectStore('records').put(new Uint8Array(64), 'catalog');
    await new Promise<void>((resolve, reject) => {
      writing.oncomplete = () => resolve();
      writing.onabort = () => reject(writing.error);
    });
    database.close();
  },
};
export type ComlinkPeer = typeof endpoint;

Comlink.expose(endpoint);
