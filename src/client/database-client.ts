/**
 * `Database` for callers: turns each method into a call over a transport. One class whether the engine is in this process,
 * in a worker or elsewhere. It checks nothing that the session checks: bad input is refused where the data is.
 */

import {
  type ArgumentsOf,
  callsThatReportPrefix,
  type Method,
  type ResultOf,
  type SessionState,
} from '../api/calls.ts';
import type {
  CallOptions,
  Database,
  DatabaseEvent,
  DatabaseEventType,
  Encryption,
  EngineKind,
  Entry,
  ExportOptions,
  FirstAdmin,
  ImportOptions,
  ImportResult,
  InsertVectorOptions,
  InsertVectorsOptions,
  KeyValueSpaceOptions,
  Metadata,
  NewUser,
  Permissions,
  ProgressOptions,
  PutEntry,
  PutOptions,
  RangePagesOptions,
  RangeSearchOptions,
  ReindexOptions,
  Role,
  Scan,
  ScanOptions,
  SearchBatchOptions,
  SearchHit,
  SearchOptions,
  SpaceCalls,
  SpaceDescription,
  SpaceInfo,
  Stats,
  UpdateMetadataOptions,
  User,
  Value,
  VectorData,
  VectorEntry,
  VectorId,
  VectorIds,
  VectorInput,
  VectorScanOptions,
  VectorSpaceOptions,
  VerifyOptions,
  VerifyReport,
  Where,
  WhereOptions,
} from '../api/database.ts';
import { isShibuDbError, shibuDbError } from '../api/errors.ts';
import { packEntries } from '../base/pack-values.ts';
import { unpackValues } from '../base/packed-values.ts';
import { deadlineOf } from './deadline.ts';
import { EventListeners, type ListenerOptions } from './event-listeners.ts';
import type { Logger } from './logger.ts';
import { unpackHits } from './packed-hits.ts';
import { ScanClient } from './scan-client.ts';
import { exportTo, importFrom } from './transfer.ts';
import type { Transport, TransportOptions } from './transport.ts';
import { getStream, putStream } from './value-streams.ts';

type AnyOptions = CallOptions & ProgressOptions;
const noOptions: TransportOptions = {};

/** Makes calls with their deadlines; shared by a database and the handles made from it. */
class Caller {
  readonly #transport: Transport;
  readonly #logger: Logger | undefined;
  closing: Promise<void> | undefined;

  constructor(transport: Transport, logger: Logger | undefined) {
    this.#transport = transport;
    this.#logger = logger;
  }

  call<M extends Method>(
    method: M,
    args: ArgumentsOf<M>,
    options?: AnyOptions,
    transfer?: readonly ArrayBuffer[],
  ): Promise<ResultOf<M>> {
    if (this.#logger === undefined) return this.#run(method, args, options, transfer);
    return this.#logger.call(method, args, () => this.#run(method, args, options, transfer));
  }

  /** Hands the buffer of an answer back whose contents nobody needs any more. */
  giveBack(buffer: ArrayBuffer): void {
    this.#transport.giveBack?.(buffer);
  }

  /** The usual call has no options: it must cost nothing. */
  #run<M extends Method>(
    method: M,
    args: ArgumentsOf<M>,
    options?: AnyOptions,
    transfer?: readonly ArrayBuffer[],
  ): Promise<ResultOf<M>> {
    if (this.closing !== undefined && method !== 'close') {
      return Promise.reject(shibuDbError('CLOSED', `${method} was called after close()`));
    }
    if (options === undefined && transfer === undefined) return this.#transport.call(method, args, noOptions);
    return this.#callWith(method, args, options ?? {}, transfer);
  }

  async #callWith<M extends Method>(
    method: M,
    args: ArgumentsOf<M>,
    { signal, timeoutMs, onProgress }: AnyOptions,
    transfer: readonly ArrayBuffer[] | undefined,
  ): Promise<ResultOf<M>> {
    if (signal === undefined && timeoutMs === undefined) {
      return this.#transport.call(method, args, { onProgress, transfer });
    }
    const deadline = deadlineOf(signal, timeoutMs, method);
    try {
      const transportOptions: TransportOptions = { signal: deadline.signal, onProgress, transfer };
      const answer = this.#transport.call(method, args, transportOptions);
      if (deadline.expired === undefined) return await answer;
      if (callsThatReportPrefix.has(method)) {
        // Where the engine is, a deadline that passed is an abort like any other.
        return await answer.catch((error: unknown) => Promise.reject(asTold(error, deadline.signal)));
      }
      // What the engine answers after the deadline reaches nobody.
      answer.catch(() => {});
      return await Promise.race([answer, deadline.expired]);
    } finally {
      deadline.end();
    }
  }

  release(): void {
    this.#transport.release();
  }
}

/** A failure by the signal carries the signal's code (TIMEOUT, ABORTED); what it says of the stored prefix stays. */
function asTold(error: unknown, signal: AbortSignal | undefined): unknown {
  const reason: unknown = signal?.reason;
  if (!isShibuDbError(error) || !isShibuDbError(reason) || error.code !== 'ABORTED') return error;
  if (reason.code === 'ABORTED') return error;
  return shibuDbError(reason.code, `${reason.message}: ${error.message}`, { details: error.details });
}

/** The calls on one space: a fixed one (`db.space(name)`) or whichever the session currently uses. */
class SpaceClient implements SpaceCalls {
  protected readonly caller: Caller;
  readonly #bound: string | undefined;

  constructor(caller: Caller, bound: string | undefined) {
    this.caller = caller;
    this.#bound = bound;
  }

  #space(options: CallOptions | undefined): string | undefined {
    return options?.space ?? this.#bound;
  }

  put(key: string, value: Value, options?: PutOptions): Promise<void> {
    const ttlMs = options?.ttlMs;
    const args = { space: this.#space(options), key, value };
    return this.caller.call('put', ttlMs === undefined ? args : { ...args, ttlMs }, options);
  }

  get(key: string, options?: CallOptions): Promise<Value | undefined> {
    return this.caller.call('get', { space: this.#space(options), key }, options);
  }

  getStream(key: string, options?: CallOptions): Promise<ReadableStream<Uint8Array> | undefined> {
    const { signal, timeoutMs } = options ?? {};
    return getStream(this.caller, { space: this.#space(options), key }, pick(signal, timeoutMs));
  }

  putStream(
    key: string,
    source: ReadableStream<Uint8Array | string> | Blob,
    options: PutOptions = {},
  ): Promise<void> {
    return putStream(this.caller, { space: this.#space(options), key }, source, options);
  }

  delete(key: string, options?: CallOptions): Promise<boolean> {
    return this.caller.call('delete', { space: this.#space(options), key }, options);
  }

  exists(key: string, options?: CallOptions): Promise<boolean> {
    return this.caller.call('exists', { space: this.#space(options), key }, options);
  }

  size(options?: CallOptions): Promise<number> {
    return this.caller.call('size', { space: this.#space(options) }, options);
  }

  clear(options?: CallOptions): Promise<void> {
    return this.caller.call('clear', { space: this.#space(options) }, options);
  }

  increment(key: string, by: number | bigint = 1, options?: CallOptions): Promise<number | bigint> {
    return this.caller.call('increment', { space: this.#space(options), key, by }, options);
  }

  putIf(key: string, value: Value, expected: Value | undefined, options?: PutOptions): Promise<boolean> {
    const args = { space: this.#space(options), key, value, expected };
    const ttlMs = options?.ttlMs;
    return this.caller.call('putIf', ttlMs === undefined ? args : { ...args, ttlMs }, options);
  }

  expire(key: string, ttlMs: number, options?: CallOptions): Promise<boolean> {
    return this.caller.call('expire', { space: this.#space(options), key, ttlMs }, options);
  }

  ttl(key: string, options?: CallOptions): Promise<number | undefined> {
    return this.caller.call('ttl', { space: this.#space(options), key }, options);
  }

  putMany(entries: readonly PutEntry[], options?: CallOptions): Promise<void> {
    const args = { space: this.#space(options), entries: packEntries(entries) ?? entries };
    return this.caller.call('putMany', args, options);
  }

  getMany(keys: readonly string[], options?: CallOptions): Promise<(Value | undefined)[]> {
    return this.caller
      .call('getMany', { space: this.#space(options), keys }, options)
      .then((packed) => unpackValues(packed, (buffer) => this.caller.giveBack(buffer)));
  }

  deleteMany(keys: readonly string[], options?: CallOptions): Promise<number> {
    return this.caller.call('deleteMany', { space: this.#space(options), keys }, options);
  }

  scan(options: ScanOptions = {}): Scan<Entry> {
    const { signal, timeoutMs, space: _, ...args } = options;
    const open = (): Promise<number> =>
      this.caller.call('scanOpen', { space: this.#space(options), ...args }, pick(signal, timeoutMs));
    return new ScanClient<Entry>(this.caller, open, pick(signal, timeoutMs), options.cursor);
  }

  insertVector(id: VectorId, vector: VectorInput, options?: InsertVectorOptions): Promise<void> {
    const args = { space: this.#space(options), id, vector, ...defined({ metadata: options?.metadata }) };
    return this.caller.call('insertVector', args, options);
  }

  insertVectors(ids: VectorIds, vectors: VectorData, options?: InsertVectorsOptions): Promise<void> {
    const buffer = options?.transfer && vectors?.buffer instanceof ArrayBuffer ? [vectors.buffer] : undefined;
    const args = { space: this.#space(options), ids, vectors, ...defined({ metadata: options?.metadata }) };
    return this.caller.call('insertVectors', args, options, buffer);
  }

  getVector<Vector extends VectorData>(id: VectorId, options?: CallOptions): Promise<Vector | undefined> {
    const answer = this.caller.call('getVector', { space: this.#space(options), id }, options);
    return answer as Promise<Vector | undefined>;
  }

  deleteVector(id: VectorId, options?: CallOptions): Promise<boolean> {
    return this.caller.call('deleteVector', { space: this.#space(options), id }, options);
  }

  deleteVectors(which: VectorIds | { where: Where }, options?: CallOptions): Promise<number> {
    return this.caller.call('deleteVectors', { space: this.#space(options), which }, options);
  }

  getMetadata(id: VectorId, options?: CallOptions): Promise<Metadata | undefined> {
    return this.caller.call('getMetadata', { space: this.#space(options), id }, options);
  }

  updateMetadata(id: VectorId, metadata: Metadata, options?: UpdateMetadataOptions): Promise<boolean> {
    const { replace } = options ?? {};
    const args = { space: this.#space(options), id, metadata, ...defined({ replace }) };
    return this.caller.call('updateMetadata', args, options);
  }

  countVectors(options?: CallOptions & WhereOptions): Promise<number> {
    const args = { space: this.#space(options), ...defined({ where: options?.where }) };
    return this.caller.call('countVectors', args, options);
  }

  scanVectors<Vector extends VectorData>(options: VectorScanOptions = {}): Scan<VectorEntry<Vector>> {
    const { signal, timeoutMs, space: _, ...args } = options;
    const open = (): Promise<number> =>
      this.caller.call('scanVectorsOpen', { space: this.#space(options), ...args }, pick(signal, timeoutMs));
    return new ScanClient<VectorEntry<Vector>>(this.caller, open, pick(signal, timeoutMs), options.cursor);
  }

  searchTopK<Vector extends VectorData>(
    query: VectorInput,
    k = 1,
    options: SearchOptions = {},
  ): Promise<SearchHit<Vector>[]> {
    const { efSearch, nprobe, rerank, oversample, where, includeVectors, includeMetadata, allowPartial } =
      options;
    const chosen = defined({
      efSearch,
      nprobe,
      rerank,
      oversample,
      where,
      includeVectors,
      includeMetadata,
      allowPartial,
    });
    const args = { space: this.#space(options), query, k, ...chosen };
    return this.caller.call('searchTopK', args, options) as Promise<SearchHit<Vector>[]>;
  }

  async searchTopKBatch<Vector extends VectorData>(
    queries: VectorData,
    k = 1,
    options: SearchBatchOptions = {},
  ): Promise<SearchHit<Vector>[][]> {
    const { efSearch, nprobe, rerank, oversample, where, includeVectors, includeMetadata } = options;
    const chosen = defined({ efSearch, nprobe, rerank, oversample, where, includeVectors, includeMetadata });
    const args = { space: this.#space(options), queries, k, ...chosen };
    return unpackHits<Vector>(await this.caller.call('searchTopKBatch', args, options));
  }

  rangeSearch<Vector extends VectorData>(
    query: VectorInput,
    radius: number,
    options: RangeSearchOptions = {},
  ): Promise<SearchHit<Vector>[]> {
    const { limit, where, includeVectors, includeMetadata, allowPartial } = options;
    const chosen = defined({ limit, where, includeVectors, includeMetadata, allowPartial });
    const args = { space: this.#space(options), query, radius, ...chosen };
    return this.caller.call('rangeSearch', args, options) as Promise<SearchHit<Vector>[]>;
  }

  async *rangeSearchPages<Vector extends VectorData>(
    query: VectorInput,
    radius: number,
    options: RangePagesOptions = {},
  ): AsyncGenerator<SearchHit<Vector>[], void, undefined> {
    const { pageSize = 1000, where, includeVectors, includeMetadata } = options;
    const chosen = defined({ where, includeVectors, includeMetadata });
    const args = { space: this.#space(options), query, radius, limit: pageSize, ...chosen };
    for (let last: SearchHit<VectorData> | undefined; ; ) {
      const after = last === undefined ? {} : { after: { id: last.id, distance: last.distance } };
      const page = await this.caller.call('rangeSearch', { ...args, ...after }, options);
      if (page.length > 0) yield page as SearchHit<Vector>[];
      last = page.at(-1);
      if (last === undefined || page.length < pageSize) return;
    }
  }

  reindex(options: ReindexOptions & CallOptions & ProgressOptions): Promise<void> {
    const { indexType, efConstruction } = options;
    const args = { space: this.#space(options), indexType, ...defined({ efConstruction }) };
    return this.caller.call('reindex', args, options);
  }

  waitForIndex(options?: CallOptions & ProgressOptions): Promise<void> {
    return this.caller.call('waitForIndex', { space: this.#space(options) }, options);
  }
}

/** What a pool needs of a connection, and nobody else does: `Database` does not have it. */
export interface SessionControl {
  readonly transport: Transport;
  readonly logger: Logger | undefined;
  /** Of whoever signed in last. */
  readonly token: string | undefined;
  /** Brings the session to this state, and no other. */
  resume(state: SessionState, options?: CallOptions): Promise<void>;
}

export class DatabaseClient extends SpaceClient implements Database {
  readonly #events: EventListeners;
  readonly #transport: Transport;
  readonly #logger: Logger | undefined;
  #token: string | undefined;
  readonly #onCreated: (() => void) | undefined;

  constructor(transport: Transport, logger?: Logger, onCreated?: () => void) {
    super(new Caller(transport, logger), undefined);
    // Not noted in the log: it is what carries the log.
    this.#events = new EventListeners((args) => transport.call('nextEvents', args, {}));
    this.#transport = transport;
    this.#logger = logger;
    this.#onCreated = onCreated;
    transport.listen?.((type, detail) => {
      this.#events.dispatch(type, detail);
      logger?.note('info', type);
    });
  }

  async createSpace(
    name: string,
    engine: EngineKind,
    options: (KeyValueSpaceOptions | VectorSpaceOptions) & CallOptions = {},
  ): Promise<void> {
    const { signal, timeoutMs, space: _, ...rest } = options;
    await this.caller.call('createSpace', { name, engine, options: rest }, pick(signal, timeoutMs));
    this.#onCreated?.();
  }

  deleteSpace(name: string, options?: CallOptions): Promise<void> {
    return this.caller.call('deleteSpace', { name }, options);
  }

  listSpaces(options?: CallOptions): Promise<SpaceInfo[]> {
    return this.caller.call('listSpaces', {}, options);
  }

  useSpace(name: string, options?: CallOptions): Promise<void> {
    return this.caller.call('useSpace', { name }, options);
  }

  describeSpace(name: string, options?: CallOptions): Promise<SpaceDescription> {
    return this.caller.call('describeSpace', { name }, options);
  }

  space(name: string): SpaceCalls {
    return new SpaceClient(this.caller, name);
  }

  addEventListener<Type extends DatabaseEventType>(
    type: Type,
    listener: (event: DatabaseEvent<Type>) => void,
    options?: ListenerOptions,
  ): void {
    this.#events.add(type, listener, options);
  }

  removeEventListener<Type extends DatabaseEventType>(
    type: Type,
    listener: (event: DatabaseEvent<Type>) => void,
  ): void {
    this.#events.remove(type, listener);
  }

  async authenticate(username: string, password: string, options?: CallOptions): Promise<User> {
    const { user, token } = await this.caller.call('authenticate', { username, password }, options);
    this.#token = token;
    return user;
  }

  /** Passes what the engine logs to the logger. */
  followLog(logger: Logger): void {
    this.#events.log(logger.level, (record) => logger.write(record));
  }

  sessionControl(): SessionControl {
    const token = (): string | undefined => this.#token;
    return {
      transport: this.#transport,
      logger: this.#logger,
      get token() {
        return token();
      },
      resume: async (state, options) => {
        this.#token = (await this.caller.call('resumeSession', state, options))?.token;
      },
    };
  }

  createUser(user: NewUser, options?: CallOptions): Promise<void> {
    return this.caller.call('createUser', { user }, options);
  }

  updateUserPassword(username: string, password: string, options?: CallOptions): Promise<void> {
    return this.caller.call('updateUserPassword', { username, password }, options);
  }

  updateUserRole(username: string, role: Role, options?: CallOptions): Promise<void> {
    return this.caller.call('updateUserRole', { username, role }, options);
  }

  updateUserPermissions(username: string, permissions: Permissions, options?: CallOptions): Promise<void> {
    return this.caller.call('updateUserPermissions', { username, permissions }, options);
  }

  deleteUser(username: string, options?: CallOptions): Promise<void> {
    return this.caller.call('deleteUser', { username }, options);
  }

  getUser(username: string, options?: CallOptions): Promise<User | undefined> {
    return this.caller.call('getUser', { username }, options);
  }

  listUsers(options?: CallOptions): Promise<User[]> {
    return this.caller.call('listUsers', {}, options);
  }

  /** What `open` does with its option `admin`. Resolves with whether there was no user before. */
  createFirstAdmin({ username, password }: FirstAdmin): Promise<boolean> {
    return this.caller.call('createFirstAdmin', { username, password });
  }

  changeEncryption(current: Encryption, next: Encryption, options?: CallOptions): Promise<void> {
    return this.caller.call('changeEncryption', { current, next }, options);
  }

  checkpoint(options?: CallOptions): Promise<void> {
    return this.caller.call('checkpoint', {}, options);
  }

  stats(options?: CallOptions): Promise<Stats> {
    return this.caller.call('stats', {}, options);
  }

  verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    const { deep, ...rest } = options;
    return this.caller.call('verify', defined({ deep }), rest);
  }

  exportTo(stream: WritableStream<Uint8Array>, options: ExportOptions = {}): Promise<void> {
    return exportTo(this.caller, stream, options);
  }

  importFrom(stream: ReadableStream<Uint8Array>, options: ImportOptions = {}): Promise<ImportResult> {
    return importFrom(this.caller, stream, options);
  }

  close(): Promise<void> {
    this.caller.closing ??= this.#close();
    return this.caller.closing;
  }

  async #close(): Promise<void> {
    this.#events.close();
    try {
      await this.caller.call('close', {});
    } finally {
      this.caller.release();
    }
    this.#logger?.note('info', 'close');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function pick(signal: AbortSignal | undefined, timeoutMs: number | undefined): CallOptions {
  return defined({ signal, timeoutMs });
}

/** Drops what is `undefined`, so that optional arguments stay absent on the wire. */
function defined<Fields extends Record<string, unknown>>(
  fields: Fields,
): { [F in keyof Fields]?: Exclude<Fields[F], undefined> } {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as { [F in keyof Fields]?: Exclude<Fields[F], undefined> };
}
