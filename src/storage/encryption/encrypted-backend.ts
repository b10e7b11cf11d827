/**
 * Encryption at rest, as a backend over another one: what goes down is encrypted, what comes up is decrypted and
 * authenticated. So every backend has it, and the engine knows nothing of it.
 *
 *  * Encrypting is done before the other backend is called: an IndexedDB transaction would not outlive the wait.
 *  * Catalog, manifests and log records go into an envelope of their own, whose checksum is of the encrypted bytes: a file
 *    backend tells a torn record from a whole one without the key. Blocks are sealed as they are.
 *  * What does not decrypt comes up as no bytes at all: the engine's own checks then find damage there, and treat it as such.
 *
 * Names stay as they are: numbers of spaces, blocks, generations and records, and lengths. docs/encryption.md tells what that
 * gives away, and what an older state put back as a whole does.
 */

import type { Encryption } from '../../api/encryption.ts';
import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import type { PasswordCost, Scrypt } from '../../base/password.ts';
import type {
  BlockName,
  LogEntry,
  StorageBackend,
  StorageEstimate,
  StoredBlock,
  StoredState,
} from '../backend.ts';
import { emptyCatalog, encodeCatalog } from '../catalog.ts';
import {
  type Checksum,
  EnvelopeKind,
  encryptedFlags,
  envelopeHeaderBytes,
  plainFlags,
  seal,
  unsealAny,
} from '../envelope.ts';
import { decodeEncryptedCatalog, encodeEncryptedCatalog, findKeyRecord } from './encrypted-catalog.ts';
import {
  createKey,
  type KeyRecord,
  rewrapKey,
  type Secret,
  type UnlockedKey,
  unlockKey,
} from './key-record.ts';
import { associatedData, blockKind, RecordCipher, type RecordIdentity } from './record-cipher.ts';

export interface EncryptionMeans {
  readonly checksum: Checksum;
  readonly scrypt: Scrypt;
  /** For passwords that are set from now on. */
  readonly cost: PasswordCost;
}

/** Not encrypted by this key, or not what it was encrypted as. */
const unreadable = new Uint8Array(0);

export class EncryptedBackend implements StorageBackend {
  readonly #inner: StorageBackend;
  readonly #means: EncryptionMeans;
  readonly #cipher: RecordCipher;
  /** What opens the database without the secret that it was opened with: for whoever opens it again later. */
  readonly unlocked: UnlockedKey;
  #record: KeyRecord;
  #lastCalled: Promise<void> = Promise.resolve();

  private constructor(inner: StorageBackend, means: EncryptionMeans, key: UnlockedKey, record: KeyRecord) {
    this.#inner = inner;
    this.#means = means;
    this.unlocked = key;
    this.#cipher = new RecordCipher(key.dataKey);
    this.#record = record;
  }

  /**
   * Opens what `inner` keeps; where there is nothing, an encrypted database begins, and its key is stored at once.
   *
   * @throws INVALID_CREDENTIALS for a wrong secret, NOT_ENCRYPTED, CORRUPTION, VERSION_MISMATCH
   */
  static async open(
    inner: StorageBackend,
    secret: Secret,
    means: EncryptionMeans,
  ): Promise<EncryptedBackend> {
    const { catalog, catalogCopy } = await inner.readState();
    const record = findKeyRecord(catalog, catalogCopy, means.checksum);
    if (record !== undefined)
      return new EncryptedBackend(inner, means, await unlockKey(record, secret, means.scrypt), record);
    if ('dataKey' in secret)
      throw shibuDbError(
        'STORAGE_LOST',
        'The encrypted database that was open is gone; open it again to begin anew',
      );
    const made = await createKey(secret, means.scrypt, means.cost);
    const backend = new EncryptedBackend(inner, means, made.key, made.record);
    await backend.writeCatalog(encodeCatalog(emptyCatalog, means.checksum), []);
    return backend;
  }

  /** Holds nothing that is secret. */
  get record(): KeyRecord {
    return this.#record;
  }

  /** @throws INVALID_CREDENTIALS when it is not the secret of this database */
  async verify(secret: Encryption): Promise<void> {
    await unlockKey(this.#record, secret, this.#means.scrypt);
  }

  /** From here on `next` opens the database, and `current` does not. `catalog`: the one that counts. @throws INVALID_CREDENTIALS */
  async changeSecret(current: Encryption, next: Encryption, catalog: Uint8Array): Promise<void> {
    const { scrypt, cost } = this.#means;
    const record = await rewrapKey(this.#record, current, next, scrypt, cost);
    await this.#writeCatalog(record, catalog, []);
    this.#record = record;
  }

  get kind(): StorageBackend['kind'] {
    return this.#inner.kind;
  }

  get epoch(): number {
    return this.#inner.epoch ?? 1;
  }

  get cutLog(): StorageBackend['cutLog'] {
    return this.#inner.cutLog?.bind(this.#inner);
  }

  async readState(): Promise<StoredState> {
    const { catalog, catalogCopy, manifests, manifestCopies } = await this.#inner.readState();
    const [first, copy, all, copies] = await Promise.all([
      this.#openCatalog(catalog),
      this.#openCatalog(catalogCopy),
      this.#openManifests(manifests),
      this.#openManifests(manifestCopies ?? new Map()),
    ]);
    return { catalog: first, catalogCopy: copy, manifests: all, manifestCopies: copies };
  }

  async #openCatalog(bytes: Uint8Array | undefined): Promise<Uint8Array | undefined> {
    if (bytes === undefined) return undefined;
    return (await decodeEncryptedCatalog(bytes, this.#cipher, this.#means.checksum)) ?? unreadable;
  }

  async #openManifests(stored: ReadonlyMap<number, Uint8Array>): Promise<Map<number, Uint8Array>> {
    const opened = Array.from(stored, async ([space, bytes]): Promise<[number, Uint8Array]> => {
      return [space, await this.#openEnvelope(bytes, { kind: EnvelopeKind.Manifest, space })];
    });
    return new Map(await Promise.all(opened));
  }

  async readBlocks(space: number, names: readonly BlockName[]): Promise<(Uint8Array | undefined)[]> {
    const stored = await this.#inner.readBlocks(space, names);
    return Promise.all(
      stored.map(async (bytes, i) => {
        if (bytes === undefined) return undefined;
        const { block, generation } = names[i] as BlockName;
        return (await this.#cipher.open(bytes, blockIdentity(space, block, generation))) ?? unreadable;
      }),
    );
  }

  async readLog(space: number, sequence: number): Promise<LogEntry[]> {
    const entries = await this.#inner.readLog(space, sequence);
    return Promise.all(
      entries.map(async (entry) => ({
        ...entry,
        bytes: await this.#openEnvelope(entry.bytes, logIdentity(entry)),
      })),
    );
  }

  listBlocks(space: number): Promise<BlockName[]> {
    return this.#inner.listBlocks(space);
  }

  async append(entries: readonly LogEntry[], flush: boolean, freeing?: number): Promise<void> {
    const sealed = entries.map(async (entry) => ({
      ...entry,
      bytes: await this.#sealEnvelope(entry.bytes, logIdentity(entry)),
    }));
    await this.#inOrder(Promise.all(sealed), (records) => this.#inner.append(records, flush, freeing));
  }

  flush(): Promise<void> {
    return this.#inOrder(undefined, () => this.#inner.flush());
  }

  /** Calls for the log reach the other backend in the order in which they came, whichever takes longer to encrypt. */
  async #inOrder<Ready>(ready: Ready | Promise<Ready>, call: (ready: Ready) => Promise<void>): Promise<void> {
    const called = Promise.all([ready, this.#lastCalled]).then(([sealed]) => ({ settled: call(sealed) }));
    this.#lastCalled = called.then(
      () => {},
      () => {},
    );
    await (await called).settled;
  }

  async writeBlocks(space: number, blocks: readonly StoredBlock[], freeing?: number): Promise<void> {
    const sealed = blocks.map(async ({ block, generation, bytes }): Promise<StoredBlock> => {
      const identity = blockIdentity(space, block, generation);
      return { block, generation, bytes: await this.#cipher.seal(bytes, identity) };
    });
    await this.#inner.writeBlocks(space, await Promise.all(sealed), freeing);
  }

  async publish(space: number, manifest: Uint8Array, freeing?: number): Promise<void> {
    const identity = { kind: EnvelopeKind.Manifest, space };
    await this.#inner.publish(space, await this.#sealEnvelope(manifest, identity), freeing);
  }

  drop(space: number, blocks: readonly BlockName[], sequence: number): Promise<void> {
    return this.#inner.drop(space, blocks, sequence);
  }

  writeCatalog(catalog: Uint8Array, removed: readonly number[]): Promise<void> {
    return this.#writeCatalog(this.#record, catalog, removed);
  }

  async #writeCatalog(record: KeyRecord, catalog: Uint8Array, removed: readonly number[]): Promise<void> {
    const bytes = await encodeEncryptedCatalog(record, catalog, this.#cipher, this.#means.checksum);
    await this.#inner.writeCatalog(bytes, removed);
  }

  async keepOnly(spaces: ReadonlySet<number>): Promise<void> {
    await this.#inner.keepOnly?.(spaces);
  }

  estimate(): Promise<StorageEstimate> {
    return this.#inner.estimate();
  }

  close(): void {
    this.#inner.close();
  }

  async #sealEnvelope(plain: Uint8Array, identity: RecordIdentity & { kind: 2 | 3 }): Promise<Uint8Array> {
    const sealed = await this.#cipher.seal(plain, associatedData(identity), envelopeHeaderBytes);
    return seal(sealed, identity.kind, this.#means.checksum, encryptedFlags);
  }

  async #openEnvelope(bytes: Uint8Array, identity: RecordIdentity & { kind: 2 | 3 }): Promise<Uint8Array> {
    try {
      const { flags, payload } = unsealAny(bytes, identity.kind, this.#means.checksum, 'The record');
      // One that was put here plain is as bad as any other that the key did not make.
      if (flags === plainFlags) return unreadable;
      return (await this.#cipher.open(payload, associatedData(identity))) ?? unreadable;
    } catch (error) {
      if (isShibuDbError(error) && error.code === 'CORRUPTION') return unreadable;
      throw error;
    }
  }
}

function blockIdentity(space: number, block: number, generation: number): Uint8Array<ArrayBuffer> {
  return associatedData({ kind: blockKind, space, block, generation });
}

function logIdentity({ space, sequence }: LogEntry): RecordIdentity & { kind: 3 } {
  return { kind: EnvelopeKind.Log, space, sequence };
}
