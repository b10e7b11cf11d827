/**
 * The public contract: what a `Database` can do, wherever its engine runs. Types only.
 *
 * Conventions: every method is asynchronous; the last argument is one options bag; a missing key or id is `undefined`,
 * never an error; bad input rejects with a `QueryError` and leaves the data as it was.
 */

import type { EncryptionCalls } from './encryption.ts';
import type { EventCalls } from './events.ts';
import type { Metadata, MetadataField, Where, WhereOptions } from './metadata.ts';
import type { UserCalls } from './users.ts';

export type * from './encryption.ts';
export type * from './events.ts';
export type * from './metadata.ts';
export type * from './users.ts';

/** What every call takes. */
export interface CallOptions {
  /** The space the call works on. Default: the one chosen by `useSpace` (or the handle's own). */
  space?: string;
  /** Give up after so many milliseconds with `TIMEOUT`. Default: no limit. What was acknowledged before stays. */
  timeoutMs?: number;
  /**
   * Gives up with `ABORTED`. A call that is already waiting for the disk may still take effect; long calls (bulk inserts,
   * scans) stop between two chunks and report how much was acknowledged in `details.acknowledged`.
   */
  signal?: AbortSignal;
}

/** How far a long call has come. */
export interface Progress {
  /** Units finished: vectors acknowledged, vectors linked. */
  done: number;
  /** Units in all, as far as known. */
  total: number;
}

/** Of calls that may take long. */
export interface ProgressOptions {
  /** Called now and then while the call runs, never after it has settled. */
  onProgress?: (progress: Progress) => void;
}

/** What a space holds: values by key, in the order of the keys, or vectors by id, by nearness. */
export type EngineKind = 'key-value' | 'vector';

/**
 * What `distance` is, as FAISS defines it: `L2` squared Euclidean, `InnerProduct` the product (larger is nearer), `Cosine`
 * `1 - cosine`, `L1` the sum of |x - y|, `Linf` their maximum, `Lp` the sum of |x - y|^p (no root), `Canberra` the sum of
 * |x - y| / (|x| + |y|), `BrayCurtis` sum |x - y| / sum |x + y|, `JensenShannon` the divergence in nats; a term 0 / 0 is 0.
 * Of bits (`Uint8Array`): `Hamming` how many differ, `Jaccard` 1 - both / either. See docs/indexes.md.
 */
export type Metric =
  | 'L2'
  | 'InnerProduct'
  | 'Cosine'
  | 'L1'
  | 'Linf'
  | 'Lp'
  | 'Canberra'
  | 'BrayCurtis'
  | 'JensenShannon'
  | 'Hamming'
  | 'Jaccard';

/** What may be passed as a metric: the names and their usual short forms. */
export type MetricName = Metric | 'IP' | 'COS';

/** The form in which vectors are measured first: `PQ{m}` has m bytes a vector. */
type CodeType = 'Flat' | 'SQ8' | 'BQ' | `PQ${number}`;

/**
 * How vectors are found. `Flat`: exact scan. `HNSW{M}` (or `HNSW{M},Flat`): graph with `M` links a node and level, 2 to 256.
 * `IVF{nlist}` (or `IVF{nlist},Flat`): posting lists of 1 to 16384 centroids. `SQ8`, `BQ` and `PQ{m}` (or `PQ{m},Flat`): scan
 * of codes of 7 bits or 1 bit a component, or of m bytes a vector, whose best are measured again with the originals; behind
 * `HNSW{M},` or `IVF{nlist},`: such codes in a graph or in lists. m is 1 to 512 and at most the dimension, which it need not
 * divide. `Auto`: `Flat` or a graph, chosen by what a search costs, and again as the space grows and shrinks.
 */
export type IndexType =
  | CodeType
  | `PQ${number},Flat`
  | `HNSW${number}`
  | `IVF${number}`
  | `${'HNSW' | 'IVF'}${number},${CodeType}`
  | 'Auto';

/**
 * `int`: safe integers, and bigints of 64 bits (7 and 7n are one id); `string`: texts of 1 to 1024 bytes of UTF-8.
 */
export type IdKind = 'int' | 'string';

/**
 * What an acknowledgement promises. `strict`: the platform was asked to flush and said it did. `relaxed`: survives a
 * crash of tab or browser; power loss may take the last seconds, always a prefix. `none`: kept at the next checkpoint.
 * `{ everyOps }`, `{ everyMs }`: strict at least that often, relaxed between.
 */
export type Durability = 'strict' | 'relaxed' | 'none' | { everyOps: number } | { everyMs: number };

/** Of `createSpace(name, 'key-value')`. */
export interface KeyValueSpaceOptions {
  /** Default `'strict'`. */
  durability?: Durability;
}

/** Of `createSpace(name, 'vector')`. What cannot be together is refused with `INVALID_ARGUMENT`. */
export interface VectorSpaceOptions {
  /** Number of components of every vector, 1 to 4096; for `Hamming` and `Jaccard` of bits, 1 to 65536. */
  dimension: number;
  /** Default `'Flat'`. */
  indexType?: IndexType;
  /** Default `'L2'`. */
  metric?: MetricName;
  /** The power of metric `Lp`, above 0 and at most 64. Default 2. Refused for other metrics. */
  p?: number;
  /** Kind of the ids: safe integers and bigints of 64 bits, or strings. Default `'int'`. */
  ids?: IdKind;
  /**
   * Where the vectors themselves are kept: `'storage'` keeps only their codes in memory (with `HNSW16,SQ8` some 600 bytes a
   * vector of 384 components instead of 2,100) and reads the originals of the best candidates when it measures them again.
   * Results are the same. For `SQ8` and `HNSW{M},SQ8`; other index types need the originals at hand and are refused.
   * Default `'memory'`.
   */
  originals?: 'memory' | 'storage';
  /** Candidates kept while a vector is linked into an HNSW graph (Malkov & Yashunin), 8 to 4096. Default 128. */
  efConstruction?: number;
  /** Seed of the level generator: same seed, order and build give the same bytes. Default 42. */
  seed?: number;
  /** The fields of metadata that `where` may ask for, at most 64. Default: none. */
  metadataFields?: readonly MetadataField[];
  /** Default `'strict'`. */
  durability?: Durability;
}

/** A space as it was made. What is of vectors is absent in key-value spaces. */
export interface SpaceInfo {
  /** Its name, 1 to 255 characters. */
  name: string;
  /** What it holds. */
  engine: EngineKind;
  /** Components of every vector. */
  dimension?: number;
  /** As it was asked for: `Auto` stays `Auto`; what that has chosen is in `describeSpace().index.chosen`. */
  indexType?: IndexType;
  /** By its full name, whatever alias was used. */
  metric?: Metric;
  /** Of metric `Lp`. */
  p?: number;
  /** Kind of the ids. */
  ids?: IdKind;
  /** There where the vectors are kept in storage. */
  originals?: 'storage';
  /** Where there are any. */
  metadataFields?: readonly MetadataField[];
  /** What an acknowledged write promises. */
  durability: Durability;
}

/** Something stored that is damaged or missing, or that cannot be used. */
export interface StorageFault {
  /** What is damaged. `image`: what its blocks say, though each is as it was written. */
  kind: 'catalog' | 'manifest' | 'block' | 'record' | 'image';
  /** What was found, in words. */
  message: string;
  /** Where: of a block its segment and number, of a log record its number. */
  segment?: number;
  /** Number of the block within its segment. */
  block?: number;
  /** Number of the log record. */
  record?: number;
}

/** How thorough a check is. */
export interface VerifyOptions extends CallOptions, ProgressOptions {
  /**
   * Also goes through every reference inside the images, and applies the log, in an instance of its own: needs the memory of
   * the largest space once more. Default true.
   */
  deep?: boolean;
}

/** What is stored of a space, and what is wrong with it. */
export interface SpaceReport {
  /** The space. */
  name: string;
  /** Blocks that the last checkpoint names. */
  blocks: number;
  /** Bytes of those blocks as they are stored. */
  bytes: number;
  /** Log records behind the last checkpoint. */
  records: number;
  /** What is wrong; empty where nothing is. */
  faults: StorageFault[];
}

/** What a check found. */
export interface VerifyReport {
  /** Nothing is wrong anywhere. */
  ok: boolean;
  /** Every space, in the order of `listSpaces`. */
  spaces: SpaceReport[];
  /** What is wrong with the catalog. */
  faults: StorageFault[];
}

/** Which spaces go into a stream. Progress counts entries and vectors. */
export interface ExportOptions extends CallOptions, ProgressOptions {
  /** Default: all. */
  spaces?: readonly string[];
  /**
   * Whether users are in it too: names, roles, permissions and scrypt of the passwords, which can be tried offline. Default
   * false.
   */
  users?: boolean;
}

/** What an import takes of a stream beside its spaces. Progress counts entries and vectors. */
export interface ImportOptions extends CallOptions, ProgressOptions {
  /**
   * Whether the users of the stream are added, its admins with all their rights: for streams that are trusted. Default
   * false: they are left out.
   */
  users?: boolean;
}

/** What an import made. */
export interface ImportResult {
  /** Names of the spaces, complete and acknowledged. */
  spaces: string[];
  /** Those that were added. */
  users: string[];
}

/** What `Auto` chose, and why. */
export interface IndexChoice {
  /** What searches go through now. */
  indexType: IndexType;
  /** In words, with the numbers it was decided by. */
  reason: string;
}

/** What `reindex` makes of a space. Its vectors, ids and metadata stay. */
export interface ReindexOptions {
  /** The index type there shall be. The one there is: it is made, and trained, anew. */
  indexType: IndexType;
  /** As for `createSpace`. Default: as it is. */
  efConstruction?: number;
}

/** How far the index of a vector space has come. */
export interface IndexState {
  /** Vectors the index knows. */
  linked: number;
  /** Vectors still to be taken in, which searches measure exactly meanwhile. */
  pending: number;
  /**
   * IVF and PQ, which are trained by themselves once there are vectors enough: on how many that was (0: not yet), how many
   * it takes, and how much of the work is done, 0 to 1. Until then searches are exact.
   */
  training?: { trainedOn: number; needs: number; done: number };
  /** How many threads linked the last large number of vectors. Absent: none was linked by several. */
  threads?: number;
  /** With indexType `Auto`: what it is now, and why. */
  chosen?: IndexChoice;
}

/** A space as it is now. */
export interface SpaceDescription extends SpaceInfo {
  /** Entries or vectors that are there. */
  count: number;
  /** Bytes of linear memory the space's instance uses for data. */
  memoryBytes: number;
  /** Bytes in storage: blocks of the last checkpoint and the log since. */
  storedBytes: number;
  /** Vector spaces: vectors the index knows, and those still to be linked (searched exactly meanwhile). */
  index?: IndexState;
  /**
   * There when writes fail with `READ_ONLY`: what is wrong with a damaged space, of which what is intact can be read; nothing,
   * where the database is a static snapshot.
   */
  readOnly?: StorageFault[];
  /** There when the space lies in another database behind the server: what that one keeps, and what it does not. */
  upstream?: UpstreamInfo;
}

/** What a database behind a server really does; docs/bridge.md has the table. What it cannot do is refused with `UNSUPPORTED`. */
export interface UpstreamInfo {
  /** `redis`, `redis-cluster`, `postgres`, `shibudb`, `nubdb`. */
  name: string;
  /** Which of `Durability`'s promises it can keep. */
  durability: string;
  /** Which calls are whole or not at all there. */
  atomicity: string;
  /** The order of scans, and whether they see one moment. */
  order: string;
  /** Kinds of ids it takes. */
  ids: string;
  /** Metrics it measures by. */
  metrics: string;
  /** What becomes of a call whose answer was lost. */
  retries: string;
}

/**
 * What a key holds: text, or bytes. At most 64 MiB of UTF-8 or bytes; it comes back as the type it was put as.
 */
export type Value = string | Uint8Array;

/** A key and its value. */
export interface Entry {
  /** 1 to 4096 bytes of UTF-8. */
  key: string;
  /** Up to 64 MiB. */
  value: Value;
}

/** Of calls that store one value. */
export interface PutOptions extends CallOptions {
  /** Milliseconds after which the key is gone. Default: it stays. A put without it takes an earlier one away. */
  ttlMs?: number;
}

/** An entry to store. */
export interface PutEntry extends Entry {
  /** As in `PutOptions`, for this key. Default: it stays. */
  ttlMs?: number;
}

/** Which keys a scan goes through, and which way. Default: all, in the order of their UTF-8 bytes. */
export interface ScanOptions extends CallOptions {
  /** Only keys that begin with this text. Excludes `start` and `end`. */
  prefix?: string;
  /** First key, inclusive. Default: the first there is. */
  start?: string;
  /** Where to stop, exclusive. Default: after the last. */
  end?: string;
  /** At most so many entries. Default: no limit. */
  limit?: number;
  /** From the last key to the first. Default false. */
  reverse?: boolean;
  /** Goes on where an earlier scan with the same options stopped. */
  cursor?: string;
}

/** An iterable that knows where it stands: pass `cursor` to a later scan to go on behind the last item taken. */
export interface Scan<Item> extends AsyncIterable<Item> {
  /** Stands behind the last item taken; before the first one it is the `cursor` the scan was given, if any. */
  readonly cursor: string | undefined;
  /**
   * The same, thousands at a time as they arrive, never none: waiting once for each item costs more than the item. Short
   * values (to 4 KiB) of a chunk may be views of one buffer, of at most 384 KiB: `slice()` what you hand over or keep for long.
   */
  chunks(options?: ChunksOptions): AsyncIterable<Item[]>;
}

/** Of `Scan.chunks`. */
export interface ChunksOptions {
  /**
   * The bytes of a chunk are needed no longer than until the next chunk is asked for, as with the iterators of LevelDB and RocksDB: its
   * buffer is then used for a later one, which makes scanning values of bytes two to three times as fast. A `Uint8Array` that is kept
   * beyond that is empty (its buffer is detached); keys, texts and vectors stay as they are. Default false.
   */
  reuse?: boolean;
}

/** Integer ids are returned as numbers when safe, else as bigints. */
export type VectorId = number | bigint | string;
/**
 * `Uint8Array`: packed bits, for the metrics `Hamming` and `Jaccard`. Bit i is bit i % 8 of byte i / 8; a vector takes
 * dimension / 8 bytes, rounded up, and the bits of the last byte beyond the dimension are zero.
 */
export type VectorInput = Float32Array | readonly number[] | Uint8Array;
/** A vector as it is stored and given back: `Uint8Array` in spaces of bits, else `Float32Array`. */
export type VectorData = Float32Array | Uint8Array;
/** Ids of one call, in the order of their vectors. */
export type VectorIds = readonly VectorId[] | BigInt64Array;

/** Of `insertVector`. */
export interface InsertVectorOptions extends CallOptions {
  /** Default: none. That of a vector which is replaced is gone in any case. */
  metadata?: Metadata;
}

/** Of `insertVectors`. Progress and `details.acknowledged` count vectors. */
export interface InsertVectorsOptions extends CallOptions, ProgressOptions {
  /** One for each vector, in their order; `undefined` or `null` for a vector without. Default: none has any. */
  metadata?: readonly (Metadata | null | undefined)[];
  /** Hand the buffer of the packed vectors over instead of copying it: it is detached afterwards. Default false. */
  transfer?: boolean;
}

/** Of `updateMetadata`. */
export interface UpdateMetadataOptions extends CallOptions {
  /** The new metadata takes the place of what was there. Default false: its fields are set, the others stay. */
  replace?: boolean;
}

/**
 * How hard a search tries, among which vectors, and what comes with the hits. See docs/indexes.md for figures.
 */
export interface SearchOptions extends CallOptions, WhereOptions {
  /** HNSW: size of the candidate pool, at least k; more is slower and finds more. Default max(64, k). */
  efSearch?: number;
  /** IVF: lists looked through, the nearest ones; more is slower and finds more. Default 3 sqrt(nlist). */
  nprobe?: number;
  /**
   * SQ8, BQ and PQ: measure the best candidates again with the original vectors, so that distances are exact. Default true.
   * Without it distances are those of the codes: estimates for SQ8 and PQ, the number of differing bits for BQ (for
   * InnerProduct its negative).
   */
  rerank?: boolean;
  /**
   * SQ8, BQ and PQ: candidates measured again for each hit asked for, 1 to 1000. Default: SQ8 2; BQ 14500 / dimension, 45
   * to 1000; PQ dimension / m, 8 to 1000; for at least 10 hits; never more than an `efSearch` that is given.
   */
  oversample?: number;
  /** Return each hit's vector too. Default false. */
  includeVectors?: boolean;
  /** Return each hit's metadata too, `{}` where it has none. Default false. */
  includeMetadata?: boolean;
  /** Sharded spaces: be content with the hits of the shards that answer, instead of `PARTIAL_RESULT`. Default false. */
  allowPartial?: boolean;
}

/** `signal` is seen between groups of 32 queries. */
export interface SearchBatchOptions extends SearchOptions, ProgressOptions {}

/** Of `rangeSearchPages`. */
export interface RangePagesOptions extends CallOptions, WhereOptions {
  /** Hits of one page, the last one may have fewer. Default 1000, at most 1,048,576. */
  pageSize?: number;
  /** Return each hit's vector too. Default false. */
  includeVectors?: boolean;
  /** Return each hit's metadata too, `{}` where it has none. Default false. */
  includeMetadata?: boolean;
}

/** Of `rangeSearch`. */
export interface RangeSearchOptions extends CallOptions, WhereOptions {
  /** At most so many hits, the best ones. Default 10000. */
  limit?: number;
  /** Return each hit's vector too. Default false. */
  includeVectors?: boolean;
  /** Return each hit's metadata too, `{}` where it has none. Default false. */
  includeMetadata?: boolean;
  /** As for `searchTopK`. */
  allowPartial?: boolean;
}

/** One result, best first; ties by id. `distance` is what `Metric` says. */
export interface SearchHit<Vector extends VectorData = Float32Array> {
  /** Of the kind the space has. */
  id: VectorId;
  /** Smaller is nearer, except for `InnerProduct`, where larger is. Exact, unless `rerank` is false. */
  distance: number;
  /** As it was put, with `includeVectors`. */
  vector?: Vector;
  /** With `includeMetadata`. */
  metadata?: Metadata;
}

/** Which vectors a scan goes through. Default: all, in the order of their ids. */
export interface VectorScanOptions extends CallOptions, WhereOptions {
  /** At most so many. Default: no limit. */
  limit?: number;
  /** Goes on behind the last item of an earlier scan. */
  cursor?: string;
}

/** A vector of a scan. */
export interface VectorEntry<Vector extends VectorData = Float32Array> {
  /** Of the kind the space has. */
  id: VectorId;
  /** As it was put: `dimension` components, or packed bits. */
  vector: Vector;
  /** Where the vector has any. */
  metadata?: Metadata;
}

/** How a page of several on one database reaches the worker that owns it. */
export interface TabStats {
  /** `owner`: the worker is this page's own. */
  role: 'owner' | 'client';
  /** Grows by one whenever another worker takes the database over. */
  epoch: number;
  /** How calls get there: to the page's own worker, through a port that a SharedWorker passed on, or over a BroadcastChannel. */
  way: 'worker' | 'port' | 'channel';
  /** What the browser offers. Without Web Locks the end of an owner is noticed late, by its silence. */
  webLocks: boolean;
  /** Without a SharedWorker calls are copied once more, and every value with them. */
  sharedWorker: boolean;
  /** Without BroadcastChannel only one page at a time can have the database open. */
  broadcastChannel: boolean;
}

/** A database as it is now. What a platform lacks is absent, or says so. */
export interface Stats {
  /** As it was opened by. */
  name: string;
  /** In a browser, with storage that several pages share. */
  tabs?: TabStats;
  /** The WASM build in use. */
  build: 'simd128' | 'relaxed';
  /** Where the data is kept. */
  storage: 'indexeddb' | 'memory' | 'files' | 'durable-object' | 'static';
  /** Whether what is stored is encrypted; absent where that is not known. */
  encrypted?: boolean;
  /** Spaces whose data is in memory now. */
  residentSpaces: number;
  /** Linear memory of their instances, in bytes. */
  memoryBytes: number;
  /** What it is kept to where that can be done by dropping what can be read again (`open(…, { memoryBudgetBytes })`). */
  memoryBudgetBytes?: number;
  /** Threads that link large numbers of new vectors; 1 where there are no helpers to be had, or none are wanted. */
  threads?: number;
  /** Why it is 1 although more were wanted: what went wrong when they were last used. */
  threadsFailure?: string;
  /** The browser's own estimate for the whole origin, where it gives one. */
  usageBytes?: number;
  /** What the browser allows the whole origin, by the same estimate, in bytes. */
  quotaBytes?: number;
  /** Whether the browser promised not to evict the origin's data, where it says. */
  persisted?: boolean;
}

/** The calls that work on one space. */
export interface SpaceCalls {
  /**
   * Stores `value` under `key`, replacing what was there. Resolves when it is as durable as the space promises.
   * @throws INVALID_ARGUMENT for an empty key, a key over 4096 bytes (UTF-8) or a value over 64 MiB
   */
  put(key: string, value: Value, options?: PutOptions): Promise<void>;
  /**
   * The value, of the type it was put as; `undefined` if there is none. Short bytes (to 4 KiB) may be a view of a buffer, of at most
   * 384 KiB, with other values you got: `slice()` what you hand over or keep for long.
   */
  get(key: string, options?: CallOptions): Promise<Value | undefined>;
  /**
   * The bytes of a value (UTF-8 of a text) as a stream, in parts of up to 1 MiB that are read as they are asked for;
   * `undefined` if there is none. Nothing is held open: cancel it or leave it. `signal` and `timeoutMs` are for each part.
   * The stream fails with `SNAPSHOT_LOST` when the value was replaced or deleted before its end.
   */
  getStream(key: string, options?: CallOptions): Promise<ReadableStream<Uint8Array> | undefined>;
  /**
   * Stores what a stream or a `Blob` gives, without ever having all of it in memory: bytes, or a text where its chunks are
   * strings. It is put at once when the stream has ended, like `put`: until then, and where the stream fails, nothing is
   * seen of it, and other writes do not wait. A stream that is given is used up, or cancelled. `ttlMs` counts from the end.
   * @throws INVALID_ARGUMENT past 64 MiB, for more than 16 at a time, for chunks that are neither; what the stream throws
   */
  putStream(
    key: string,
    source: ReadableStream<Uint8Array | string> | Blob,
    options?: PutOptions,
  ): Promise<void>;
  /** Whether there was something to delete. */
  delete(key: string, options?: CallOptions): Promise<boolean>;
  /** Whether the key has a value, which is not read. */
  exists(key: string, options?: CallOptions): Promise<boolean>;
  /** Number of keys. */
  size(options?: CallOptions): Promise<number>;
  /** Deletes every key, at once or not at all, and gives their memory back. */
  clear(options?: CallOptions): Promise<void>;
  /**
   * Adds `by` (default 1, may be negative) to the decimal integer stored under `key` and resolves with the sum. A missing
   * key counts as 0. Atomic, whoever else writes. The sum is a number where that is exact, else a bigint.
   * @throws NOT_A_NUMBER when something else is stored there, OVERFLOW past 64 bits; nothing is changed
   */
  increment(key: string, by?: number | bigint, options?: CallOptions): Promise<number | bigint>;
  /**
   * Stores `value` only if the key's value is `expected` (same type, same contents); `undefined` expects that there is none.
   * Resolves with whether it was stored. Atomic.
   */
  putIf(key: string, value: Value, expected: Value | undefined, options?: PutOptions): Promise<boolean>;
  /**
   * Gives a key `ttlMs` from now to live; `Infinity` lets it stay. Resolves with whether there is such a key. By the wall
   * clock, exact on every read; expired keys are removed in the background.
   */
  expire(key: string, ttlMs: number, options?: CallOptions): Promise<boolean>;
  /** Milliseconds the key has left; `Infinity` when it stays, `undefined` when there is none. */
  ttl(key: string, options?: CallOptions): Promise<number | undefined>;
  /** Stores all or none. @throws INVALID_ARGUMENT when keys and values have more than 16 MiB together */
  putMany(entries: readonly PutEntry[], options?: CallOptions): Promise<void>;
  /**
   * The values in the order of the keys, all of one moment. Short ones (to 4 KiB) may be views of one buffer, of at most
   * 384 KiB: `slice()` what you hand over or keep for long. @throws INVALID_ARGUMENT past 16 MiB of keys or values
   */
  getMany(keys: readonly string[], options?: CallOptions): Promise<(Value | undefined)[]>;
  /** Deletes all or none; resolves with how many there were. */
  deleteMany(keys: readonly string[], options?: CallOptions): Promise<number>;
  /**
   * Entries in the order of their keys' UTF-8 bytes. A stable snapshot: what is written after the first item was asked
   * for is not seen, within a budget of 16 MiB; beyond it the scan ends with `SNAPSHOT_LOST` and a cursor in `details`.
   */
  scan(options?: ScanOptions): Scan<Entry>;

  /**
   * Stores one vector; an existing id is replaced, its metadata included. Searchable when it resolves; HNSW links it in the
   * background and searches it exactly until then.
   * @throws INVALID_ARGUMENT for a wrong dimension, NaN or infinity, an id of the other kind, or metadata whose value is not
   * of its field's type
   */
  insertVector(id: VectorId, vector: VectorInput, options?: InsertVectorOptions): Promise<void>;
  /**
   * Stores many: `vectors` holds `ids.length * dimension` components (or the packed bits), row after row. Atomic per chunk; `onProgress` and
   * `details.acknowledged` of a failure tell the acknowledged prefix. The buffer stays the caller's unless `transfer`.
   */
  insertVectors(ids: VectorIds, vectors: VectorData, options?: InsertVectorsOptions): Promise<void>;
  /** The vector bit for bit as it was put; `undefined` if there is none. In a space of bits say `getVector<Uint8Array>`. */
  getVector<Vector extends VectorData = Float32Array>(
    id: VectorId,
    options?: CallOptions,
  ): Promise<Vector | undefined>;
  /** Whether there was one to delete. It is never returned again. */
  deleteVector(id: VectorId, options?: CallOptions): Promise<boolean>;
  /**
   * Deletes all or none of these ids, or every vector that `where` holds for; resolves with how many there were. With `where`
   * vectors are deleted in batches of 100,000, each atomic; what is written meanwhile is seen as a whole or not at all.
   * @throws INVALID_ARGUMENT when ids take more than 16 MiB
   */
  deleteVectors(which: VectorIds | { where: Where }, options?: CallOptions): Promise<number>;
  /** The vector's metadata, `{}` when it has none; `undefined` if there is no such vector. */
  getMetadata(id: VectorId, options?: CallOptions): Promise<Metadata | undefined>;
  /**
   * Sets fields of a vector's metadata and leaves the others as they are; `null` takes a field away. With `replace` the new
   * metadata takes the place of the old. Atomic. Resolves with whether there is such a vector.
   * @throws INVALID_ARGUMENT when a value is not of its field's type, or all of it together is over 64 KiB
   */
  updateMetadata(id: VectorId, metadata: Metadata, options?: UpdateMetadataOptions): Promise<boolean>;
  /** How many vectors there are, or for how many `where` holds. */
  countVectors(options?: CallOptions & WhereOptions): Promise<number>;
  /** All vectors in the order of their ids (numbers by value, strings by bytes); a stable snapshot as in `scan`. */
  scanVectors<Vector extends VectorData = Float32Array>(
    options?: VectorScanOptions,
  ): Scan<VectorEntry<Vector>>;
  /**
   * The `k` nearest, or the nearest of those that `where` holds for; fewer only when there are fewer. Default k = 1.
   * @throws INVALID_ARGUMENT for a `where` that does not parse (`details.position` says where), whose field is not one of
   * `metadataFields`, or whose value is not of the field's type
   */
  searchTopK<Vector extends VectorData = Float32Array>(
    query: VectorInput,
    k?: number,
    options?: SearchOptions,
  ): Promise<SearchHit<Vector>[]>;
  /**
   * What `searchTopK` answers for each query, in their order. `queries` holds any number of vectors, row after row, as
   * `insertVectors` takes them. Where the originals are scanned (Flat, and filters few match) all queries share the pass, which
   * is several times as fast. Not one moment: writes between two groups of 32 queries are seen by the later one.
   * @throws INVALID_ARGUMENT as `searchTopK`, or for more than 1,048,576 hits (queries times k)
   */
  searchTopKBatch<Vector extends VectorData = Float32Array>(
    queries: VectorData,
    k?: number,
    options?: SearchBatchOptions,
  ): Promise<SearchHit<Vector>[][]>;
  /** All within `radius` (strictly; above it for InnerProduct), best first. Exact for every index type. */
  rangeSearch<Vector extends VectorData = Float32Array>(
    query: VectorInput,
    radius: number,
    options?: RangeSearchOptions,
  ): Promise<SearchHit<Vector>[]>;
  /**
   * Everything `rangeSearch` finds, however much, best first, a page at a time: neither side ever holds more than a page. Every
   * page scans the space once; what is written between two pages is seen if it lies behind the last hit.
   */
  rangeSearchPages<Vector extends VectorData = Float32Array>(
    query: VectorInput,
    radius: number,
    options?: RangePagesOptions,
  ): AsyncIterable<SearchHit<Vector>[]>;
  /**
   * Gives the space another index type, or makes the index anew. Other calls go on meanwhile: searches are exact until
   * the new index knows the vectors, then use it. Resolves when it does; an abort before the change is stored leaves the space as
   * it was, a later one only ends the waiting. With users it takes an admin.
   * @throws INVALID_ARGUMENT, OUT_OF_MEMORY, READ_ONLY; the space then has its former index
   */
  reindex(options: ReindexOptions & CallOptions & ProgressOptions): Promise<void>;
  /** Resolves when the index knows every vector there was when the call was made. Flat: at once. */
  waitForIndex(options?: CallOptions & ProgressOptions): Promise<void>;
}

/**
 * A database, wherever it is: in a worker, in this process, or behind a connection. Every call may fail with `CLOSED`, `ABORTED` (its
 * `signal`) and `TIMEOUT` (its `timeoutMs`); with users also with `NOT_AUTHENTICATED` and `PERMISSION_DENIED`.
 *
 * What is passed to a call is the caller's again as soon as the call returns, before its promise is settled: one array may hold one vector
 * after another. Of a view nothing but its own part is copied.
 */
export interface Database extends SpaceCalls, UserCalls, EventCalls, EncryptionCalls, AsyncDisposable {
  /** @throws SPACE_EXISTS, INVALID_ARGUMENT */
  createSpace(name: string, engine: 'key-value', options?: KeyValueSpaceOptions & CallOptions): Promise<void>;
  /** As above. The dimension cannot be changed later; the index type can, by `reindex`. */
  createSpace(name: string, engine: 'vector', options: VectorSpaceOptions & CallOptions): Promise<void>;
  /** Deletes the space and all its data. @throws SPACE_NOT_FOUND */
  deleteSpace(name: string, options?: CallOptions): Promise<void>;
  /** All spaces, in the order they were made. */
  listSpaces(options?: CallOptions): Promise<SpaceInfo[]>;
  /** Makes `name` the space of later calls on this object that name none. @throws SPACE_NOT_FOUND */
  useSpace(name: string, options?: CallOptions): Promise<void>;
  /** How many entries or vectors there are, and what they take. @throws SPACE_NOT_FOUND */
  describeSpace(name: string, options?: CallOptions): Promise<SpaceDescription>;
  /** A handle bound to one space; the same methods. Cheap; no call is made. */
  space(name: string): SpaceCalls;
  /** Writes everything since the last checkpoint as blocks and drops the log. Happens by itself when it pays. */
  checkpoint(options?: CallOptions): Promise<void>;
  /** What the database takes, and what the platform gives it. Makes nothing and opens nothing. */
  stats(options?: CallOptions): Promise<Stats>;
  /** Checks everything that is stored and reports what is damaged. Changes nothing; progress counts blocks. */
  verify(options?: VerifyOptions): Promise<VerifyReport>;
  /**
   * Writes spaces, all by default, as one stream of bytes (docs/format.md), and closes it; aborts it on failure. At most one
   * frame of about 1 MiB is in memory. Others may write meanwhile: what they write may be in the stream or not. Users are
   * in it if asked for.
   *
   * @throws SPACE_NOT_FOUND; whatever the stream fails with
   */
  exportTo(stream: WritableStream<Uint8Array>, options?: ExportOptions): Promise<void>;
  /**
   * Reads such a stream. Nothing in it is trusted. Spaces get the names they had; where one is taken nothing is imported.
   * What was acknowledged before a failure stays: `details.acknowledged` counts entries and vectors. Users, if they are asked for,
   * are added to those there are when all else is stored, all or none; a name that is taken is refused before anything is
   * imported. Where there were none, every call needs `authenticate` from then on.
   *
   * @throws CORRUPTION, VERSION_MISMATCH, SPACE_EXISTS, USER_EXISTS; whatever the stream fails with
   */
  importFrom(stream: ReadableStream<Uint8Array>, options?: ImportOptions): Promise<ImportResult>;
  /** Finishes what was accepted, checkpoints, and frees everything. May be called twice. Later calls fail: `CLOSED`. */
  close(): Promise<void>;
}
