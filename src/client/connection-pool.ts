/**
 * A pool of connections to a database: for callers that each want a session of their own (a current space, a user, open
 * scans) without opening one each time. Who comes first gets the next connection that is free; a connection that comes back
 * is as it was when it was opened and signed in.
 */

import type { CallOptions, Database } from '../api/database.ts';
import { isShibuDbError, shibuDbError } from '../api/errors.ts';
import { integerIn, invalid, shown } from '../base/arguments.ts';
import { DatabaseClient, type SessionControl } from './database-client.ts';
import { deadlineOf } from './deadline.ts';
import { LeasedTransport } from './leased-transport.ts';

/** How many connections there are, and how they are made. */
export interface ConnectionPoolOptions {
  /** Opens one connection, with whatever options it needs: `() => open('library')`. */
  open: () => Promise<Database>;
  /** Signs every connection in. Default: nobody, for a database without users. */
  username?: string;
  /** Goes with `username`. Kept for connections that are made later. */
  password?: string;
  /** Connections that are kept open, from the beginning. Default 2. */
  minSize?: number;
  /** Most connections at a time. Default 10. */
  maxSize?: number;
  /** How long to wait for a connection before `POOL_EXHAUSTED`. Default 30000. */
  acquireTimeoutMs?: number;
  /** How often idle connections are tried; those that fail are replaced, those beyond `minSize` closed. Default 60000. */
  healthCheckIntervalMs?: number;
}

/** A pool as it is now. */
export interface ConnectionPoolStats {
  /** Connections that are open or being opened. */
  poolSize: number;
  /** Those that somebody has. */
  activeConnections: number;
  /** As in the options. */
  minSize: number;
  /** As in the options. */
  maxSize: number;
  /** Callers that wait for one. */
  waiting: number;
}

interface Connection {
  readonly db: Database;
  readonly control: SessionControl;
  usedAtMs: number;
}

interface Waiter {
  /** Counts those that ever asked. */
  readonly number: number;
  readonly resolve: (connection: Connection) => void;
  readonly reject: (error: unknown) => void;
}

/** A connection that answered so recently is lent without being tried again. */
const soundMs = 500;

/**
 * Lends connections in the order they are asked for, each as it was first lent: no user, space or scan of another
 * borrower.
 */
export class ConnectionPool implements AsyncDisposable {
  readonly #options: Required<Omit<ConnectionPoolOptions, 'username' | 'password'>>;
  readonly #credentials: { username: string; password: string } | undefined;
  readonly #all: Set<Connection> = new Set();
  readonly #leases: Map<Database, Connection> = new Map();
  #idle: Connection[] = [];
  #waiters: Waiter[] = [];
  /** Connections that are being opened; the promises never reject. */
  readonly #openings: Set<Promise<void>> = new Set();
  #opening = 0;
  #asked = 0;
  #closing: Promise<void> | undefined;
  readonly #healthTimer: ReturnType<typeof setInterval>;
  /** Of the connection that signed in last: the next ones sign in with it, without hashing the password again. */
  #token: string | undefined;

  /** @throws INVALID_ARGUMENT */
  constructor(options: ConnectionPoolOptions) {
    const { username, password, ...rest } = checked(options);
    this.#options = rest;
    this.#credentials = username === undefined ? undefined : { username, password: password as string };
    this.#healthTimer = setInterval(() => this.#checkHealth(), rest.healthCheckIntervalMs);
    // In Node a timer would keep the process alive.
    (this.#healthTimer as { unref?: () => void }).unref?.();
    this.#fill();
  }

  /**
   * Lends a connection out. It comes back by `close()`, or at the end of `await using`; what is called on it later fails with
   * `CLOSED`.
   * @throws POOL_EXHAUSTED when none is free within `acquireTimeoutMs` (or `timeoutMs`), ABORTED, CLOSED; what opening a
   *   new one throws
   */
  async getConnection(options: Pick<CallOptions, 'timeoutMs' | 'signal'> = {}): Promise<Database> {
    const timeoutMs = options.timeoutMs ?? this.#options.acquireTimeoutMs;
    const connection = await this.#acquireSound(options.signal, timeoutMs);
    this.#refuseClosed();
    const { control } = connection;
    const transport = new LeasedTransport(control.transport, () => this.#giveBack(lease, connection));
    const lease: Database = new DatabaseClient(transport, control.logger);
    this.#leases.set(lease, connection);
    return lease;
  }

  /** Runs `work` with a connection, and takes it back when `work` has settled. @throws what `getConnection` and `work` throw */
  async use<Result>(
    work: (db: Database) => Promise<Result> | Result,
    options?: Pick<CallOptions, 'timeoutMs' | 'signal'>,
  ): Promise<Result> {
    await using db = await this.getConnection(options);
    return await work(db);
  }

  /** Counts of this moment. */
  getStats(): ConnectionPoolStats {
    const { minSize, maxSize } = this.#options;
    return {
      poolSize: this.#all.size + this.#opening,
      activeConnections: this.#leases.size,
      minSize,
      maxSize,
      waiting: this.#waiters.length,
    };
  }

  /** Closes every connection, lent ones included: they finish what they accepted, then fail with `CLOSED`. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #end(): Promise<void> {
    clearInterval(this.#healthTimer);
    for (const { reject } of this.#waiters.splice(0)) reject(closedError());
    this.#idle = [];
    await Promise.all([...this.#leases.keys()].map((lease) => lease.close()));
    await Promise.all(this.#openings);
    await Promise.all([...this.#all].map((connection) => this.#discard(connection)));
  }

  /** One that lay idle is tried before it is lent; what does not answer is replaced. */
  async #acquireSound(signal: AbortSignal | undefined, timeoutMs: number): Promise<Connection> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      this.#refuseClosed();
      const connection = await this.#acquire(signal, timeoutMs, Math.max(1, endMs - performance.now()));
      if (performance.now() - connection.usedAtMs < soundMs) return connection;
      try {
        await this.#reset(connection, Math.max(1, endMs - performance.now()));
        return connection;
      } catch {
        await this.#discard(connection);
      }
    }
  }

  async #acquire(signal: AbortSignal | undefined, timeoutMs: number, leftMs: number): Promise<Connection> {
    const deadline = deadlineOf(signal, leftMs, 'getConnection');
    const { promise, resolve, reject } = Promise.withResolvers<Connection>();
    const waiter: Waiter = { number: ++this.#asked, resolve, reject };
    this.#waiters.push(waiter);
    this.#fill();
    try {
      return await Promise.race([promise, deadline.expired as Promise<never>]);
    } catch (error) {
      this.#waiters = this.#waiters.filter((each) => each !== waiter);
      // One that was handed over in the same turn goes to the next.
      promise.then(
        (connection) => this.#settle(connection),
        () => {},
      );
      if (isShibuDbError(error) && error.code === 'TIMEOUT') throw this.#exhausted(timeoutMs);
      throw error;
    } finally {
      deadline.end();
    }
  }

  #exhausted(timeoutMs: number): Error {
    const { poolSize, activeConnections, maxSize, waiting } = this.getStats();
    return shibuDbError(
      'POOL_EXHAUSTED',
      `No connection was free within ${timeoutMs} ms: ${activeConnections} of at most ${maxSize} are in use and ${waiting} others wait`,
      { details: { poolSize, activeConnections, maxSize, waiting } },
    );
  }

  /** Hands idle connections to who waits, and opens as many as are missing. */
  #fill(): void {
    if (this.#closing !== undefined) return;
    while (this.#idle.length > 0 && this.#waiters.length > 0) {
      this.#waiters.shift()?.resolve(this.#idle.pop() as Connection);
    }
    const { minSize, maxSize } = this.#options;
    const wanted = Math.max(minSize, this.#all.size + this.#waiters.length);
    while (this.#all.size + this.#opening < Math.min(wanted, maxSize)) {
      const opening = this.#openOne().finally(() => this.#openings.delete(opening));
      this.#openings.add(opening);
    }
  }

  async #openOne(): Promise<void> {
    this.#opening++;
    const asked = this.#asked;
    try {
      const connection = await this.#connect();
      this.#opening--;
      this.#all.add(connection);
      this.#settle(connection);
    } catch (error) {
      this.#opening--;
      // Whoever has waited longest learns why, unless that was of before he asked. Who is left, or comes next, tries again.
      const [waiter] = this.#waiters;
      if (waiter !== undefined && waiter.number <= asked) {
        this.#waiters.shift();
        waiter.reject(error);
      }
      if (this.#waiters.length > 0) this.#fill();
    }
  }

  async #connect(): Promise<Connection> {
    const db = await this.#options.open();
    try {
      if (!(db instanceof Object && 'sessionControl' in db))
        throw invalid(`Got ${shown(db)} from the pool's open, expected a Database`);
      await this.#signIn(db as DatabaseClient);
      const control = (db as DatabaseClient).sessionControl();
      this.#token = control.token;
      return { db, control, usedAtMs: performance.now() };
    } catch (error) {
      await db?.close?.().catch(() => {});
      throw error;
    }
  }

  async #signIn(db: DatabaseClient): Promise<void> {
    if (this.#credentials === undefined) return;
    if (this.#token !== undefined) {
      try {
        return await db.sessionControl().resume({ token: this.#token });
      } catch {
        // The token is too old, or of before the password was changed.
      }
    }
    await db.authenticate(this.#credentials.username, this.#credentials.password);
  }

  /** What the borrower did to the session is undone; one that cannot be reached any more is not kept. */
  async #giveBack(lease: Database, connection: Connection): Promise<void> {
    try {
      await this.#reset(connection);
      connection.usedAtMs = performance.now();
      this.#leases.delete(lease);
      this.#settle(connection);
    } catch {
      this.#leases.delete(lease);
      await this.#discard(connection);
    }
  }

  /** Back to how it was handed out first. It answers only if the connection and whoever is signed in are still good. */
  async #reset({ control }: Connection, timeoutMs: number = this.#options.acquireTimeoutMs): Promise<void> {
    const { token } = control;
    await control.resume(token === undefined ? {} : { token }, { timeoutMs });
    this.#token = control.token;
  }

  #settle(connection: Connection): void {
    if (this.#closing !== undefined) {
      this.#discard(connection);
      return;
    }
    this.#idle.push(connection);
    this.#fill();
  }

  async #discard(connection: Connection): Promise<void> {
    this.#all.delete(connection);
    await connection.db.close().catch(() => {});
    this.#fill();
  }

  async #checkHealth(): Promise<void> {
    // Taken out while they are tried: nobody gets one that is about to fail.
    const tried = this.#idle.splice(0);
    const staleMs = performance.now() - this.#options.healthCheckIntervalMs;
    await Promise.all(
      tried.map(async (connection) => {
        const surplus = connection.usedAtMs < staleMs && this.#all.size > this.#options.minSize;
        if (surplus) return this.#discard(connection);
        try {
          await this.#reset(connection);
          this.#settle(connection);
        } catch {
          await this.#discard(connection);
        }
      }),
    );
  }

  #refuseClosed(): void {
    if (this.#closing !== undefined) throw closedError();
  }
}

/**
 * Makes a pool. It opens `minSize` connections in the background; what goes wrong with them is told to whoever asks for one.
 *
 * @throws INVALID_ARGUMENT
 */
export function createConnectionPool(options: ConnectionPoolOptions): ConnectionPool {
  return new ConnectionPool(options);
}

function closedError(): Error {
  return shibuDbError('CLOSED', 'The pool is closed');
}

const optionNames = [
  'open',
  'username',
  'password',
  'minSize',
  'maxSize',
  'acquireTimeoutMs',
  'healthCheckIntervalMs',
];

function checked(
  options: ConnectionPoolOptions,
): Required<Omit<ConnectionPoolOptions, 'username' | 'password'>> &
  Pick<ConnectionPoolOptions, 'username' | 'password'> {
  if (typeof options !== 'object' || options === null)
    throw invalid(`Got ${shown(options)} for the pool's options, expected { open, … }`);
  const stranger = Object.keys(options).find((name) => !optionNames.includes(name));
  if (stranger !== undefined)
    throw invalid(`Got option ${shown(stranger)}, expected only ${optionNames.join(', ')}`);
  const { open, username, password } = options;
  if (typeof open !== 'function')
    throw invalid(`Got ${shown(open)} for open, expected a function that opens a Database`);
  if ((username === undefined) !== (password === undefined))
    throw invalid('Got only one of username and password, expected both or neither');
  const delayMax = 2 ** 31 - 1;
  const maxSize = integerIn(options.maxSize ?? 10, 1, 10_000, 'maxSize');
  return {
    open,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    maxSize,
    minSize: integerIn(options.minSize ?? Math.min(2, maxSize), 0, maxSize, 'minSize'),
    acquireTimeoutMs: integerIn(options.acquireTimeoutMs ?? 30_000, 1, delayMax, 'acquireTimeoutMs'),
    healthCheckIntervalMs: integerIn(
      options.healthCheckIntervalMs ?? 60_000,
      1,
      delayMax,
      'healthCheckIntervalMs',
    ),
  };
}
