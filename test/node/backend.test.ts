/**
 * The backend suite over plain memory, files, SQLite as the edge has it (Node's own, behind the few calls of a Durable Object), and the
 * faulty ones of the simulation while nothing fails. In browsers: test/browser/backend.test.ts.
 */

import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { DurableStorage } from '../../src/edge/durable-storage.ts';
import { SqliteBackend } from '../../src/edge/sqlite-backend.ts';
import { FileBackend } from '../../src/node/file-backend.ts';
import { Faults, realTime } from '../crash/faults.ts';
import { CrashDisk, FaultyBackend } from '../crash/faulty-backend.ts';
import { SimulatedDisk, SimulatedFiles } from '../crash/simulated-files.ts';
import { backendCases, type Place } from '../support/backend-cases.ts';
import { Random } from '../support/random.ts';
import { checksum, filesPlace, memoryPlace } from './places.ts';

const noFaults = (): Faults => new Faults({}, realTime, new Random(1));

async function faultyPlace(): Promise<Place> {
  const disk = new CrashDisk();
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
  files: filesPlace,
  'SQLite of the edge': sqlitePlace,
  'faulty transactions': faultyPlace,
  'simulated files': simulatedFilesPlace,
};

for (const [what, makePlace] of Object.entries(places))
  for (const { name, run } of backendCases(checksum))
    test(`${what}: ${name}`, async () => run(await makePlace()));
