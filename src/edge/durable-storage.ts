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

/** A WebSocket of the runtime, at the object's end. It outlives the object's memory, and with it up to 2 KiB of notes. */
export interface DurableSocket {
  send(message: Uint8Array<ArrayBuffer>): void;
  close(code: number, reason: string): void;
  serializeAttachment(value: unknown): void;
  deserializeAttachment(): unknown;
}

/** An object's state: its storage and its sockets. */
export interface DurableState {
  readonly storage: DurableStorage;
  /** From now on the socket's events come as calls of the object's `webSocketMessage`, `webSocketClose`, `webSocketError`. */
  acceptWebSocket(socket: DurableSocket): void;
  getWebSockets(): DurableSocket[];
}
