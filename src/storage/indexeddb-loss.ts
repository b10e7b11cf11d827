/**
 * Noticing that the browser dropped a database. Chromium deletes an IndexedDB store that LevelDB calls corrupt and makes an
 * empty one; other browsers do alike. To the page that looks like a database that never was. Two signs tell them apart:
 *
 *  * Chromium's `upgradeneeded` carries `dataLoss` and `dataLossMessage` (not in the standard), in the one session in which
 *    the store was made again;
 *  * a mark outside IndexedDB, an empty file in the origin's private file system, that is there from the first space on:
 *    a new store beside an old mark is a loss. Clearing a site's data, by user or browser, takes both.
 *
 * A loss is written down in the new store and refused at every open, until the caller accepts or deletes the database.
 */

import { type ShibuDbError, shibuDbError } from '../api/errors.ts';

/** What Chromium says about a store it made anew; `undefined` when nothing was lost as far as it knows. */
export function browserLoss(event: IDBVersionChangeEvent): string | undefined {
  const { dataLoss, dataLossMessage } = event as { dataLoss?: string; dataLossMessage?: string };
  if (dataLoss === undefined || dataLoss === 'none') return undefined;
  return dataLossMessage || 'the browser gives no reason';
}

/** Whether this browser keeps IndexedDB as Chromium does: only there `dataLoss` is known, and its LevelDB log a danger. */
export function isChromiumStore(): boolean {
  return 'dataLoss' in IDBVersionChangeEvent.prototype;
}

export function dataLost(name: string, reason: string): ShibuDbError {
  const message =
    `The browser dropped everything that database "${name}" kept (${reason}). Restore it from an export, and open it ` +
    "empty with { onCorruption: 'salvage' } or after deleteDatabase()";
  return shibuDbError('DATA_LOST', message, { details: { name, reason } });
}

const folderName = 'shibumi';

/** The mark of one database. Where there is no private file system (an insecure context) it is never set. */
export class DatabaseMark {
  readonly #file: string;

  constructor(name: string) {
    this.#file = encodeURIComponent(name);
  }

  async isSet(): Promise<boolean> {
    const folder = await this.#folder(false);
    return folder === undefined ? false : exists(folder.getFileHandle(this.#file));
  }

  async set(): Promise<void> {
    const folder = await this.#folder(true);
    await folder?.getFileHandle(this.#file, { create: true }).catch(() => {});
  }

  async remove(): Promise<void> {
    const folder = await this.#folder(false);
    await folder?.removeEntry(this.#file).catch(() => {});
  }

  async #folder(create: boolean): Promise<FileSystemDirectoryHandle | undefined> {
    try {
      const root = await navigator.storage.getDirectory();
      return await root.getDirectoryHandle(folderName, { create });
    } catch {
      return undefined;
    }
  }
}

function exists(handle: Promise<unknown>): Promise<boolean> {
  return handle.then(
    () => true,
    () => false,
  );
}
