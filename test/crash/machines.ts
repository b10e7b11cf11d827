/**
 * What a simulated database lies on, and how a process opens it there: transactions with an epoch, as in a browser, or files, as
 * in Node. Above that all is the product: engine, sessions, and over transactions the owner with its lease.
 */

import type { Database } from '../../src/api/database.ts';
import { shibuDbError } from '../../src/api/errors.ts';
import { openClient } from '../../src/client/open-client.ts';
import type { Transport } from '../../src/client/transport.ts';
import { DatabaseEngine } from '../../src/engine/database-engine.ts';
import type { EngineEvent } from '../../src/engine/event-hub.ts';
import { Session } from '../../src/engine/session.ts';
import { defaultSettings, type Settings } from '../../src/engine/settings.ts';
import { checksumOf } from '../../src/kernel/checksum.ts';
import { DirectTransport } from '../../src/local/direct-transport.ts';
import { FileBackend } from '../../src/node/file-backend.ts';
import { Connection, OpenCall } from '../../src/rpc/connection.ts';
import type { StorageBackend } from '../../src/storage/backend.ts';
import { leaseMs, type OwnedSession, Owner } from '../../src/tabs/owner.ts';
import { nodeCore, nodeCores } from '../support/node-database.ts';
import type { Random } from '../support/random.ts';
import type { Faults } from './faults.ts';
import { CrashDisk, FaultyBackend } from './faulty-backend.ts';
import { SimulatedDisk, SimulatedFiles } from './simulated-files.ts';
import type { VirtualTime } from './virtual-time.ts';

/** A database that one process has open. */
export interface Process {
  readonly db: Database;
  readonly faults: Faults;
  /** Lets go of the database in an orderly way. */
  close(): Promise<void>;
}

export interface ProcessOptions {
  readonly time: VirtualTime;
  readonly settings: Partial<Settings>;
  readonly memoryBudgetBytes: number;
  readonly onEvent: (event: EngineEvent) => void;
}

export interface Machine {
  readonly kind: 'transactions' | 'leveldb' | 'files';
  /** Opens the database as another process does, which takes it over. */
  open(faults: Faults, options: ProcessOptions): Promise<Process>;
  losePower(random: Random): void;
}

async function startEngine(
  backend: StorageBackend,
  { time, settings, memoryBudgetBytes, onEvent }: ProcessOptions,
): Promise<DatabaseEngine> {
  const engine = await DatabaseEngine.open({
    name: 'simulated',
    cores: nodeCores(),
    backend,
    now: () => time.now(),
    wallClock: () => time.wallClock(),
    settings: { ...defaultSettings, ...settings },
    memoryBudgetBytes,
  });
  engine.events.listen(onEvent);
  return engine;
}

/** Transactions, over one log or several (faulty-backend.ts), an epoch, and an owner that others may take the database from. */
export class TransactionsMachine implements Machine {
  readonly kind: 'transactions' | 'leveldb';
  #disk: CrashDisk;

  constructor(kind: 'transactions' | 'leveldb') {
    this.kind = kind;
    this.#disk = new CrashDisk(kind === 'leveldb');
  }

  async open(faults: Faults, options: ProcessOptions): Promise<Process> {
    const backend = await FaultyBackend.open(this.#disk, faults);
    const engine = await startEngine(backend, options);
    const owner = new Owner({ engine, storage: backend });
    backend.onFenced = () => owner.abandon();
    // As whoever seizes a database does: a former owner may answer for so long (tabs/tab-worker.ts).
    await options.time.sleep(leaseMs);
    const session = owner.session();
    const db = await openClient(() => new OwnedTransport(session), {});
    return { db, faults, close: () => owner.handOver() };
  }

  losePower(random: Random): void {
    this.#disk = this.#disk.afterPowerLoss(random);
  }
}

/** The client's side of an owned session: a page's, without the pages. */
class OwnedTransport implements Transport {
  readonly #connection: Connection;
  #gone = false;

  constructor(session: OwnedSession) {
    this.#connection = new Connection(async (message) => {
      const { replies, gone } = await session.exchange(message);
      if (gone) queueMicrotask(() => this.#lose());
      return replies;
    });
  }

  call: Transport['call'] = (method, args, options) => {
    if (this.#gone) return Promise.reject(shibuDbError('NOT_OWNER', `${method} was not sent`));
    return new Promise((resolve, reject) => {
      this.#connection.submit(new OpenCall(method, args, options, resolve as (value: never) => void, reject));
    });
  };

  #lose(): void {
    if (this.#gone) return;
    this.#gone = true;
    for (const { method, reject } of this.#connection.lose())
      reject(shibuDbError('OUTCOME_UNKNOWN', `The owner went while ${method} was open`));
  }

  release(): void {
    this.#lose();
  }
}

const folder = '/db';
const checksum = checksumOf(nodeCore());
// What sums for any core outlives stories, and so must not take one of the memories that these use again (memory-pool.ts).
for (const kind of ['key-value', 'vector', 'whole'] as const) checksumOf(await nodeCores().load(kind));

export class FilesMachine implements Machine {
  readonly kind = 'files';
  #disk: SimulatedDisk = new SimulatedDisk();

  async open(faults: Faults, options: ProcessOptions): Promise<Process> {
    const files = new SimulatedFiles(this.#disk, faults);
    const backend = await FileBackend.open(folder, checksum, files);
    const engine = await startEngine(backend, options);
    const session = new Session(engine, async () => {
      await engine.close();
      await backend.closed();
    });
    const db = await openClient(() => new DirectTransport(session), {});
    return { db, faults, close: () => db.close() };
  }

  losePower(random: Random): void {
    this.#disk = this.#disk.afterPowerLoss(random);
  }
}

export function makeMachine(kind: Machine['kind']): Machine {
  return kind === 'files' ? new FilesMachine() : new TransactionsMachine(kind);
}
