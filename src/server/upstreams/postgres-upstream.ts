/**
 * Postgres, with pgvector for vector spaces. Every space is a table of its own in the schema `shibumi`; which there are stands in
 * `shibumi.spaces`. Keys are bytea, whose order is that of bytes; vectors are pgvector's `vector`, float32 bit for bit.
 */

import type { Pool, PoolClient } from 'pg';
import type { ScanArguments, VectorScanArguments } from '../../api/calls.ts';
import type {
  Entry,
  SpaceDescription,
  SpaceInfo,
  UpstreamInfo,
  VectorData,
  VectorEntry,
} from '../../api/database.ts';
import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import type { NewSpace } from '../../engine/space-catalog.ts';
import { accessMethodOf, operatorOf } from './postgres-index.ts';
import { postgresKeyCalls, scanKeys } from './postgres-keys.ts';
import { postgresVectorCalls, scanPostgresVectors } from './postgres-vectors.ts';
import { lost, spaceNotFound, type Upstream, type UpstreamCalls, unsupported } from './upstream.ts';

const poolMax = 10;
const connectTimeoutMs = 10_000;

/** A space and the table that it lies in, quoted. */
export interface Table {
  readonly info: SpaceInfo;
  readonly table: string;
}

/** How the parts of the upstream reach the server. Errors are turned into this project's. */
export interface Sql {
  readonly name: string;
  tableOf(space: string, engine: SpaceInfo['engine'], call: string): Promise<Table>;
  rows<Row>(text: string, values: readonly unknown[], changes?: boolean): Promise<Row[]>;
  transaction<Result>(run: (rows: Rows) => Promise<Result>, changes: boolean): Promise<Result>;
}

export type Rows = <Row>(text: string, values?: readonly unknown[]) => Promise<Row[]>;

/** @throws UNSUPPORTED without the package `pg`, BRIDGE_UNAVAILABLE */
export async function openPostgres(url: URL): Promise<Upstream> {
  const pg = await loadPg();
  const max = Number(url.searchParams.get('pool_max') ?? poolMax);
  url.searchParams.delete('pool_max');
  const pool = new pg.default.Pool({
    connectionString: url.href,
    max,
    connectionTimeoutMillis: connectTimeoutMs,
  });
  // A connection that breaks while nobody uses it is replaced by the pool.
  pool.on('error', () => {});
  try {
    const upstream = new PostgresUpstream(pool);
    await upstream.prepare();
    return upstream;
  } catch (error) {
    await pool.end();
    throw isShibuDbError(error) ? error : lost('postgres', false, error);
  }
}

async function loadPg(): Promise<typeof import('pg')> {
  try {
    return await import('pg');
  } catch (cause) {
    throw shibuDbError('UNSUPPORTED', 'The upstream postgres needs the package pg: npm install pg', {
      cause,
    });
  }
}

class PostgresUpstream implements Upstream, Sql {
  readonly name = 'postgres';
  readonly calls: UpstreamCalls;
  info: UpstreamInfo = {
    name: 'postgres',
    durability: 'strict with fsync and synchronous_commit on; else none',
    atomicity: 'one call, also on many keys',
    order: 'keys by bytes, ids by value or bytes; each page of a scan sees its own moment',
    ids: 'int and string',
    metrics: 'none: the extension vector is not there',
    retries: 'reads; a write that was sent and not answered fails with OUTCOME_UNKNOWN',
  };
  readonly #pool: Pool;
  readonly #tables: Map<string, Table> = new Map();
  #isStrict = false;
  #vectors: string | undefined;

  constructor(pool: Pool) {
    this.#pool = pool;
    this.calls = { ...postgresKeyCalls(this), ...postgresVectorCalls(this) };
  }

  async prepare(): Promise<void> {
    const vector = await this.rows<{ version: string }>(
      "SELECT default_version AS version FROM pg_available_extensions WHERE name = 'vector'",
      [],
    );
    this.#vectors = vector[0]?.version;
    if (this.#vectors !== undefined) {
      await this.rows('CREATE EXTENSION IF NOT EXISTS vector', [], true);
      this.info = { ...this.info, metrics: `L2, InnerProduct, Cosine, L1 (pgvector ${this.#vectors})` };
    }
    await this.rows('CREATE SCHEMA IF NOT EXISTS shibumi', [], true);
    await this.rows(
      'CREATE TABLE IF NOT EXISTS shibumi.spaces (name text PRIMARY KEY, number serial, info jsonb NOT NULL)',
      [],
      true,
    );
    const [settings] = await this.rows<{ fsync: string; commit: string }>(
      "SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit",
      [],
    );
    this.#isStrict = settings?.fsync === 'on' && settings.commit !== 'off';
  }

  // --- spaces -----------------------------------------------------------------------------------------------------

  async listSpaces(): Promise<SpaceInfo[]> {
    return (await this.rows<{ info: SpaceInfo }>('SELECT info FROM shibumi.spaces ORDER BY name', [])).map(
      ({ info }) => info,
    );
  }

  async createSpace(space: NewSpace): Promise<void> {
    const { name, engine, durability } = space;
    if (!this.#isStrict && durability !== 'none')
      throw unsupported(
        this.name,
        'createSpace',
        `durability ${JSON.stringify(durability)} needs fsync and synchronous_commit`,
      );
    if (name.includes('\0')) throw unsupported(this.name, 'createSpace', 'a name with a zero character');
    if (engine === 'vector' && this.#vectors === undefined)
      throw unsupported(this.name, 'createSpace', 'vector spaces need the extension vector (pgvector)');
    const {
      efConstruction = 128,
      seed: _,
      ...info
    } = space as NewSpace & { efConstruction?: number; seed?: number };
    // Refused before anything is made.
    const vectors = engine === 'vector' ? vectorTable(info as SpaceInfo, efConstruction) : undefined;
    await this.transaction(async (rows) => {
      const [made] = await rows<{ number: number }>(
        'INSERT INTO shibumi.spaces (name, info) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING number',
        [name, JSON.stringify(info)],
      );
      if (made === undefined) throw shibuDbError('SPACE_EXISTS', `There is a space "${name}" already`);
      const table = `shibumi.space_${made.number}`;
      const columns =
        vectors?.columns ??
        'key bytea PRIMARY KEY, value bytea NOT NULL, is_text boolean NOT NULL, expires_at timestamptz';
      await rows(`CREATE TABLE ${table} (${columns})`);
      if (vectors?.index !== undefined) await rows(`CREATE INDEX ON ${table} ${vectors.index}`);
    }, true);
  }

  async deleteSpace(name: string): Promise<void> {
    this.#tables.delete(name);
    await this.transaction(async (rows) => {
      const [gone] = await rows<{ number: number }>(
        'DELETE FROM shibumi.spaces WHERE name = $1 RETURNING number',
        [name],
      );
      if (gone === undefined) throw spaceNotFound(this.name, name);
      await rows(`DROP TABLE shibumi.space_${gone.number}`);
    }, true);
  }

  async describeSpace(name: string): Promise<SpaceDescription> {
    this.#tables.delete(name);
    const { info, table } = await this.#find(name);
    const live = info.engine === 'vector' ? '' : 'WHERE expires_at IS NULL OR expires_at > clock_timestamp()';
    const [found] = await this.rows<{ count: string; bytes: string }>(
      `SELECT count(*) AS count, pg_total_relation_size($1) AS bytes FROM ${table} ${live}`,
      [table],
    );
    const count = Number(found?.count ?? 0);
    return {
      ...info,
      count,
      memoryBytes: 0,
      storedBytes: Number(found?.bytes ?? 0),
      ...(info.engine === 'vector' ? { index: { linked: count, pending: 0 } } : {}),
      upstream: this.info,
    };
  }

  async tableOf(space: string, engine: SpaceInfo['engine'], call: string): Promise<Table> {
    const found = await this.#find(space);
    if (found.info.engine === engine) return found;
    throw shibuDbError(
      'WRONG_ENGINE',
      `${call} needs a ${engine} space, but "${space}" is a ${found.info.engine} space`,
    );
  }

  async #find(space: string): Promise<Table> {
    const known = this.#tables.get(space);
    if (known !== undefined) return known;
    const [row] = await this.rows<{ number: number; info: SpaceInfo }>(
      'SELECT number, info FROM shibumi.spaces WHERE name = $1',
      [space],
    );
    if (row === undefined) throw spaceNotFound(this.name, space);
    const table = { info: row.info, table: `shibumi.space_${row.number}` };
    this.#tables.set(space, table);
    return table;
  }

  scan(space: string, args: ScanArguments): AsyncGenerator<Entry[], void> {
    return scanKeys(this, space, args);
  }

  scanVectors(space: string, args: VectorScanArguments): AsyncGenerator<VectorEntry<VectorData>[], void> {
    return scanPostgresVectors(this, space, args);
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  // --- statements -------------------------------------------------------------------------------------------------

  async rows<Row>(text: string, values: readonly unknown[], changes = false): Promise<Row[]> {
    try {
      return (await this.#pool.query(text, [...values])).rows as Row[];
    } catch (error) {
      throw this.#told(error, changes);
    }
  }

  async transaction<Result>(run: (rows: Rows) => Promise<Result>, changes: boolean): Promise<Result> {
    let client: PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (error) {
      throw this.#told(error, false);
    }
    let isBroken = false;
    // Until COMMIT is sent nothing has taken effect.
    let isCommitting = false;
    try {
      await client.query('BEGIN');
      const result = await run(
        async <Row>(text: string, values: readonly unknown[] = []) =>
          (await client.query(text, [...values])).rows as Row[],
      );
      isCommitting = true;
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch(() => {
        isBroken = true;
      });
      throw this.#told(error, changes && isCommitting);
    } finally {
      client.release(isBroken);
    }
  }

  #told(error: unknown, changes: boolean): unknown {
    if (isShibuDbError(error)) return error;
    // SQLSTATE: the server answered, and did nothing.
    const { code, message } = error as { code?: string; message?: string };
    if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) {
      // The table is gone: somebody else deleted the space.
      if (code === '42P01') {
        this.#tables.clear();
        return shibuDbError('SPACE_NOT_FOUND', 'The space was deleted meanwhile', { cause: error });
      }
      if (code.startsWith('53'))
        return shibuDbError('OUT_OF_MEMORY', `The upstream postgres is full: ${message}`, { cause: error });
      if (code.startsWith('57P') || code.startsWith('08')) return lost(this.name, changes, error);
      return shibuDbError('INVALID_ARGUMENT', `The upstream postgres refused it: ${message}`, {
        cause: error,
      });
    }
    return lost(this.name, changes, error);
  }
}

function vectorTable(
  info: SpaceInfo,
  efConstruction: number,
): { columns: string; index: string | undefined } {
  const { dimension = 0, ids } = info;
  const method = accessMethodOf(info, efConstruction);
  operatorOf(info);
  const id = ids === 'string' ? 'text COLLATE "C"' : 'bigint';
  return {
    columns: `id ${id} PRIMARY KEY, embedding vector(${dimension}) NOT NULL, metadata jsonb`,
    index: method,
  };
}
