/**
 * A session: one caller's view of a database. It parses what the caller passed, knows the caller's current space and open
 * scans, and turns calls into operations and reads. Everything is checked here, where the data is, whoever calls.
 *
 * A call answers without a promise where it can: a packed message of a thousand gets is then answered at once.
 */

import type {
  ArgumentsOf,
  CallContext,
  Calls,
  InSpace,
  Method,
  ResultOf,
  ScanArguments,
  ScanStep,
} from '../api/calls.ts';
import type {
  Entry,
  SearchHit,
  SpaceDescription,
  SpaceInfo,
  Stats,
  Value,
  VectorEntry,
} from '../api/database.ts';
import { shibuDbError } from '../api/errors.ts';
import { integerIn, invalid, shown } from '../base/arguments.ts';
import { encodeUtf8 } from '../base/text.ts';
import { expire, increment, putIf } from '../space/conditional.ts';
import { checkKeys, deleteManyOperations, getMany, putManyOperations } from '../space/key-value-batch.ts';
import { checkKey, deadlineOf, deleteOperation, putOperation } from '../space/key-value-space.ts';
import { encodeDeleteInt, encodeDeleteString } from '../space/operation.ts';
import { checkId } from '../space/vector-ids.ts';
import { checkVector, kMax } from '../space/vector-space.ts';
import type { CatalogEntry } from '../storage/catalog.ts';
import { insertVectors, prepareInsert } from './bulk-insert.ts';
import type { DatabaseEngine } from './database-engine.ts';
import { parseNewSpace } from './new-space.ts';
import type { ResidentSpace } from './resident-space.ts';
import { openEntryScan, openVectorScan } from './scans.ts';
import type { SnapshotScan } from './snapshot-scan.ts';

type Handlers = {
  [M in Method]: (args: ArgumentsOf<M>, context: CallContext) => ResultOf<M> | Promise<ResultOf<M>>;
};
type AnyScan = SnapshotScan<Entry> | SnapshotScan<VectorEntry>;

const scansMax = 1000;
/** The longest decimal of 64 bits. */
const int64TextBytes = 20;
/** Expired entries removed at a time. */
const sweepSlice = 10_000;

export class Session implements Handlers {
  readonly #engine: DatabaseEngine;
  readonly #onClose: () => Promise<void>;
  readonly #scans: Map<number, { scan: AnyScan; resident: ResidentSpace }> = new Map();
  #nextScan = 1;
  #currentSpace: string | undefined;
  #closed = false;

  /** `onClose` runs after the session has ended: the engine itself belongs to whoever opened it. */
  constructor(engine: DatabaseEngine, onClose: () => Promise<void> = async () => {}) {
    this.#engine = engine;
    this.#onClose = onClose;
  }

  /** Runs a call by name. @throws what the call throws; INVALID_ARGUMENT for a name there is not */
  call<M extends Method>(
    method: M,
    args: ArgumentsOf<M>,
    context: CallContext,
  ): ResultOf<M> | Promise<ResultOf<M>> {
    if (this.#closed && method !== 'close')
      throw shibuDbError('CLOSED', `${method} was called after close()`);
    const handler = callable.has(method) ? (this[method] as Handlers[M] | undefined) : undefined;
    if (handler === undefined)
      throw invalid(`Got ${shown(method)} for a method, expected one of ${[...callable].join(', ')}`);
    return handler.call(this, args, context);
  }

  // --- spaces -----------------------------------------------------------------------------------------------------

  async createSpace({ name, engine, options }: ArgumentsOf<'createSpace'>): Promise<undefined> {
    await this.#engine.createSpace(parseNewSpace(name, engine, options));
  }

  async deleteSpace({ name }: { name: string }): Promise<undefined> {
    await this.#engine.deleteSpace(name);
  }

  listSpaces(): SpaceInfo[] {
    return this.#engine.listSpaces();
  }

  useSpace({ name }: { name: string }): undefined {
    this.#engine.entryOf(name);
    this.#currentSpace = name;
  }

  async describeSpace({ name }: { name: string }): Promise<SpaceDescription> {
    return this.#engine.describe(await this.#engine.resident(this.#engine.entryOf(name)));
  }

  // --- key-value --------------------------------------------------------------------------------------------------

  async put({ space, key, value, ttlMs }: ArgumentsOf<'put'>): Promise<undefined> {
    const entry = this.#entry(space, 'key-value', 'put');
    const operation = putOperation(key, value, deadlineOf(ttlMs, this.#engine.wallClock()));
    const deadlines = ttlMs !== undefined;
    await this.#engine.submit(entry, operation, { count: 1, bytes: operation.length, deadlines });
  }

  get({ space, key }: InSpace & { key: string }): Value | undefined | Promise<Value | undefined> {
    const entry = this.#entry(space, 'key-value', 'get');
    checkKey(key);
    return this.#read(entry, (resident) => resident.keyValue.get(key));
  }

  async delete({ space, key }: InSpace & { key: string }): Promise<boolean> {
    const entry = this.#entry(space, 'key-value', 'delete');
    const operation = deleteOperation(key);
    return (await this.#engine.submit(entry, operation, { count: 1, bytes: operation.length })) > 0;
  }

  exists({ space, key }: InSpace & { key: string }): boolean | Promise<boolean> {
    const entry = this.#entry(space, 'key-value', 'exists');
    checkKey(key);
    return this.#read(entry, (resident) => resident.keyValue.has(key));
  }

  size({ space }: InSpace): number | Promise<number> {
    // What has expired does not count.
    return this.#read(this.#entry(space, 'key-value', 'size'), (resident) => {
      while (resident.sweep(sweepSlice) > 0);
      return resident.keyValue.count();
    });
  }

  async clear({ space }: InSpace): Promise<undefined> {
    await this.#engine.clearSpace(this.#entry(space, 'key-value', 'clear').name);
  }

  async increment({ space, key, by }: ArgumentsOf<'increment'>): Promise<number | bigint> {
    const entry = this.#entry(space, 'key-value', 'increment');
    const decide = increment(key, by);
    const need = { count: 1, bytes: key.length * 3 + int64TextBytes, deadlines: true };
    return this.#engine.submitConditional(entry, decide, need);
  }

  async putIf({ space, key, value, expected, ttlMs }: ArgumentsOf<'putIf'>): Promise<boolean> {
    const entry = this.#entry(space, 'key-value', 'putIf');
    const deadlineMs = deadlineOf(ttlMs, this.#engine.wallClock());
    const decide = putIf(key, value, expected, deadlineMs);
    const need = { count: 1, bytes: (key.length + value.length) * 3, deadlines: ttlMs !== undefined };
    return this.#engine.submitConditional(entry, decide, need);
  }

  /** The value is written again with its new deadline: the log holds outcomes. */
  async expire({ space, key, ttlMs }: ArgumentsOf<'expire'>): Promise<boolean> {
    const entry = this.#entry(space, 'key-value', 'expire');
    const decide = expire(key, ttlMs);
    const resident = await this.#engine.resident(entry);
    const bytes = key.length * 3 + (resident.keyValue.get(key)?.length ?? 0) * 3;
    return this.#engine.submitConditional(entry, decide, { count: 1, bytes, deadlines: true });
  }

  ttl({ space, key }: ArgumentsOf<'ttl'>): number | undefined | Promise<number | undefined> {
    const entry = this.#entry(space, 'key-value', 'ttl');
    checkKey(key);
    return this.#read(entry, ({ keyValue }) => {
      const stored = keyValue.getStored(key);
      if (stored === undefined) return undefined;
      return stored.deadlineMs === undefined ? Number.POSITIVE_INFINITY : stored.deadlineMs - keyValue.now;
    });
  }

  async putMany({ space, entries }: ArgumentsOf<'putMany'>): Promise<undefined> {
    const entry = this.#entry(space, 'key-value', 'putMany');
    const operations = putManyOperations(entries, this.#engine.wallClock());
    const deadlines = entries.some(({ ttlMs }) => ttlMs !== undefined);
    await this.#engine.submit(entry, operations, {
      count: entries.length,
      bytes: operations.length,
      deadlines,
    });
  }

  getMany({ space, keys }: ArgumentsOf<'getMany'>): ResultOf<'getMany'> | Promise<ResultOf<'getMany'>> {
    const entry = this.#entry(space, 'key-value', 'getMany');
    checkKeys(keys);
    return this.#read(entry, (resident) => getMany(resident.keyValue, keys));
  }

  async deleteMany({ space, keys }: ArgumentsOf<'deleteMany'>): Promise<number> {
    const entry = this.#entry(space, 'key-value', 'deleteMany');
    const operations = deleteManyOperations(keys);
    return this.#engine.submit(entry, operations, { count: keys.length, bytes: operations.length });
  }

  async scanOpen({ space, ...options }: InSpace & ScanArguments): Promise<number> {
    const entry = this.#entry(space, 'key-value', 'scan');
    const source = openEntryScan(options, this.#engine.snapshotBytesMax);
    const resident = await this.#engine.resident(entry);
    return this.#keepScan(source(resident.keyValue), resident);
  }

  // --- scans ------------------------------------------------------------------------------------------------------

  async scanVectorsOpen({
    space,
    ...options
  }: InSpace & { limit?: number; cursor?: string }): Promise<number> {
    const entry = this.#entry(space, 'vector', 'scanVectors');
    const source = openVectorScan(options, entry, this.#engine.snapshotBytesMax);
    const resident = await this.#engine.resident(entry);
    return this.#keepScan(source(resident.vectors), resident);
  }

  #keepScan(scan: AnyScan, resident: ResidentSpace): number {
    if (this.#scans.size >= scansMax)
      throw invalid(`${scansMax} scans are open already; finish or close some first`);
    const id = this.#nextScan++;
    this.#scans.set(id, { scan, resident });
    resident.scans.add(scan as SnapshotScan<unknown>);
    return id;
  }

  scanNext({ scan: id }: { scan: number }): ScanStep<Entry | VectorEntry> {
    const open = this.#scans.get(id);
    if (open === undefined) throw invalid(`Got scan ${shown(id)}, which is not open`);
    try {
      const step = open.scan.next();
      if (step.done) this.scanClose({ scan: id });
      return step;
    } catch (error) {
      this.scanClose({ scan: id });
      throw error;
    }
  }

  scanClose({ scan: id }: { scan: number }): undefined {
    const open = this.#scans.get(id);
    open?.resident.scans.delete(open.scan as SnapshotScan<unknown>);
    this.#scans.delete(id);
  }

  // --- vectors ----------------------------------------------------------------------------------------------------

  async insertVector({ space, id, vector }: ArgumentsOf<'insertVector'>): Promise<undefined> {
    const entry = this.#entry(space, 'vector', 'insertVector');
    const floats = checkVector(vector, entry.dimension ?? 0);
    const insert = prepareInsert(entry, [id], floats);
    await this.#engine.submit(entry, insert.operation(0, 1), { count: 1, bytes: insert.idBytes(0, 1) });
  }

  async insertVectors(
    { space, ids, vectors }: ArgumentsOf<'insertVectors'>,
    context: CallContext,
  ): Promise<undefined> {
    const entry = this.#entry(space, 'vector', 'insertVectors');
    const insert = prepareInsert(entry, ids, vectors);
    await insertVectors(this.#engine, entry, insert, context);
  }

  getVector({
    space,
    id,
  }: ArgumentsOf<'getVector'>): Float32Array | undefined | Promise<Float32Array | undefined> {
    const entry = this.#entry(space, 'vector', 'getVector');
    const checked = checkId(id, entry.ids ?? 'int');
    return this.#read(entry, (resident) => resident.vectors.get(checked));
  }

  async deleteVector({ space, id }: ArgumentsOf<'deleteVector'>): Promise<boolean> {
    const entry = this.#entry(space, 'vector', 'deleteVector');
    const checked = checkId(id, entry.ids ?? 'int');
    const operation =
      typeof checked === 'bigint' ? encodeDeleteInt(checked) : encodeDeleteString(encodeUtf8(checked));
    return (await this.#engine.submit(entry, operation, { count: 1, bytes: operation.length })) > 0;
  }

  countVectors({ space }: InSpace): number | Promise<number> {
    return this.#read(this.#entry(space, 'vector', 'countVectors'), (resident) => resident.vectors.count());
  }

  searchTopK({
    space,
    query,
    k,
    efSearch,
    includeVectors,
  }: ArgumentsOf<'searchTopK'>): SearchHit[] | Promise<SearchHit[]> {
    const entry = this.#entry(space, 'vector', 'searchTopK');
    const floats = checkVector(query, entry.dimension ?? 0, 'query');
    integerIn(k, 1, kMax, 'k');
    const ef = efSearch === undefined ? Math.max(64, k) : integerIn(efSearch, 1, kMax, 'efSearch');
    return this.#read(entry, (resident) =>
      resident.vectors.searchTopK(floats, k, ef, includeVectors === true),
    );
  }

  rangeSearch({
    space,
    query,
    radius,
    limit,
    includeVectors,
  }: ArgumentsOf<'rangeSearch'>): SearchHit[] | Promise<SearchHit[]> {
    const entry = this.#entry(space, 'vector', 'rangeSearch');
    const floats = checkVector(query, entry.dimension ?? 0, 'query');
    if (typeof radius !== 'number' || Number.isNaN(radius))
      throw invalid(`Got ${shown(radius)} for radius, expected a number`);
    const most = integerIn(limit ?? 10_000, 1, kMax, 'limit');
    return this.#read(entry, (resident) =>
      resident.vectors.rangeSearch(floats, radius, most, includeVectors === true),
    );
  }

  async waitForIndex({ space }: InSpace, { signal, onProgress }: CallContext): Promise<undefined> {
    const entry = this.#entry(space, 'vector', 'waitForIndex');
    const resident = await this.#engine.resident(entry);
    await this.#engine.waitForIndex(resident, (done, total) => onProgress?.({ done, total }), signal);
  }

  // --- the database -----------------------------------------------------------------------------------------------

  async checkpoint(): Promise<undefined> {
    await this.#engine.checkpointAll();
  }

  stats(): Promise<Stats> {
    return this.#engine.stats();
  }

  async close(): Promise<undefined> {
    for (const id of [...this.#scans.keys()]) this.scanClose({ scan: id });
    if (this.#closed) return;
    this.#closed = true;
    await this.#onClose();
  }

  // --- the ways in ------------------------------------------------------------------------------------------------

  #entry(space: string | undefined, engine: 'key-value' | 'vector', call: string): CatalogEntry {
    const name = space ?? this.#currentSpace;
    if (name === undefined) {
      throw shibuDbError(
        'NO_SPACE_SELECTED',
        `${call} needs a space: call useSpace(name) first or pass { space }`,
      );
    }
    const entry = this.#engine.entryOf(name);
    if (entry.engine !== engine) {
      throw shibuDbError(
        'WRONG_ENGINE',
        `${call} needs a ${engine} space, but "${name}" is a ${entry.engine} space`,
      );
    }
    return entry;
  }

  #read<Result>(entry: CatalogEntry, read: (resident: ResidentSpace) => Result): Result | Promise<Result> {
    const resident = this.#engine.residentNow(entry);
    return resident === undefined ? this.#engine.resident(entry).then(read) : read(resident);
  }
}

/** What may be called by name; nothing else of the class can be reached from outside. */
const callable: ReadonlySet<string> = new Set<Method>(
  Object.keys({
    createSpace: 1,
    deleteSpace: 1,
    listSpaces: 1,
    useSpace: 1,
    describeSpace: 1,
    put: 1,
    get: 1,
    delete: 1,
    exists: 1,
    size: 1,
    clear: 1,
    increment: 1,
    putIf: 1,
    expire: 1,
    ttl: 1,
    putMany: 1,
    getMany: 1,
    deleteMany: 1,
    scanOpen: 1,
    scanVectorsOpen: 1,
    scanNext: 1,
    scanClose: 1,
    insertVector: 1,
    insertVectors: 1,
    getVector: 1,
    deleteVector: 1,
    countVectors: 1,
    searchTopK: 1,
    rangeSearch: 1,
    waitForIndex: 1,
    checkpoint: 1,
    stats: 1,
    close: 1,
  } satisfies Record<keyof Calls, 1>) as Method[],
);
