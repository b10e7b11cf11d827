/**
 * The backend over the SQLite storage of a Durable Object.
 *
 *   <prefix>_state   name, part -> bytes                      'catalog', 'manifest/<space>', the same once more as 'copy/…'
 *   <prefix>_blocks  space, block, generation -> bytes        a block is far below the limit of a row
 *   <prefix>_log     space, sequence, part -> bytes
 *
 * What may pass the limit of a row is cut into parts, numbered from 0. Everything one call writes is one transaction. An
 * object has its storage to itself, so there is nobody to fence off.
 *
 * A statement is visible at once and reaches the disk a little later; the runtime holds back an object's answers until then
 * (its output gate), so nothing is acknowledged too early even under `relaxed`. `flush` waits for the disk by itself, so that
 * `strict` means the same here as elsewhere.
 */

import { isShibuDbError, shibuDbError } from '../api/errors.ts';
import { invalid, shown } from '../base/arguments.ts';
import { joined } from '../base/bytes.ts';
import type {
  BlockName,
  LogEntry,
  StorageBackend,
  StorageEstimate,
  StoredBlock,
  StoredState,
} from '../storage/backend.ts';
import type { DurableStorage } from './durable-storage.ts';
import { LimitedSql, rowBytesMax } from './limited-sql.ts';

/** Of a row's limit: the rest is for keys and SQLite's own. */
const partBytes = rowBytesMax - 10_000;

/** Begins the name of every table of a database: others, and the object's own, may lie beside it. */
const prefixPattern = /^[A-Za-z][A-Za-z0-9_]{0,40}$/;

interface Tables {
  readonly state: string;
  readonly blocks: string;
  readonly log: string;
}

/** @throws INVALID_ARGUMENT: the prefix becomes part of statements */
function tablesOf(prefix: unknown): Tables {
  if (typeof prefix !== 'string' || !prefixPattern.test(prefix)) {
    throw invalid(
      `Got ${shown(prefix)} for the tables' prefix, expected a letter, then letters, digits and underscores`,
    );
  }
  return { state: `${prefix}_state`, blocks: `${prefix}_blocks`, log: `${prefix}_log` };
}

/** Removes all that a database keeps; there may be none. */
export function dropTables(storage: DurableStorage, prefix: string): void {
  const tables = tablesOf(prefix);
  storage.transactionSync(() => {
    for (const table of Object.values(tables)) storage.sql.exec(`DROP TABLE IF EXISTS ${table}`);
  });
}

const manifestPrefix = 'manifest/';
const manifestName = (space: number): string => `${manifestPrefix}${space}`;
const copyOf = (name: string): string => `copy/${name}`;

export class SqliteBackend implements StorageBackend {
  readonly kind = 'durable-object';
  readonly #storage: DurableStorage;
  readonly #sql: LimitedSql;
  readonly #tables: Tables;
  #closed = false;

  constructor(storage: DurableStorage, prefix: string) {
    this.#storage = storage;
    this.#sql = new LimitedSql(storage.sql);
    this.#tables = tablesOf(prefix);
    this.#write('open', () => this.#makeTables());
  }

  #makeTables(): void {
    const { state, blocks, log } = this.#tables;
    // With rowids: the key's index then lists blocks without touching their bytes.
    const make = (table: string, columns: string, key: string): void => {
      this.#sql.exec(`CREATE TABLE IF NOT EXISTS ${table} (${columns}, bytes BLOB, PRIMARY KEY (${key}))`);
    };
    make(state, 'name TEXT, part INTEGER', 'name, part');
    make(blocks, 'space INTEGER, block INTEGER, generation INTEGER', 'space, block, generation');
    make(log, 'space INTEGER, sequence INTEGER, part INTEGER', 'space, sequence, part');
  }

  async readState(): Promise<StoredState> {
    return this.#read('readState', () => {
      const records = new Map<string, Uint8Array[]>();
      for (const row of this.#sql.exec(`SELECT name, bytes FROM ${this.#tables.state} ORDER BY name, part`)) {
        const name = row.name as string;
        const parts = records.get(name);
        if (parts === undefined) records.set(name, [bytesIn(row)]);
        else parts.push(bytesIn(row));
      }
      const read = (prefix: string): Map<number, Uint8Array> =>
        new Map(
          [...records]
            .filter(([name]) => name.startsWith(prefix))
            .map(([name, parts]) => [Number(name.slice(prefix.length)), inOne(parts)]),
        );
      const catalogOf = (name: string): Uint8Array | undefined => {
        const parts = records.get(name);
        return parts && inOne(parts);
      };
      return {
        catalog: catalogOf('catalog'),
        catalogCopy: catalogOf(copyOf('catalog')),
        manifests: read(manifestPrefix),
        manifestCopies: read(copyOf(manifestPrefix)),
      };
    });
  }

  async readBlocks(space: number, names: readonly BlockName[]): Promise<(Uint8Array | undefined)[]> {
    const query = `SELECT bytes FROM ${this.#tables.blocks} WHERE space = ? AND block = ? AND generation = ?`;
    return this.#read('readBlocks', () =>
      names.map(({ block, generation }) => {
        const [row] = this.#sql.exec(query, space, block, generation).toArray();
        return row === undefined ? undefined : bytesIn(row);
      }),
    );
  }

  async readLog(space: number, sequence: number): Promise<LogEntry[]> {
    const query = `SELECT sequence, bytes FROM ${this.#tables.log} WHERE space = ? AND sequence >= ? ORDER BY sequence, part`;
    return this.#read('readLog', () => {
      const records: { sequence: number; parts: Uint8Array[] }[] = [];
      for (const row of this.#sql.exec(query, space, sequence)) {
        const last = records.at(-1);
        if (last !== undefined && last.sequence === row.sequence) last.parts.push(bytesIn(row));
        else records.push({ sequence: row.sequence as number, parts: [bytesIn(row)] });
      }
      return records.map(({ sequence: number, parts }) => ({
        space,
        sequence: number,
        bytes: inOne(parts),
      }));
    });
  }

  async listBlocks(space: number): Promise<BlockName[]> {
    return this.#read('listBlocks', () =>
      this.#sql
        .exec(`SELECT block, generation FROM ${this.#tables.blocks} WHERE space = ?`, space)
        .toArray()
        .map(({ block, generation }) => ({ block: block as number, generation: generation as number })),
    );
  }

  async append(entries: readonly LogEntry[], flush: boolean): Promise<void> {
    const query = `INSERT INTO ${this.#tables.log} (space, sequence, part, bytes) VALUES (?, ?, ?, ?)`;
    this.#write('append', () => {
      for (const { space, sequence, bytes } of entries)
        for (const [part, piece] of partsOf(bytes)) this.#sql.exec(query, space, sequence, part, piece);
    });
    if (flush) await this.flush();
  }

  async flush(): Promise<void> {
    this.#assertOpen();
    try {
      await this.#storage.sync();
    } catch (error) {
      throw storageError(error, 'flush');
    }
  }

  async writeBlocks(space: number, blocks: readonly StoredBlock[]): Promise<void> {
    const query = `INSERT OR REPLACE INTO ${this.#tables.blocks} (space, block, generation, bytes) VALUES (?, ?, ?, ?)`;
    this.#write('writeBlocks', () => {
      for (const { block, generation, bytes } of blocks)
        this.#sql.exec(query, space, block, generation, bytes);
    });
  }

  async publish(space: number, manifest: Uint8Array): Promise<void> {
    this.#write('publish', () => this.#putState(manifestName(space), manifest));
    await this.flush();
  }

  async drop(space: number, blocks: readonly BlockName[], sequence: number): Promise<void> {
    this.#write('drop', () => {
      for (const { block, generation } of blocks) {
        this.#sql.exec(
          `DELETE FROM ${this.#tables.blocks} WHERE space = ? AND block = ? AND generation = ?`,
          space,
          block,
          generation,
        );
      }
      this.#sql.exec(`DELETE FROM ${this.#tables.log} WHERE space = ? AND sequence < ?`, space, sequence);
    });
  }

  async writeCatalog(catalog: Uint8Array, removed: readonly number[]): Promise<void> {
    this.#write('writeCatalog', () => {
      this.#putState('catalog', catalog);
      for (const space of removed) {
        for (const name of [manifestName(space), copyOf(manifestName(space))])
          this.#sql.exec(`DELETE FROM ${this.#tables.state} WHERE name = ?`, name);
        this.#sql.exec(`DELETE FROM ${this.#tables.blocks} WHERE space = ?`, space);
        this.#sql.exec(`DELETE FROM ${this.#tables.log} WHERE space = ?`, space);
      }
    });
    await this.flush();
  }

  async estimate(): Promise<StorageEstimate> {
    return { usageBytes: this.#sql.databaseBytes, persisted: true };
  }

  close(): void {
    this.#closed = true;
  }

  /** … and its copy: damage to one of the two makes nothing unreachable. */
  #putState(name: string, bytes: Uint8Array): void {
    const { state } = this.#tables;
    for (const each of [name, copyOf(name)]) {
      this.#sql.exec(`DELETE FROM ${state} WHERE name = ?`, each);
      for (const [part, piece] of partsOf(bytes))
        this.#sql.exec(`INSERT INTO ${state} (name, part, bytes) VALUES (?, ?, ?)`, each, part, piece);
    }
  }

  #read<Result>(what: string, body: () => Result): Result {
    this.#assertOpen();
    try {
      return body();
    } catch (error) {
      throw storageError(error, what);
    }
  }

  #write(what: string, body: () => void): void {
    this.#read(what, () => this.#storage.transactionSync(body));
  }

  #assertOpen(): void {
    if (this.#closed) throw shibuDbError('CLOSED', 'The storage is closed');
  }
}

/** Cuts bytes to what a row takes; nothing is one empty part, so that an empty record is there. */
function* partsOf(bytes: Uint8Array): Generator<[number, Uint8Array]> {
  for (let part = 0, from = 0; part === 0 || from < bytes.length; part++, from += partBytes)
    yield [part, bytes.subarray(from, from + partBytes)];
}

function bytesIn(row: Record<string, unknown>): Uint8Array {
  return new Uint8Array(row.bytes as ArrayBuffer);
}

/** Most are of one part, and are not copied. */
function inOne(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : joined(parts);
}

function storageError(error: unknown, what: string): Error {
  if (isShibuDbError(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  // SQLite's own words when the object's 10 GB are used up.
  const code = /database or disk is full|SQLITE_FULL/i.test(message) ? 'QUOTA_EXCEEDED' : 'STORAGE_FAILED';
  return shibuDbError(code, `The object's storage failed in ${what}: ${message}`, { cause: error });
}
