/**
 * What the types promise, checked by compiling this file (`npm run typecheck`, and a test that runs it): one `Database`
 * wherever the engine is, exact answers, and calls that must not compile. Nothing here runs.
 */

import type {
  Database,
  LogRecord,
  Scan,
  SearchHit,
  SpaceCalls,
  User,
  Value,
} from '../../src/api/database.ts';
import type { ErrorCode, ShibuDbError } from '../../src/api/errors.ts';
import type * as bridge from '../../src/bridge.ts';
import type { ConnectionPool } from '../../src/client/connection-pool.ts';
import type * as edge from '../../src/edge.ts';
import type * as inProcess from '../../src/in-process.ts';
import type * as browser from '../../src/index.ts';
import type * as node from '../../src/node.ts';

/** Whether both are the same type, to the last modifier: each is assignable where only the other is. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Fails to compile for anything but `true`. */
type Holds<T extends true> = T;

// --- One type through the worker, over the bridge, at the edge and in process ---------------------------------------

type Opened<Open extends (...args: never[]) => unknown> = ReturnType<Open>;
export type OneDatabase = [
  Holds<Same<Opened<typeof browser.open>, Promise<Database>>>,
  Holds<Same<Opened<typeof inProcess.open>, Promise<Database>>>,
  Holds<Same<Opened<typeof node.open>, Promise<Database>>>,
  Holds<Same<Opened<typeof bridge.connect>, Promise<Database>>>,
  Holds<Same<Opened<typeof edge.open>, Promise<Database>>>,
  Holds<Same<Opened<typeof edge.connectObject>, Promise<Database>>>,
];
export type OnePool = [
  Holds<Same<Opened<typeof browser.createConnectionPool>, ConnectionPool>>,
  Holds<Same<Opened<typeof node.createConnectionPool>, ConnectionPool>>,
  Holds<Same<Opened<typeof bridge.createConnectionPool>, ConnectionPool>>,
  Holds<Same<Opened<ConnectionPool['getConnection']>, Promise<Database>>>,
];
/** A class caught from one entry is that of the others. */
export type OneError = [
  Holds<Same<browser.ShibuDbError, node.ShibuDbError>>,
  Holds<Same<browser.ShibuDbError, bridge.ShibuDbError>>,
  Holds<Same<ShibuDbError['code'], ErrorCode>>,
];
/** A database is itself a handle: of the space it currently uses. */
export type Handles = Holds<Database extends SpaceCalls ? true : false>;

// --- Answers --------------------------------------------------------------------------------------------------------

declare const db: Database;
declare const pool: ConnectionPool;

export async function answers(): Promise<void> {
  const got = await db.get('k');
  type Got = Holds<Same<typeof got, Value | undefined>>;
  const hits = await db.searchTopK([1], 1);
  type Hits = Holds<Same<typeof hits, SearchHit<Float32Array>[]>>;
  const vector = await db.getVector(1);
  type Vector = Holds<Same<typeof vector, Float32Array | undefined>>;
  const bits = await db.getVector<Uint8Array>(1);
  type Bits = Holds<Same<typeof bits, Uint8Array | undefined>>;
  const sum = await db.increment('k', 1n);
  type Sum = Holds<Same<typeof sum, number | bigint>>;
  const user = await db.getUser('ann');
  type Known = Holds<Same<typeof user, User | undefined>>;
  const lent = await pool.use((each) => each.size());
  type Lent = Holds<Same<typeof lent, number>>;
  const scan = db.scan();
  type Scanned = Holds<typeof scan extends Scan<{ key: string; value: Value }> ? true : false>;
  for await (const { key, value } of db.space('kv').scan({ prefix: 'a' })) {
    type Key = Holds<Same<typeof key, string>>;
    type Scanning = Holds<Same<typeof value, Value>>;
    const used: [Key, Scanning] | undefined = undefined;
    void used;
  }
  const all: [Got, Hits, Vector, Bits, Sum, Known, Lent, Scanned] | undefined = undefined;
  void all;
}

export function events(): void {
  db.addEventListener('expired', ({ type, detail }) => {
    type Type = Holds<Same<typeof type, 'expired'>>;
    const counted: number = detail.count;
    const all: [Type, number] = [true, counted];
    void all;
  });
  db.addEventListener('quota', ({ detail }) => detail.quotaBytes?.toFixed(), { once: true });
  const log: browser.OpenOptions = { log: { level: 'info', write: (record: LogRecord) => record.code } };
  void log;
}

// --- What must not compile ------------------------------------------------------------------------------------------

export async function refused(): Promise<void> {
  // @ts-expect-error a vector space has a dimension
  await db.createSpace('v', 'vector');
  // @ts-expect-error a key-value space has none
  await db.createSpace('k', 'key-value', { dimension: 3 });
  // @ts-expect-error there is no such engine
  await db.createSpace('g', 'graph');
  // @ts-expect-error values are texts or bytes
  await db.put('k', 1);
  // @ts-expect-error keys are texts
  await db.get(1);
  // @ts-expect-error many vectors come packed
  await db.insertVectors([1], [[1]]);
  // @ts-expect-error an option there is not
  await db.put('k', 'v', { ttl: 5 });
  // @ts-expect-error write implies read; there is nothing more
  await db.createUser({ username: 'a', password: 'b', permissions: { kv: 'admin' } });
  // @ts-expect-error an event there is not
  db.addEventListener('opened', () => {});
  // @ts-expect-error a handle is of one space
  await db.space('kv').createSpace('other', 'key-value');
  // @ts-expect-error a session is not in the interface
  db.sessionControl();
}
