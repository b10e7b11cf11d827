/**
 * What the edge needs of a Durable Object's storage, as types of our own: the part of Cloudflare's API that is used here, so
 * that the package depends on nobody's ambient types. A real `ctx.storage` fits.
 */

export type SqlValue = ArrayBuffer | Uint8Array | string | number | null;

/** Rows of one statement. They are read lazily: nothing else may run on the storage while a cursor is being read. */
export interface SqlCursor {
  toArray(): Record<string, ArrayBuffer | string | number | null>[];
  [Symbol.iterator](): Iterator<Record<string, ArrayBuffer | string | number | null>>;
}

export interface SqlStorage {
  exec(query: string, ...bindings: SqlValue[]): SqlCursor;
  /** Bytes of the object's database. */
  readonly databaseSize: number;
}

export interface DurableStorage {
  readonly sql: SqlStorage;
  /** Runs `body` whole or not at all; what it throws is thrown again. */
  transactionSync<Result>(body: () => Result): Result;
  /** Resolves when everything written so far has reached the disk. */
  sync(): Promise<void>;
  setAlarm(timeMs: number): Promise<void>;
  getAlarm(): Promise<number | null>;
  deleteAlarm(): Promise<void>;
}

/** An object's state: its storage, and the way to hold back events while it is being opened. */
export interface DurableState {
  readonly storage: DurableStorage;
  blockConcurrencyWhile<Result>(body: () => Promise<Result>): Promise<Result>;
}
