/**
 * The way of files into the library: read and store all text first, then embed and index what is stored.
 *
 * Storing is fast and indexing may be slow (a sentence model does tens of passages a second), so whatever stops the
 * page in the slow part leaves text that indexing can go on from: `indexPending` asks the library what is missing
 * and cares not who left it. One run at a time; files given during a run join it.
 */

import type { Embedder } from '../embed/embedder.ts';
import { embeddingText } from '../text/chunker.ts';
import { type Candidate, formatOf, RefusedFile, readTextFile, type TextFile } from '../text/files.ts';
import { INDEX_CHUNK_MAX, type Library, type VectorSpace } from './library.ts';
import type { DocumentRecord } from './records.ts';

export type ImportProgress =
  | {
      readonly phase: 'reading';
      readonly fileName: string;
      readonly files: number;
      readonly passages: number;
    }
  | {
      readonly phase: 'indexing';
      readonly documentName: string;
      readonly done: number;
      readonly total: number;
      readonly perSecond: number;
    };

export interface ImportReport {
  readonly added: string[];
  readonly changed: string[];
  readonly unchanged: string[];
  /** File name and why it was not taken. */
  readonly refused: { readonly name: string; readonly reason: string }[];
  /** Files of other kinds inside folders. */
  skipped: number;
  /** Passages embedded and indexed by this run. */
  indexed: number;
  indexMs: number;
  isCancelled: boolean;
}

export interface Indexer {
  readonly embedder: Embedder;
  readonly space: VectorSpace;
}

export interface ImporterHooks {
  /** Called before anything is embedded; may load a model. */
  readonly indexer: (signal: AbortSignal) => Promise<Indexer>;
  readonly onProgress: (progress: ImportProgress) => void;
}

export class Importer {
  readonly #library: Library;
  readonly #hooks: ImporterHooks;
  readonly #queue: AsyncIterable<Candidate | TextFile>[] = [];
  #running: Promise<ImportReport> | undefined;
  #abort = new AbortController();
  /** Where this run indexes; unknown until its embedder is ready. */
  #space: VectorSpace | undefined;

  constructor(library: Library, hooks: ImporterHooks) {
    this.#library = library;
    this.#hooks = hooks;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Takes files in and indexes them. During a run the files join it, and its report is the answer. */
  import(files: AsyncIterable<Candidate | TextFile>): Promise<ImportReport> {
    this.#queue.push(files);
    return this.indexPending();
  }

  /** Indexes whatever the library holds that the present embedder has not seen. */
  indexPending(): Promise<ImportReport> {
    this.#running ??= this.#library.tabs
      .import(() => this.#run())
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  /** Stops after the chunk under way; what is stored stays, marked as paused. */
  async cancel(): Promise<void> {
    this.#abort.abort(new DOMException('The import was cancelled.', 'AbortError'));
    await this.#running?.catch(() => {});
  }

  async #run(): Promise<ImportReport> {
    this.#abort = new AbortController();
    this.#space = undefined;
    const { signal } = this.#abort;
    const report = emptyReport();
    try {
      do {
        await this.#readQueue(report, signal);
        if (this.#library.documents.length > 0)
          await this.#library.tabs.index(() => this.#indexPending(report, signal), signal);
      } while (this.#queue.length > 0);
    } catch (error) {
      if (!signal.aborted) throw error;
      report.isCancelled = true;
      for (const { id } of this.#pending(this.#space)) await this.#library.setPaused(id, true);
    } finally {
      this.#queue.length = 0;
    }
    return report;
  }

  async #readQueue(report: ImportReport, signal: AbortSignal): Promise<void> {
    let files = 0;
    let stored = 0;
    for (let source = this.#queue.shift(); source !== undefined; source = this.#queue.shift()) {
      for await (const item of source) {
        signal.throwIfAborted();
        if ('open' in item && item.inFolder && formatOf(item.name) === undefined) {
          report.skipped++;
          continue;
        }
        const progress = (passages: number): void =>
          this.#hooks.onProgress({
            phase: 'reading',
            fileName: item.name,
            files,
            passages: stored + passages,
          });
        progress(0);
        stored += await this.#storeOne(item, report, signal, progress);
        files++;
      }
    }
  }

  async #storeOne(
    item: Candidate | TextFile,
    report: ImportReport,
    signal: AbortSignal,
    onPassages: (count: number) => void,
  ): Promise<number> {
    let count = 0;
    try {
      const file = 'open' in item ? await readTextFile(item) : item;
      const outcome = await this.#library.store(file, {
        signal,
        onPassages: (passages) => {
          count = passages;
          onPassages(passages);
        },
      });
      report[outcome].push(item.name);
    } catch (error) {
      if (!(error instanceof RefusedFile)) throw error;
      report.refused.push({ name: item.name, reason: error.message });
    }
    return count;
  }

  async #indexPending(report: ImportReport, signal: AbortSignal): Promise<void> {
    const indexer = await this.#hooks.indexer(signal);
    const { space } = indexer;
    this.#space = space;
    const startedMs = performance.now();
    const pace = { done: 0, total: 0 };
    const missing = (record: DocumentRecord): number =>
      record.passageCount - (record.indexed[space.name] ?? 0);
    try {
      for (const record of this.#pending(space)) {
        const onDone = (count: number): void => {
          pace.done += count;
          report.indexed += count;
          pace.total = pace.done + this.#pending(space).reduce((sum, other) => sum + missing(other), 0);
          const perSecond = (pace.done / (performance.now() - startedMs)) * 1000;
          this.#hooks.onProgress({ phase: 'indexing', documentName: record.name, ...pace, perSecond });
        };
        onDone(0);
        await this.#indexDocument(record.id, indexer, signal, onDone);
      }
    } finally {
      report.indexMs += performance.now() - startedMs;
    }
  }

  /** Embeds the next chunk while the last one is being inserted: the model and the database work side by side. */
  async #indexDocument(
    id: number,
    { embedder, space }: Indexer,
    signal: AbortSignal,
    onDone: (count: number) => void,
  ): Promise<void> {
    const chunk = Math.min(INDEX_CHUNK_MAX, embedder.batchSize * 4);
    let from = this.#library.document(id)?.indexed[space.name] ?? 0;
    let inserting: Promise<void> = Promise.resolve();
    try {
      for (;;) {
        const record = this.#library.document(id);
        if (record?.state !== 'stored' || from >= record.passageCount) break;
        const passages = await this.#library.readPassages(id, from, chunk);
        if (passages.length === 0) break;
        const texts = passages.map((passage) => embeddingText(record.name, passage));
        const vectors = await embedder.embed(texts, { signal });
        await inserting;
        signal.throwIfAborted();
        inserting = this.#library.insertVectors(id, from, space, vectors).then(() => onDone(passages.length));
        // Awaited a step later; a failure meanwhile must not count as unhandled.
        inserting.catch(() => {});
        from += passages.length;
      }
    } finally {
      await inserting;
    }
  }

  /** Documents with passages not indexed in `space`; where none is given, not wholly indexed in any. */
  #pending(space: VectorSpace | undefined): DocumentRecord[] {
    return this.#library.documents.filter(({ isPaused, indexed, passageCount }) => {
      const counts = space ? [indexed[space.name] ?? 0] : Object.values(indexed);
      return !isPaused && counts.every((count) => count < passageCount);
    });
  }
}

function emptyReport(): ImportReport {
  return {
    added: [],
    changed: [],
    unchanged: [],
    refused: [],
    skipped: 0,
    indexed: 0,
    indexMs: 0,
    isCancelled: false,
  };
}
