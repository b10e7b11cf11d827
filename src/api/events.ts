/** What a database tells by itself, and what it logs. Types only. */

import type { ErrorCode } from './errors.ts';

/** Event type -> its `detail`. With users, an event of a space reaches only who may read it, others who is signed in. */
export interface DatabaseEvents {
  /** Another tab's worker owns the database now, or this one's does again. Calls go on by themselves. */
  ownerchange: {
    /** Grows with every owner there was. */
    epoch: number;
    /** Whether the owner is the worker of this page. */
    here: boolean;
  };
  /**
   * Something befell this tab's connection to the browser's storage; calls go on by themselves wherever they can.
   * `blocked`: an older tab keeps it from being opened. `versionchange`: another page deletes the database or changes its
   * layout. `closed`: the browser closed it. `taken`: another tab owns the database, which was silent for too long here.
   */
  connection: { state: 'blocked' | 'versionchange' | 'closed' | 'taken'; message: string };
  /** Everything written to the space until shortly before is in blocks, and the log before them is gone. */
  checkpoint: { space: string; storedBytes: number; durationMs: number };
  /** The storage had no room for a write, which has failed. Sizes are the browser's own estimates, where it gives any. */
  quota: { usageBytes?: number; quotaBytes?: number };
  /** Something stored is damaged. `space`: where, if it is one space's. Whoever needs it gets the error too. */
  corruption: { space?: string; message: string };
  /** Keys past their deadline were removed, some time after it: for readers they were gone at their deadline. */
  expired: { space: string; count: number };
}

/** Names of the events. */
export type DatabaseEventType = keyof DatabaseEvents;

/** An event as listeners get it. */
export interface DatabaseEvent<Type extends DatabaseEventType = DatabaseEventType> extends Event {
  /** Which one. */
  readonly type: Type;
  /** What `DatabaseEvents` says of it. */
  readonly detail: Readonly<DatabaseEvents[Type]>;
}

/** Listening to what happens. Users hear of spaces they may read, and of the database as a whole. */
export interface EventCalls {
  /**
   * Calls `listener` for each event of the type from now on. What happens before this has reached the engine may be missed.
   * `signal` takes the listener off; closing the database takes all off.
   */
  addEventListener<Type extends DatabaseEventType>(
    type: Type,
    listener: (event: DatabaseEvent<Type>) => void,
    options?: { once?: boolean; signal?: AbortSignal },
  ): void;
  /** Takes one off; the same function for the same type. What is not there is ignored. */
  removeEventListener<Type extends DatabaseEventType>(
    type: Type,
    listener: (event: DatabaseEvent<Type>) => void,
  ): void;
}

/** From the most to the least that is told. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/**
 * One thing that happened, as plain data. It never holds a key, an id, a value, a vector, metadata, a password, a token, or
 * the message of an error, which may quote one of them.
 */
export interface LogRecord {
  /** How much it matters. */
  readonly level: LogLevel;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** What happened: `call`, `open`, `close`, or of the engine `space opened`, `checkpoint`, `storage failed`, … */
  readonly event: string;
  /** Where it happened. */
  readonly space?: string;
  /** `call`: the method. */
  readonly method?: string;
  /** `call`: from making it to its answer. */
  readonly durationMs?: number;
  /** Of what failed. */
  readonly code?: ErrorCode;
  /** Counts and sizes, by name. */
  readonly [fact: string]: string | number | boolean | undefined;
}

/** What is told of, and to whom. Off by default. */
export interface LogOptions {
  /** `debug`: every call too. `info`: what changes the database as a whole. `warn`, `error`: what went wrong. */
  level: LogLevel;
  /** Takes the records. Default: the console, by level. */
  write?: (record: LogRecord) => void;
}
