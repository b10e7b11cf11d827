/**
 * The documents of one database: their records, passages and vectors.
 *
 * Every change is ordered so that a page killed at any moment leaves something the next start can finish: a document
 * is recorded before its first passage, counted as indexed after its vectors are acknowledged, and marked for
 * deletion before its first vector goes. Inserting a vector twice replaces it, so a chunk may be repeated.
 *
 * Changes run one at a time through `tabs.change`, over all tabs that have the notes open: deleting a document cannot slip
 * between the two halves of indexing a chunk of it. Each begins with the record as it is stored; the ones in memory are for
 * showing, and follow what other tabs tell. Reads and searches wait for nothing.
 */

import {
  type Database,
  type IndexType,
  isShibuDbError,
  type SearchHit,
  type SpaceDescription,
  type Stats,
} from 'shibumi';
import type { TextFormat } from '../text/chunker.ts';
import { passagesOf } from '../text/chunker.ts';
import { contentHash, RefusedFile, type TextFile } from '../text/files.ts';
import {
  DOCUMENT_PREFIX,
  type DocumentRecord,
  documentKey,
  type PassageRecord,
  passageKey,
  placeOf,
  settingKey,
  vectorId,
} from './records.ts';
import type { News, Tabs } from './tabs.ts';

const DOCUMENTS = 'documents';
/** Writes under way at once: they share commits, so a hundred cost little more than one. */
const WRITES_AT_ONCE = 256;

/**
 * Candidates an HNSW search keeps. Four times the default, for well under a millisecond more: the one note about
 * something else, among thousands of passages that resemble each other, is found at 256 and was missed at 64.
 */
const EF_SEARCH = 256;

export interface VectorSpace {
  readonly name: string;
  readonly dimension: number;
  readonly indexType: IndexType;
}

export interface FoundPassage {
  readonly document: DocumentRecord;
  readonly passage: PassageRecord;
  /** `1 - cosine`: 0 for the same direction, 1 for unrelated. */
  readonly distance: number;
}

/** What became of a file that was given: indexed anew, known already, or put in place of an older version. */
export type StoreOutcome = 'added' | 'unchanged' | 'changed';

export class Library {
  readonly #db: Database;
  readonly #tabs: Tabs;
  readonly #documents = new Map<number, DocumentRecord>();
  /** Called when another tab has changed something. */
  onChange: () => void = () => {};
  /** Called when another tab is about to delete everything: the database has to be closed. */
  onForgetting: () => void = () => {};

  private constructor(db: Database, tabs: Tabs) {
    this.#db = db;
    this.#tabs = tabs;
  }

  /** Reads the records; half-stored documents and unfinished deletions are cleared away and named. */
  static async open(db: Database, tabs: Tabs): Promise<{ library: Library; lost: string[] }> {
    const spaces = await db.listSpaces();
    if (!spaces.some((space) => space.name === DOCUMENTS))
      await db.createSpace(DOCUMENTS, 'key-value').catch(ignoreExisting);
    const library = new Library(db, tabs);
    // Before anything is read, so that nothing is missed.
    tabs.onNews = (news) => library.#learn(news);
    for await (const { value } of db.scan({ space: DOCUMENTS, prefix: DOCUMENT_PREFIX })) {
      const record = JSON.parse(String(value)) as DocumentRecord;
      library.#documents.set(record.id, record);
    }
    const lost: string[] = [];
    await tabs.ifNobodyImports(async () => {
      for (const { id } of [...library.#documents.values()].filter(({ state }) => state !== 'stored')) {
        // As it is now: the tab that was importing it may have come to its end.
        const record = await library.#read(id);
        if (record === undefined || record.state === 'stored') continue;
        if (record.state === 'importing') lost.push(record.name);
        await library.delete(id);
      }
    });
    return { library, lost };
  }

  #learn(news: News): void {
    switch (news.type) {
      case 'record':
        this.#documents.set(news.record.id, news.record);
        break;
      case 'deleted':
        this.#documents.delete(news.document);
        break;
      case 'forgetting':
        this.onForgetting();
        return;
      case 'forgotten':
        location.reload();
        return;
    }
    this.onChange();
  }

  /** What to agree on with other tabs. */
  get tabs(): Tabs {
    return this.#tabs;
  }

  /** Documents whose text is whole, oldest first. */
  get documents(): DocumentRecord[] {
    return [...this.#documents.values()]
      .filter((record) => record.state === 'stored')
      .sort((a, b) => a.id - b.id);
  }

  get passageCount(): number {
    return this.documents.reduce((sum, record) => sum + record.passageCount, 0);
  }

  document(id: number): DocumentRecord | undefined {
    return this.#documents.get(id);
  }

  async setting(name: string): Promise<string | undefined> {
    const value = await this.#db.get(settingKey(name), { space: DOCUMENTS });
    return value === undefined ? undefined : String(value);
  }

  async setSetting(name: string, value: string): Promise<void> {
    await this.#db.put(settingKey(name), value, { space: DOCUMENTS });
  }

  async ensureVectorSpace({ name, dimension, indexType }: VectorSpace): Promise<void> {
    const spaces = await this.#db.listSpaces();
    if (spaces.some((space) => space.name === name)) return;
    await this.#db
      .createSpace(name, 'vector', { dimension, indexType, metric: 'Cosine', ids: 'int' })
      .catch(ignoreExisting);
  }

  async describe(space: string): Promise<{ space: SpaceDescription; stats: Stats }> {
    const [description, stats] = await Promise.all([this.#db.describeSpace(space), this.#db.stats()]);
    return { space: description, stats };
  }

  /**
   * Stores a file's text as passages, not yet indexed. A file known by name and content is left alone; one whose
   * content changed is stored beside its older version, which goes once the new one is indexed.
   * An abort takes back what was stored of it.
   * @throws RefusedFile for a text without a readable word
   */
  async store(file: TextFile, options: StoreOptions = {}): Promise<StoreOutcome> {
    const hash = contentHash(file.text);
    const older = this.documents.filter((record) => record.name === file.name).at(-1);
    if (older?.hash === hash) return 'unchanged';
    const record = await this.#tabs.change(async () => {
      const first: DocumentRecord = {
        id: await this.#nextId(),
        name: file.name,
        hash,
        characters: file.text.length,
        passageCount: 0,
        state: 'importing',
        indexed: {},
        replaces: older?.id,
      };
      await this.#write(first);
      return first;
    });
    const { id } = record;
    try {
      const passageCount = await this.#storePassages(id, file.text, file.format, options);
      if (passageCount === 0) throw new RefusedFile('has no readable text');
      await this.#write({ ...record, passageCount, state: 'stored' });
    } catch (error) {
      await this.delete(id).catch(() => {});
      throw error;
    }
    return older ? 'changed' : 'added';
  }

  async #nextId(): Promise<number> {
    const last = { space: DOCUMENTS, prefix: DOCUMENT_PREFIX, reverse: true, limit: 1 };
    for await (const { value } of this.#db.scan(last))
      return (JSON.parse(String(value)) as DocumentRecord).id + 1;
    return 1;
  }

  async #storePassages(
    id: number,
    text: string,
    format: TextFormat,
    { signal, onPassages }: StoreOptions,
  ): Promise<number> {
    let count = 0;
    for (const batch of batches(passagesOf(text, format), WRITES_AT_ONCE)) {
      signal?.throwIfAborted();
      const from = count;
      const writes = batch.map((passage, offset) =>
        this.#db.put(passageKey(id, from + offset), JSON.stringify(passage), { space: DOCUMENTS }),
      );
      await Promise.all(writes);
      count += batch.length;
      onPassages?.(count);
    }
    return count;
  }

  /** At most `count` of a document's passages from `from` on. */
  async readPassages(document: number, from: number, count: number): Promise<PassageRecord[]> {
    const passages: PassageRecord[] = [];
    const range = { start: passageKey(document, from), end: passageKey(document + 1, 0), limit: count };
    for await (const { value } of this.#db.scan({ space: DOCUMENTS, ...range })) {
      passages.push(JSON.parse(String(value)) as PassageRecord);
    }
    return passages;
  }

  /**
   * Indexes the next passages of a document: inserts their vectors and then counts them.
   * Does nothing when the document was deleted meanwhile or is not at `from` any more.
   */
  async insertVectors(
    document: number,
    from: number,
    space: VectorSpace,
    vectors: Float32Array,
  ): Promise<void> {
    await this.#tabs.change(async () => {
      const record = await this.#read(document);
      if (record?.state !== 'stored' || (record.indexed[space.name] ?? 0) !== from) return;
      const count = vectors.length / space.dimension;
      const ids = Array.from({ length: count }, (_, offset) => vectorId(document, from + offset));
      await this.#db.insertVectors(ids, vectors, { space: space.name, transfer: true });
      await this.#write({ ...record, indexed: { ...record.indexed, [space.name]: from + count } });
    });
    await this.#dropReplaced(document, space.name);
  }

  /** Takes away the older version once its successor is indexed: until then the old passages are found. */
  async #dropReplaced(document: number, space: string): Promise<void> {
    const record = this.#documents.get(document);
    if (record?.replaces === undefined || (record.indexed[space] ?? 0) < record.passageCount) return;
    await this.delete(record.replaces);
    await this.#tabs.change(async () => {
      const { replaces: _, ...rest } = (await this.#read(document)) ?? record;
      await this.#write(rest);
    });
  }

  async setPaused(document: number, isPaused: boolean): Promise<void> {
    await this.#tabs.change(async () => {
      const record = await this.#read(document);
      if (record?.state === 'stored') await this.#write({ ...record, isPaused });
    });
  }

  /** Removes a document, its vectors in every space, its passages, and last its record. */
  async delete(document: number): Promise<void> {
    await this.#tabs.change(async () => {
      const record = await this.#read(document);
      if (record === undefined) return;
      await this.#write({ ...record, state: 'deleting' });
      for (const { name: space, engine } of await this.#db.listSpaces()) {
        if (engine !== 'vector') continue;
        // One chunk more than was counted: the page may have died between inserting and counting it.
        const end = Math.min(record.passageCount, (record.indexed[space] ?? 0) + INDEX_CHUNK_MAX);
        await inParallel(range(end), (index) => this.#db.deleteVector(vectorId(document, index), { space }));
      }
      for (;;) {
        const keys: string[] = [];
        const span = {
          start: passageKey(document, 0),
          end: passageKey(document + 1, 0),
          limit: 4 * WRITES_AT_ONCE,
        };
        for await (const { key } of this.#db.scan({ space: DOCUMENTS, ...span })) keys.push(key);
        if (keys.length === 0) break;
        await inParallel(keys, (key) => this.#db.delete(key, { space: DOCUMENTS }));
      }
      await this.#db.delete(documentKey(document), { space: DOCUMENTS });
      this.#documents.delete(document);
      this.#tabs.tell({ type: 'deleted', document });
    });
  }

  /** The passages nearest to a vector, best first. */
  async search(vector: Float32Array, k: number, space: string): Promise<FoundPassage[]> {
    const hits = await this.#db.searchTopK(vector, k, { space, efSearch: EF_SEARCH });
    const found = await Promise.all(hits.map((hit) => this.#resolve(hit)));
    return found.filter((passage) => passage !== undefined);
  }

  async #resolve({ id, distance }: SearchHit): Promise<FoundPassage | undefined> {
    const place = placeOf(Number(id));
    const document = this.#documents.get(place.document);
    if (document?.state !== 'stored') return undefined;
    const value = await this.#db.get(passageKey(place.document, place.index), { space: DOCUMENTS });
    if (value === undefined) return undefined;
    return { document, passage: JSON.parse(String(value)) as PassageRecord, distance };
  }

  async #write(record: DocumentRecord): Promise<void> {
    await this.#db.put(documentKey(record.id), JSON.stringify(record), { space: DOCUMENTS });
    this.#documents.set(record.id, record);
    this.#tabs.tell({ type: 'record', record });
  }

  async #read(document: number): Promise<DocumentRecord | undefined> {
    const value = await this.#db.get(documentKey(document), { space: DOCUMENTS });
    return value === undefined ? undefined : (JSON.parse(String(value)) as DocumentRecord);
  }
}

/** Another tab was a moment quicker. */
function ignoreExisting(error: unknown): void {
  if (!isShibuDbError(error) || error.code !== 'SPACE_EXISTS') throw error;
}

export interface StoreOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of the file's passages stored so far. */
  readonly onPassages?: ((count: number) => void) | undefined;
}

/** The most passages indexed in one step. */
export const INDEX_CHUNK_MAX = 256;

function* batches<T>(items: Iterable<T>, size: number): Generator<T[]> {
  let batch: T[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length === size) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

function* range(end: number): Generator<number> {
  for (let index = 0; index < end; index++) yield index;
}

async function inParallel<T>(items: Iterable<T>, work: (item: T) => Promise<unknown>): Promise<void> {
  for (const batch of batches(items, WRITES_AT_ONCE)) await Promise.all(batch.map(work));
}
