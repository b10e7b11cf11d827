/**
 * The backend suite over plain memory, files, both encrypted, SQLite as the edge has it (Node's own, behind the few calls of a Durable Object), and the
 * faulty ones of the simulation while nothing fails. In browsers: test/browser/backend.test.ts.
 */

import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { DurableStorage } from '../../src/edge/durable-storage.ts';
import { SqliteBackend } from '../../src/edge/sqlite-backend.ts';
import { portableScrypt } from '../../src/engine/users/portable-scrypt.ts';
import { plainBlockBytes } from '../../src/node/block-file.ts';
import { FileBackend } from '../../src/node/file-backend.ts';
import type { StorageBackend } from '../../src/storage/backend.ts';
import { emptyCatalog, encodeCatalog } from '../../src/storage/catalog.ts';
import { EncryptedBackend } from '../../src/storage/encryption/encrypted-backend.ts';
import { sealedExtraBytes } from '../../src/storage/encryption/record-cipher.ts';
import { Faults, realTime } from '../crash/faults.ts';
import { CrashDisk, FaultyBackend } from '../crash/faulty-backend.ts';
import { SimulatedDisk, SimulatedFiles } from '../crash/simulated-files.ts';
import { backendCases, type Place } from '../support/backend-cases.ts';
import { Random } from '../support/random.ts';
import { checksum, filesPlace, memoryPlace } from './places.ts';

const noFaults = (): Faults => new Faults({}, realTime, new Random(1));

async function faultyPlace(hasLogs: boolean): Promise<Place> {
  const disk = new CrashDisk(hasLogs);
  return {
    open: () => FaultyBackend.open(disk, noFaults()),
    settled: async () => {},
    remove: async () => {},
  };
}

async function simulatedFilesPlace(): Promise<Place> {
  const disk = new SimulatedDisk();
  return {
    open: () => FileBackend.open('/db', checksum, new SimulatedFiles(disk, noFaults())),
    settled: (backend) => (backend as FileBackend).closed(),
    remove: async () => {},
  };
}

/** What is stored there is encrypted; what the suite puts and gets is not. */
function encrypted(place: Place): Place {
  const inner = new Map<StorageBackend, StorageBackend>();
  const means = { checksum, scrypt: portableScrypt, cost: { N: 1024, r: 8, p: 1 } };
  return {
    open: async () => {
      const backend = await place.open();
      const outer = await EncryptedBackend.open(backend, { key: new Uint8Array(32).fill(1) }, means);
      inner.set(outer, backend);
      return outer;
    },
    settled: (backend) => place.settled(inner.get(backend) as StorageBackend),
    remove: () => place.remove(),
    firstCatalog: encodeCatalog(emptyCatalog, checksum),
  };
}

async function sqlitePlace(): Promise<Place> {
  const db = new DatabaseSync(':memory:');
  const storage: Pick<DurableStorage, 'sql' | 'transactionSync' | 'sync'> = {
    sql: {
      databaseSize: 0,
      exec(query, ...bindings) {
        const rows = db.prepare(query).all(...(bindings.map(bound) as never[])) as never[];
        return Object.assign(rows.values(), { toArray: () => rows });
      },
    },
    transactionSync(body) {
      db.exec('BEGIN');
      try {
        const result = body();
        db.exec('COMMIT');
        return result;
      } catch (error) {
        db.exec('ROLLBACK');
        throw error;
      }
    },
    sync: async () => {},
  };
  return {
    open: async () => new SqliteBackend(storage as DurableStorage, 'suite'),
    settled: async () => {},
    remove: async () => db.close(),
  };
}

const bound = (value: unknown): unknown => (value instanceof ArrayBuffer ? new Uint8Array(value) : value);

const places = {
  memory: memoryPlace,
  files: () => filesPlace(),
  'encrypted memory': async () => encrypted(await memoryPlace()),
  'encrypted files': async () => encrypted(await filesPlace(plainBlockBytes + sealedExtraBytes)),
  'SQLite of the edge': sqlitePlace,
  'faulty transactions': () => faultyPlace(false),
  'faulty transactions in several logs': () => faultyPlace(true),
  'simulated files': simulatedFilesPlace,
};

for (const [what, makePlace] of Object.entries(places))
  for (const { name, run } of backendCases(checksum))
    test(`${what}: ${name}`, async () => run(await makePlace()));
