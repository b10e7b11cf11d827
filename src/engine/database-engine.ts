/**
 * A database: its catalog, the spaces in memory, and the order in which things happen to them.
 *
 * Rules
 *  * A space is opened when it is first needed, and at most once at a time (`#opening`).
 *  * Mutations go through the commit queue; reads go straight to the resident space, which holds only what is durable.
 *  * Creating and deleting spaces, checkpoints of one space, and letting a space go exclude one another where they touch.
 * One thread: between two awaits nothing else happens.
 */

import type { CallContext, PackedHits } from '../api/calls.ts';
import type { SpaceDescription, SpaceInfo, Stats, Value, VerifyReport } from '../api/database.ts';
import type { Encryption } from '../api/encryption.ts';
import { shibuDbError } from '../api/errors.ts';
import { checksumBy } from '../kernel/checksum.ts';
import type { CoreInstance } from '../kernel/instance.ts';
import type { IdleHolder, MemoryUser } from '../kernel/memory-budget.ts';
import type { Decide } from '../space/conditional.ts';
import type { LargeBytes, SplitPuts } from '../space/large-bytes.ts';
import type { LargeValue } from '../space/large-value.ts';
import type { Need } from '../space/space.ts';
import type { StoredState } from '../storage/backend.ts';
import {
  type Catalog,
  type CatalogEntry,
  emptyCatalog,
  encodeCatalog,
  indexTypeOf,
  soundCatalog,
} from '../storage/catalog.ts';
import type { EncryptedBackend } from '../storage/encryption/encrypted-backend.ts';
import type { Checksum } from '../storage/envelope.ts';
import { BlockBudget, defaultMemoryBudgetBytes } from './block-budget.ts';
import { Checkpoints, isWorthStoring } from './checkpoints.ts';
import { CommitQueue } from './commit-queue.ts';
import type { Compaction } from './compaction.ts';
import { isWorthCompacting } from './compaction-need.ts';
import type { Compactor } from './compactor.ts';
import { describeResident, publicInfo } from './describe.ts';
import { EventHub, watchBackend } from './event-hub.ts';
import type { Indexer } from './indexer.ts';
import type { LargeValues } from './large-values.ts';
import { admit, encryptedBackend } from './open-encrypted.ts';
import { dropOrphans, openResidentSpace } from './open-space.ts';
import { indexingPart, keyValuePart, maintenancePart, secretsPart, vectorsPart } from './parts.ts';
import type { IndexChange } from './reindex.ts';
import { loadEngineOf, type ResidentSpace, type StoredManifests } from './resident-space.ts';
import type { Environment } from './settings.ts';
import { type NewSpace, SpaceCatalog } from './space-catalog.ts';
import { coreKindOf, coreKindsOf } from './space-image.ts';
import type { Sweeper } from './sweeper.ts';
import { ThreadUse } from './thread-use.ts';
import type { Batch } from './threaded-batches.ts';
import type { Upload } from './upload.ts';
import { UserDirectory, withoutSpace } from './users/user-directory.ts';
import type { Compose, PreparedWrite } from './waiting-writes.ts';

export class DatabaseEngine implements MemoryUser {
  readonly users: UserDirectory;
  readonly events: EventHub;
  /** There when what is stored is encrypted. */
  readonly encryption: EncryptedBackend | undefined;
  readonly #environment: Environment;
  readonly #checksum: Checksum;
  readonly #queue: CommitQueue;
  #large: LargeValues | undefined;
  #indexer: Indexer | undefined;
  readonly #threads: ThreadUse;
  #compactor: Compactor | undefined;
  /** When what compacts may be loaded: not again while it is, nor soon after it could not be. */
  #compactorFromMs = Number.NEGATIVE_INFINITY;
  readonly #residents: Map<number, ResidentSpace> = new Map();
  readonly #opening: Map<number, Promise<ResidentSpace>> = new Map();
  /** Those under way: closing, and whatever ends a space, does not wait for their callers. */
  readonly uploads: Set<Upload> = new Set();
  /** Writes accepted while their space was not in memory. */
  readonly #entering: Set<Promise<unknown>> = new Set();
  /** Of large values, by space. */
  readonly #largeWrites: Map<number, Set<Promise<void>>> = new Map();
  readonly #manifests: Map<number, StoredManifests> = new Map();
  readonly #catalog: SpaceCatalog;
  readonly #checkpoints: Checkpoints;
  #sweeperMade: Sweeper | undefined;
  /** Calls that wait for their part of the script: closing lets them begin first. */
  readonly beginning: Set<Promise<unknown>> = new Set();
  #ending: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(
    environment: Environment,
    checksum: Checksum,
    catalog: Catalog,
    { manifests, manifestCopies }: StoredState,
    encryption: EncryptedBackend | undefined,
  ) {
    this.encryption = encryption;
    this.events = new EventHub(() => this.wallClock());
    const backend = watchBackend(environment.backend, (error) =>
      this.events.storageFailed(error, () => environment.backend.estimate()),
    );
    const blockBudget = new BlockBudget(
      environment.memoryBudgetBytes ?? defaultMemoryBudgetBytes,
      environment.settings.blockFramesLeast,
      () => this.#instances(),
    );
    this.#environment = { ...environment, backend, blockBudget };
    this.#checksum = checksum;
    this.#catalog = new SpaceCatalog(catalog, backend, checksum, () => this.#assertOpen());
    for (const id of new Set([...manifests.keys(), ...(manifestCopies?.keys() ?? [])]))
      this.#manifests.set(id, { first: manifests.get(id), copy: manifestCopies?.get(id) });
    const closing = (): boolean => this.#closing !== undefined;
    this.#checkpoints = new Checkpoints(this.#environment, checksum, this.events, {
      closing,
      published: (resident) => this.#keepManifest(resident),
    });
    this.#queue = new CommitQueue(this.#environment, checksum, {
      applied: (resident) => this.#applied(resident),
      pressure: (resident) => this.#checkpoints.pressure(resident),
    });
    this.#threads = new ThreadUse(environment.threads);
    this.users = new UserDirectory({
      store: {
        current: () => this.#catalog.current,
        change: (edit) => this.#catalog.change(() => this.#catalog.write(edit(this.#catalog.current))),
      },
      settings: environment.settings,
      now: environment.now,
      wallClock: () => this.wallClock(),
      scrypt: environment.scrypt,
    });
    environment.memory?.join(this);
  }

  /**
   * Reads the catalog and manifests; spaces are opened when they are needed.
   * @throws CORRUPTION, VERSION_MISMATCH, ENCRYPTED, NOT_ENCRYPTED, INVALID_CREDENTIALS, SCRIPT_UNAVAILABLE
   */
  static async open(environment: Environment): Promise<DatabaseEngine> {
    const checksum = checksumBy(environment.cores, environment.memory);
    const encrypted = await encryptedBackend(environment, checksum);
    const backend = encrypted ?? environment.backend;
    const state = await backend.readState();
    const catalog = soundCatalog(state.catalog, state.catalogCopy, checksum) ?? emptyCatalog;
    // Nobody waits for them yet, but the spaces that are there will need them; who comes to one that failed tries again.
    for (const kind of coreKindsOf(catalog.spaces)) environment.cores.load(kind).catch(() => {});
    for (const entry of catalog.spaces) loadEngineOf(entry).catch(() => {});
    if (encrypted !== undefined) await backend.keepOnly?.(new Set(catalog.spaces.map(({ id }) => id)));
    // Before it is anybody's: users are known from the first call on.
    if (catalog.users !== undefined) await secretsPart.load();
    const engine = new DatabaseEngine({ ...environment, backend }, checksum, catalog, state, encrypted);
    if (catalog.users !== undefined) await engine.users.accounts();
    return engine;
  }

  /** Requires: there is a key-value space. */
  get large(): LargeValues {
    this.#large ??= new keyValuePart.loaded.LargeValues(this.#environment, this.#checksum, {
      exclusively: ({ entry }, work) => this.#checkpoints.exclusively(entry.id, work),
      checkpoint: (resident) => this.#checkpoints.now(resident),
      published: (resident, manifestBytes) => {
        resident.manifests = { first: manifestBytes, copy: manifestBytes };
        this.#keepManifest(resident);
      },
    });
    return this.#large;
  }

  /** The same. */
  get #sweeper(): Sweeper {
    this.#sweeperMade ??= new keyValuePart.loaded.Sweeper(this.#environment, this.events, {
      closing: () => this.#closing !== undefined,
      wallClock: () => this.wallClock(),
      swept: (resident) => this.#checkpoints.whenIdle(resident),
    });
    return this.#sweeperMade;
  }

  /** Of vector spaces; bulk inserts are given way. Requires: there is one. */
  get indexer(): Indexer {
    this.#indexer ??= new vectorsPart.loaded.Indexer(
      this.#environment,
      (resident) => this.#indexed(resident),
      this.#threads,
      ({ entry }, work) => this.#checkpoints.exclusively(entry.id, async () => work()),
    );
    return this.#indexer;
  }

  /** What a space's engine does in the background: vectors are linked, what has expired is removed. */
  #schedule(resident: ResidentSpace): void {
    if (resident.entry.engine === 'vector') this.indexer.schedule(resident);
    else this.#sweeper.schedule(resident);
  }

  #considerCompaction(resident: ResidentSpace): void {
    const { now, settings } = this.#environment;
    this.#compactor?.consider(resident);
    if (this.#compactor !== undefined || !isWorthCompacting(settings, resident)) return;
    if (now() < this.#compactorFromMs) return;
    this.#compactorFromMs = Number.POSITIVE_INFINITY;
    maintenancePart.load().then(
      ({ Compactor }) => {
        if (this.#closing !== undefined) return;
        this.#compactor = new Compactor(this.#environment, (one, compaction) =>
          this.#takeOver(one, compaction),
        );
        this.#compactor.consider(resident);
      },
      () => {
        this.#compactorFromMs = now() + settings.compactPauseMs;
      },
    );
  }

  *#instances(): Generator<CoreInstance, void, undefined> {
    for (const { space, compaction } of this.#residents.values()) {
      yield space.instance;
      if (compaction !== undefined) yield compaction.space.instance;
    }
  }

  // --- catalog ----------------------------------------------------------------------------------------------------

  listSpaces(): SpaceInfo[] {
    this.#assertOpen();
    return this.#catalog.spaces.map(publicInfo);
  }

  /** @throws SPACE_NOT_FOUND */
  entryOf(name: string): CatalogEntry {
    this.#assertOpen();
    return this.#catalog.entryOf(name);
  }

  /** @throws SPACE_EXISTS */
  createSpace(space: NewSpace): Promise<void> {
    return this.#catalog.create(space);
  }

  deleteSpace(name: string): Promise<void> {
    return this.#catalog.change(async () => {
      const { id } = this.entryOf(name);
      const { users, ...catalog } = this.#catalog.current;
      const spaces = catalog.spaces.filter((space) => space.id !== id);
      // Who could read a space must not be able to read the next one of that name.
      const kept = users === undefined ? {} : { users: withoutSpace(users, name) };
      await this.#retire(id, { ...catalog, spaces, ...kept });
    });
  }

  /**
   * Gives a space another index, or the same one made anew; its vectors are found exactly until that is built, in the
   * background. Resolves when the change is stored: memory first, because it may not be there, then the catalog, which is
   * what counts when the space is opened again.
   *
   * @throws OUT_OF_MEMORY, WASM_UNAVAILABLE, and what the backend throws; the space then has its former index
   */
  async reindex({ id, name }: CatalogEntry, change: IndexChange): Promise<void> {
    const { changeIndex, withIndex } = await indexingPart.load();
    return this.#catalog.change(async () => {
      const former = this.entryOf(name);
      if (former.id !== id)
        throw shibuDbError('SPACE_NOT_FOUND', `The space "${name}" was deleted or cleared meanwhile`);
      const entry = withIndex(former, change);
      const resident = await this.#residentFor(former, entry);
      // Blocks must not be dropped while a checkpoint reads them.
      await this.#checkpoints.exclusively(id, async () =>
        changeIndex(resident, entry, change.auto === undefined),
      );
      const spaces = this.#catalog.spaces.map((space) => (space.id === id ? entry : space));
      try {
        await this.#catalog.write({ ...this.#catalog.current, spaces });
        resident.entry = entry;
      } catch (error) {
        await this.#checkpoints.exclusively(id, async () => changeIndex(resident, former, false));
        throw error;
      } finally {
        this.indexer.schedule(resident);
        this.#checkpoints.whenIdle(resident);
      }
      if (change.indexType === 'Auto') this.#decideIndex(resident);
    });
  }

  /**
   * The space in a core that has the index of `next` too: where its own has not, the image is copied into the whole core, which
   * the next checkpoint stores anew. @throws WASM_UNAVAILABLE, OUT_OF_MEMORY
   */
  async #residentFor(entry: CatalogEntry, next: CatalogEntry): Promise<ResidentSpace> {
    const resident = await this.resident(entry);
    assertWritable(resident);
    const { kind = 'whole' } = resident.space.instance.core;
    if (kind === 'whole' || coreKindOf(next) === kind) return resident;
    const core = await this.#environment.cores.load('whole');
    const moved = await this.#atRest(resident, () => {
      resident.threadedLinks?.giveUp();
      const copy = indexingPart.loaded.copyOf(resident, this.#environment, core);
      // What is being made of the former image is in the former core.
      resident.compaction?.giveUp();
      resident.takeOver(copy);
    });
    return moved ? resident : this.#residentFor(entry, next);
  }

  /** Lets in who opens what is open already. @throws ENCRYPTED, NOT_ENCRYPTED, INVALID_CREDENTIALS */
  admit(encryption: Encryption | undefined): Promise<void> {
    return admit(this.encryption, encryption, this.#environment.name);
  }

  /** @throws NOT_ENCRYPTED, INVALID_CREDENTIALS when `current` is wrong */
  changeEncryption(current: Encryption, next: Encryption): Promise<void> {
    return this.#catalog.change(async () => {
      if (this.encryption === undefined)
        throw shibuDbError(
          'NOT_ENCRYPTED',
          `"${this.#environment.name}" is not encrypted: there is no key to change`,
        );
      await this.encryption.changeSecret(current, next, encodeCatalog(this.#catalog.current, this.#checksum));
    });
  }

  /** With indexType `Auto`: picks another index when the number of vectors and the cost of a search ask for it. */
  #decideIndex(resident: ResidentSpace): void {
    const { entry, space } = resident;
    if (entry.indexType !== 'Auto' || resident.readOnly !== undefined || this.#closing !== undefined) return;
    const { decideIndex, isWorthDeciding } = indexingPart.loaded;
    const current = indexTypeOf(entry);
    if (!isWorthDeciding(space.count(), resident.decidedAtCount, current)) return;
    resident.decidedAtCount = space.count();
    const auto = decideIndex(resident.vectors, this.#environment.now, current);
    if (auto.indexType === current && entry.auto?.reason === auto.reason) return;
    // Where it cannot be had, the index stays as it is until there are twice as many vectors.
    this.reindex(entry, { indexType: 'Auto', auto }).catch(() => {});
  }

  /** Empties a space by giving it a new number: what was under the old one goes in the same transaction. */
  clearSpace(name: string): Promise<void> {
    return this.#catalog.change(async () => {
      const { id } = this.entryOf(name);
      const { nextId, spaces } = this.#catalog.current;
      const renumbered = spaces.map((space) => (space.id === id ? { ...space, id: nextId } : space));
      await this.#retire(id, { ...this.#catalog.current, nextId: nextId + 1, spaces: renumbered });
    });
  }

  /** Makes a catalog count in which the space `id` is gone, and drops what was stored of it. */
  async #retire(id: number, catalog: Catalog): Promise<void> {
    // What was submitted before still runs to its end.
    await this.#catalog.writeAfter(() => this.#quiet(id), catalog, [id]);
    const resident = this.#residents.get(id);
    if (resident !== undefined) this.#letGo(resident);
    this.#manifests.delete(id);
  }

  // --- spaces -----------------------------------------------------------------------------------------------------

  /** The space if it is in memory and well: what lets a read answer without waiting. */
  residentNow(entry: CatalogEntry): ResidentSpace | undefined {
    const resident = this.#residents.get(entry.id);
    if (resident === undefined || resident.broken || resident.settling !== undefined) return undefined;
    resident.usedAtMs = this.#environment.now();
    return resident;
  }

  /** The space, brought into memory if need be. @throws CORRUPTION, OUT_OF_MEMORY */
  async resident(entry: CatalogEntry): Promise<ResidentSpace> {
    const now = this.residentNow(entry);
    if (now !== undefined) return now;
    const settling = this.#residents.get(entry.id)?.settling;
    if (settling !== undefined) return settling.then(() => this.resident(entry));
    this.#assertOpen();
    let opening = this.#opening.get(entry.id);
    if (opening === undefined) {
      opening = this.#bringIn(entry).finally(() => this.#opening.delete(entry.id));
      this.#opening.set(entry.id, opening);
    }
    return opening;
  }

  async #bringIn(entry: CatalogEntry): Promise<ResidentSpace> {
    const broken = this.#residents.get(entry.id);
    if (broken !== undefined) {
      // Whatever is still in the queue for it will be rejected; only then is its log complete.
      await this.#quiet(entry.id);
      this.#letGo(broken);
    }
    await this.#makeRoom();
    const startedMs = this.#environment.now();
    const resident = await openResidentSpace(
      this.#environment,
      entry,
      this.#manifests.get(entry.id) ?? noManifests,
      this.#checksum,
    ).catch((error: unknown) => {
      this.events.damaged(error, entry.name);
      throw error;
    });
    resident.usedAtMs = this.#environment.now();
    this.events.spaceOpened(resident, resident.usedAtMs - startedMs);
    for (const { message } of resident.readOnly ?? [])
      this.events.damaged(shibuDbError('CORRUPTION', message), entry.name);
    this.#residents.set(entry.id, resident);
    this.#schedule(resident);
    this.#considerCompaction(resident);
    dropOrphans(this.#environment, resident).catch(() => {});
    return resident;
  }

  /** Lets idle spaces go until one more fits. Those in use stay, whatever the limit says. */
  async #makeRoom(): Promise<void> {
    const { residentSpacesMax } = this.#environment.settings;
    const idle = [...this.#residents.values()].sort((a, b) => a.usedAtMs - b.usedAtMs);
    for (const resident of idle) {
      const full = this.#residents.size >= residentSpacesMax;
      // One of which not all is in memory is opened again in no time.
      const cheap = this.#environment.blockBudget?.used && resident.blocks?.someAbsent;
      if (!full && !cheap) continue;
      const busy = resident.space.pending() > 0 || resident.scans.size > 0 || resident.largeWrites > 0;
      if (busy || resident.broken || resident.compaction !== undefined) continue;
      const usedAtMs = resident.usedAtMs;
      // One that cannot be stored now (a full disk) stays; the one that is wanted is opened all the same.
      await this.checkpoint(resident).catch(() => {});
      await this.#queue.idle();
      const unused = resident.usedAtMs === usedAtMs && resident.largeWrites === 0;
      if (resident.changes === 0 && unused) this.#letGo(resident);
    }
  }

  /** What is in use by nobody, and in storage or its log to the last acknowledged write. */
  *idleHolders(): Generator<IdleHolder> {
    for (const resident of this.#residents.values()) {
      const { entry, space, scans, largeWrites, compaction, changes, usedAtMs } = resident;
      const isUsed = scans.size > 0 || largeWrites > 0 || compaction !== undefined || resident.broken;
      if (isUsed || this.#queue.isUsing(resident) || this.#checkpoints.isRunning(entry.id)) continue;
      if (entry.durability === 'none' && changes > 0) continue;
      yield { holder: space.instance, usedAtMs, letGo: () => this.#letGo(resident) };
    }
  }

  #letGo(resident: ResidentSpace): void {
    const { id } = resident.entry;
    this.#checkpoints.forget(id);
    this.#sweeperMade?.forget(id);
    this.#indexer?.forget(resident);
    for (const scan of resident.scans) scan.lose();
    resident.broken = true;
    resident.space.instance.release();
    if (this.#residents.get(id) === resident) this.#residents.delete(id);
    this.#keepManifest(resident);
  }

  /** Waits until nothing that was begun on the space is under way. */
  async #quiet(id: number): Promise<void> {
    for (const upload of this.uploads) if (upload.entry.id === id) upload.lose();
    await this.#opening.get(id)?.catch(() => {});
    await Promise.all(this.#largeWrites.get(id) ?? []);
    await this.#queue.idle();
    await this.#checkpoints.current(id);
  }

  // --- writes -----------------------------------------------------------------------------------------------------

  /**
   * Makes an operation durable, applies it, and resolves with its outcome. Never keeps a resident across an await: the one
   * that is there when the operation is queued is the only one that may number records.
   *
   * @throws SPACE_NOT_FOUND when the space was deleted meanwhile, OUT_OF_MEMORY
   */
  submit(entry: CatalogEntry, operations: Uint8Array, need: Need): Promise<number> {
    return this.#withResident(entry, (resident) => {
      assertWritable(resident);
      return this.#queue.submit(resident, operations, need);
    });
  }

  /** One put, made at once where it can be (CommitQueue.putNow). False: nothing was done, `put` has to make it. */
  putNow(entry: CatalogEntry, key: string, value: Value, deadlineMs: number | undefined): boolean {
    const resident = this.#findResident(entry);
    if (resident === undefined) return false;
    this.#assertOpen();
    assertWritable(resident);
    return this.#queue.putNow(resident, key, value, deadlineMs);
  }

  /** The same where nobody asks what was there. */
  put(entry: CatalogEntry, operations: Uint8Array, need: Need): Promise<undefined> {
    return this.#withResident(entry, (resident) => {
      assertWritable(resident);
      return this.#queue.put(resident, operations, need);
    });
  }

  /** The same for a write that depends on what is there; resolves with its answer. */
  submitConditional<Answer>(entry: CatalogEntry, decide: Decide<Answer>, need: Need): Promise<Answer> {
    return this.#withResident(entry, (resident) => {
      assertWritable(resident);
      return this.#queue.submitConditional(resident, decide, need);
    });
  }

  /** The same for operations that are made of what is there when their turn comes. */
  submitComposed(
    entry: CatalogEntry,
    compose: (resident: ResidentSpace) => ReturnType<Compose>,
  ): Promise<number> {
    return this.#withResident(entry, (resident) => {
      assertWritable(resident);
      return this.#queue.submitComposed(resident, () => compose(resident));
    });
  }

  /**
   * Stores large values, then makes `write` with the references to them; they are dropped again where it says so or fails.
   * It may take long: until it ends, its space stays in memory, and `close` waits for it.
   */
  submitLarge<Answer>(
    entry: CatalogEntry,
    values: readonly LargeBytes[],
    write: (
      storing: Promise<readonly LargeValue[]>,
      submit: (prepared: Promise<PreparedWrite>) => Promise<unknown>,
    ) => Promise<{ answer: Answer; used: boolean }>,
  ): Promise<Answer> {
    return this.#withResident(entry, (resident) => {
      assertWritable(resident);
      const put = this.large.put(resident, values, (storing) => {
        const stored = storing.then((references) => {
          // It may have been deleted or cleared meanwhile.
          this.#findResident(entry);
          return references;
        });
        return write(stored, (prepared) => this.#queue.submitLater(resident, prepared));
      });
      this.#keepForLarge(resident, put);
      return put;
    });
  }

  /** Puts of which some are large. */
  putLarge(entry: CatalogEntry, puts: SplitPuts, need: Omit<Need, 'bytes'>): Promise<number> {
    return this.submitLarge(entry, puts.large, async (storing, submit) => {
      const prepared = storing.then((stored): PreparedWrite => {
        const operations = puts.encode(stored);
        return { operations, need: { ...need, bytes: operations.length } };
      });
      return { answer: (await submit(prepared)) as number, used: true };
    });
  }

  #keepForLarge(resident: ResidentSpace, put: Promise<unknown>): void {
    const { id } = resident.entry;
    const writes = this.#largeWrites.get(id) ?? new Set();
    this.#largeWrites.set(id, writes);
    const onEnd = (): void => {
      resident.largeWrites--;
      writes.delete(ended);
      this.#entering.delete(ended);
    };
    const ended: Promise<void> = put.then(onEnd, onEnd);
    resident.largeWrites++;
    writes.add(ended);
    this.#entering.add(ended);
  }

  #withResident<Result>(
    entry: CatalogEntry,
    use: (resident: ResidentSpace) => Promise<Result>,
  ): Promise<Result> {
    const resident = this.#findResident(entry);
    if (resident !== undefined) {
      this.#assertOpen();
      return use(resident);
    }
    const work = this.#enter(entry, use);
    const ended = work.then(
      () => {},
      () => {},
    );
    this.#entering.add(ended);
    ended.then(() => this.#entering.delete(ended));
    return work;
  }

  /** Goes on although the database is being closed meanwhile: closing waits for what was accepted before. */
  async #enter<Result>(
    entry: CatalogEntry,
    use: (resident: ResidentSpace) => Promise<Result>,
  ): Promise<Result> {
    await this.resident(entry);
    const resident = this.#findResident(entry);
    return resident === undefined ? this.#enter(entry, use) : use(resident);
  }

  #findResident(entry: CatalogEntry): ResidentSpace | undefined {
    this.#catalog.assertCurrent(entry);
    return this.residentNow(entry);
  }

  #applied(resident: ResidentSpace): void {
    this.#schedule(resident);
    this.#decideIndex(resident);
    this.#considerCompaction(resident);
    this.#checkpoints.consider(resident);
  }

  /** Removes what has expired, up to so many; returns how many. @throws AbsentBlocks */
  sweep(resident: ResidentSpace, most: number): number {
    return this.#sweeper.sweep(resident, most);
  }

  #indexed(resident: ResidentSpace): void {
    this.#considerCompaction(resident);
    this.#checkpoints.whenIdle(resident);
  }

  /**
   * Does `work` where no checkpoint of the space and no group commit is under way. False: it is not wanted any more, or the space
   * or database has ended first.
   */
  async #atRest(resident: ResidentSpace, work: () => void, wanted = (): boolean => true): Promise<boolean> {
    const { id } = resident.entry;
    let done = false;
    while (!done && !resident.broken && wanted() && this.#closing === undefined) {
      await this.#checkpoints.none(id);
      await new Promise<void>((resolve, reject) => {
        this.#queue.between(() => {
          try {
            if (!resident.broken && wanted() && !this.#checkpoints.isRunning(id)) {
              work();
              done = true;
            }
            resolve();
          } catch (error) {
            reject(error);
          }
        });
      });
    }
    return done;
  }

  /** Puts a compacted image in place where no checkpoint and no group commit is under way, and stores it. */
  async #takeOver(resident: ResidentSpace, compaction: Compaction): Promise<boolean> {
    const takeOver = (): void => resident.takeOver(compaction.space);
    const tookOver = await this.#atRest(resident, takeOver, () => !compaction.failed);
    if (!tookOver) return false;
    this.#schedule(resident);
    // If it cannot be stored now, the log goes on from the old image, and the next checkpoint tries again.
    await this.checkpoint(resident).catch(() => {});
    this.events.log('info', 'compacted', { space: resident.entry.name, storedBytes: resident.storedBytes });
    return true;
  }

  /** Stores what changed since the last checkpoint of a space. */
  checkpoint(resident: ResidentSpace): Promise<void> {
    return this.#checkpoints.checkpoint(resident);
  }

  /** Checks what is stored. A checkpoint of a space that is wanted meanwhile waits. */
  async verify(
    deep: boolean,
    signal: AbortSignal | undefined,
    onProgress: CallContext['onProgress'],
  ): Promise<VerifyReport> {
    this.#assertOpen();
    const { verifyDatabase } = await maintenancePart.load();
    const database = {
      environment: this.#environment,
      checksum: this.#checksum,
      spaces: () => {
        this.#assertOpen();
        return this.#catalog.spaces;
      },
      exclusively: <Result>(id: number, work: () => Promise<Result>) =>
        this.#checkpoints.exclusively(id, work),
    };
    return verifyDatabase(database, deep, signal, onProgress);
  }

  get checksum(): Checksum {
    return this.#checksum;
  }

  async checkpointAll(): Promise<void> {
    for (const resident of [...this.#residents.values()]) await this.checkpoint(resident);
  }

  #keepManifest(resident: ResidentSpace): void {
    const { manifests, entry } = resident;
    if (manifests?.first !== undefined) this.#manifests.set(entry.id, manifests);
  }

  // --- facts ------------------------------------------------------------------------------------------------------

  describe(resident: ResidentSpace): SpaceDescription {
    return describeResident(resident);
  }

  async stats(): Promise<Stats> {
    this.#assertOpen();
    const residents = [...this.#residents.values()];
    return {
      name: this.#environment.name,
      build: this.#environment.cores.build,
      storage: this.#environment.backend.kind,
      encrypted: this.encryption !== undefined,
      residentSpaces: residents.length,
      ...this.#threads.describe(),
      memoryBytes: residents.reduce((bytes, { space }) => bytes + space.instance.memoryBytes, 0),
      memoryBudgetBytes: this.#environment.blockBudget?.bytesMax ?? 0,
      ...(await this.#environment.backend.estimate()),
    };
  }

  /** The hits of many queries, group by group, where several threads can find them; else `undefined`. */
  async searchByThreads(resident: ResidentSpace, batch: Batch): Promise<PackedHits[] | undefined> {
    if (this.#threads.now === undefined) return undefined;
    const { searchByThreads } = await indexingPart.load();
    return searchByThreads(this.#environment, this.#threads, resident, batch);
  }

  /** Resolves when the index knows every vector there was at the call. */
  async waitForIndex(
    resident: ResidentSpace,
    onProgress: (done: number, total: number) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const from = resident.linkedEver;
    let done = 0;
    const total = resident.space.pending();
    while (!resident.broken && resident.space.pending() > 0 && resident.linkedEver - from < total) {
      signal?.throwIfAborted();
      this.#assertOpen();
      // Who waits wants it done, however much work that is.
      this.indexer.wake();
      this.indexer.schedule(resident);
      await this.indexer.nextSlice();
      if (resident.linkFailure !== undefined) throw resident.linkFailure;
      // What threads have linked counts for the space when they are done.
      const linked = resident.linkedEver + (resident.threadedLinks?.linked ?? 0) - from;
      done = Math.max(done, Math.min(total, linked));
      onProgress(done, total);
    }
  }

  /** Lets background work go on that `linksPerWakeMax` stopped. */
  wake(): void {
    this.#indexer?.wake();
    for (const resident of this.#residents.values()) this.#schedule(resident);
  }

  /**
   * One step of what timers do elsewhere, for a runtime that lets nothing run on between two events: links that
   * `linksPerWakeMax` held back, expired entries, checkpoints. Spaces with keys are opened for it, since what expires while
   * nobody calls is known by nobody else.
   */
  async tend(): Promise<void> {
    this.wake();
    for (const { id, engine } of this.#catalog.spaces) {
      // As it is by now, if it still is.
      const entry = this.#catalog.spaces.find((one) => one.id === id);
      if (engine !== 'key-value' || entry === undefined) continue;
      // One that cannot be opened says so to whoever uses it; the others are tended all the same.
      await this.resident(entry)
        .then((resident) => this.#sweeper.sweepAll(resident))
        .catch(() => {});
    }
    for (const resident of [...this.#residents.values()])
      if (isWorthStoring(resident)) await this.checkpoint(resident);
  }

  /** When `tend` has something to do, in milliseconds since 1970; `undefined`: not before another call. */
  tendAtMs(): number | undefined {
    const { checkpointIdleMs, sweepMsMin, sweepMsMax } = this.#environment.settings;
    const nowMs = this.wallClock();
    let atMs = Number.POSITIVE_INFINITY;
    for (const resident of this.#residents.values()) {
      const { space, entry, linkFailure } = resident;
      // Without memory for links, another try soon would fail again.
      if (space.pending() > 0)
        atMs = Math.min(atMs, nowMs + (linkFailure === undefined ? sweepMsMin : sweepMsMax));
      else if (isWorthStoring(resident)) atMs = Math.min(atMs, nowMs + checkpointIdleMs);
      if (entry.engine !== 'key-value') continue;
      const deadline = resident.keyValue.nextDeadline();
      if (deadline !== undefined) atMs = Math.min(atMs, Math.max(deadline, nowMs + sweepMsMin));
    }
    return Number.isFinite(atMs) ? atMs : undefined;
  }

  wallClock(): number {
    return (this.#environment.wallClock ?? Date.now)();
  }

  get snapshotBytesMax(): number {
    return this.#environment.settings.snapshotBytesMax;
  }

  get groupBytesMax(): number {
    return this.#environment.settings.groupBytesMax;
  }

  // --- end --------------------------------------------------------------------------------------------------------

  close(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    while (this.beginning.size > 0) await Promise.allSettled(this.beginning);
    this.#closing = this.#shutDown();
    await this.#closing;
  }

  async #shutDown(): Promise<void> {
    this.#checkpoints.stop();
    for (const upload of this.uploads) upload.lose();
    this.users.close();
    await this.#catalog.idle();
    await Promise.allSettled(this.#opening.values());
    await Promise.all(this.#entering);
    await this.#queue.idle();
    await this.#indexer?.stop();
    await this.#compactor?.stop();
    // If a last checkpoint fails, the log has everything that was promised.
    for (const resident of [...this.#residents.values()]) {
      await this.checkpoint(resident).catch(() => {});
      this.#letGo(resident);
    }
    this.#queue.close();
    this.#environment.backend.close();
    this.#environment.memory?.part(this);
  }

  #assertOpen(): void {
    if (this.#closing !== undefined)
      throw shibuDbError('CLOSED', `The database "${this.#environment.name}" is closed`);
  }
}

const noManifests: StoredManifests = { first: undefined, copy: undefined };

function assertWritable({ entry, readOnly }: ResidentSpace): void {
  if (readOnly === undefined) return;
  if (readOnly.length === 0)
    throw shibuDbError(
      'READ_ONLY',
      `Space "${entry.name}" is part of a static snapshot: it can only be read`,
    );
  throw shibuDbError(
    'READ_ONLY',
    `Space "${entry.name}" is damaged and can only be read: ${readOnly[0]?.message}; deleteSpace() or clear() makes room for a sound one`,
    { details: { space: entry.name, faults: readOnly.length } },
  );
}
