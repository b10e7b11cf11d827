/**
 * Where bytes are kept: what every storage backend offers the engine. A backend sees bytes and names, never vectors or
 * keys; whether the bytes are right is checked above it, by checksum.
 *
 * Large values need nothing of their own from a backend: they are blocks of segment 7 (engine/large-values.ts), written by
 * `writeBlocks` and named by manifests published between checkpoints, with the generation the next checkpoint will have.
 *
 * Every method that writes is one transaction: whole or not at all. A method rejects with a `ShibuDbError`
 * (`QUOTA_EXCEEDED`, `STORAGE_FAILED`, `CLOSED`; `NOT_OWNER` when another has taken the storage over: nothing was written).
 */

/** Names one stored version of a block: `block` is segment << 24 | index, `generation` the checkpoint that wrote it. */
export interface BlockName {
  readonly block: number;
  readonly generation: number;
}

export interface StoredBlock extends BlockName {
  readonly bytes: Uint8Array;
}

/** One record of a space's write-ahead log. `sequence` grows by one from record to record. */
export interface LogEntry {
  readonly space: number;
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

/** What is found when a database is opened. */
export interface StoredState {
  readonly catalog: Uint8Array | undefined;
  readonly manifests: ReadonlyMap<number, Uint8Array>;
  /** Second copies, written with the first: damage to one of the two makes nothing unreachable. */
  readonly catalogCopy?: Uint8Array | undefined;
  readonly manifestCopies?: ReadonlyMap<number, Uint8Array>;
}

export interface StorageEstimate {
  usageBytes?: number;
  quotaBytes?: number;
  persisted?: boolean;
}

export interface StorageBackend {
  readonly kind: 'indexeddb' | 'memory' | 'files' | 'durable-object' | 'static';
  /**
   * Why nothing can be written, where nothing can. Such images come from elsewhere: each is checked to its last reference
   * before it is used.
   */
  readonly readOnly?: string;
  /** Number of the owner, where storage can change hands: manifests are stamped with it. Default 1. */
  readonly epoch?: number;
  /** Reading a block is dear, as over a network: an image is not read when its space is opened but as far as it is used. */
  readonly lazy?: boolean;

  readState(): Promise<StoredState>;
  /** Bytes by block, in the order asked for; `undefined` where there is none. */
  readBlocks(space: number, names: readonly BlockName[]): Promise<(Uint8Array | undefined)[]>;
  /** The space's log records from `sequence` on, in order. */
  readLog(space: number, sequence: number): Promise<LogEntry[]>;
  /** Names of all stored blocks of a space: what no manifest names is an orphan of an interrupted checkpoint. */
  listBlocks(space: number): Promise<BlockName[]>;

  /**
   * Appends to the logs of one or more spaces in one transaction; `flush` asks the platform to reach the disk. `freeing`, here and
   * below: how many bytes this and what follows will write until room is given back. Within bounds it may then use room that is
   * kept for that (quota-reserve.ts).
   */
  append(entries: readonly LogEntry[], flush: boolean, freeing?: number): Promise<void>;
  /**
   * The same for one record, unflushed, where it is kept when this returns: then a write by itself need not wait for others to
   * share a transaction with. The record's bytes are not there any more when it has returned. Not there where appending takes time.
   */
  readonly appendNow?: ((entry: LogEntry) => void) | undefined;
  /**
   * Drops all records of the space from `sequence` on, flushed. Where it is there, a power loss may take an unflushed record and
   * leave a later one.
   */
  readonly cutLog?: ((space: number, sequence: number) => Promise<void>) | undefined;
  /** Asks the platform to bring to the disk whatever was appended without `flush`. */
  flush(): Promise<void>;
  /** Writes blocks under names that no manifest holds yet. Needs no flush: `publish` covers it. */
  writeBlocks(space: number, blocks: readonly StoredBlock[], freeing?: number): Promise<void>;
  /** Replaces the space's manifest, flushed. From here on the new blocks count. */
  publish(space: number, manifest: Uint8Array, freeing?: number): Promise<void>;
  /** Drops blocks and the log records before `sequence`: what the published manifest no longer needs. */
  drop(space: number, blocks: readonly BlockName[], sequence: number): Promise<void>;

  /** Replaces the catalog and, in the same transaction, drops all of the spaces in `removed`. Flushed. */
  writeCatalog(catalog: Uint8Array, removed: readonly number[]): Promise<void>;

  /**
   * Removes what is left of spaces whose removal was cut short: all but `spaces`. Where it is part of the catalog's
   * transaction there is nothing left, and no such method.
   */
  keepOnly?(spaces: ReadonlySet<number>): Promise<void>;

  estimate(): Promise<StorageEstimate>;
  /** Waits for nothing: what is under way finishes or fails by itself. */
  close(): void;
}
