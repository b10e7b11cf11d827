/**
 * The page as a whole: opens the database, connects the ways in, the search and the lists, and keeps the status
 * line true. Everything that lasts is in the library; the page can be thrown away at any moment.
 */

import { type Database, deleteDatabase, isShibuDbError, open } from 'shibumi';
import { Importer, type ImportProgress, type ImportReport } from '../library/importer.ts';
import { Library } from '../library/library.ts';
import type { DocumentRecord } from '../library/records.ts';
import { Tabs } from '../library/tabs.ts';
import { showDocuments } from './document-list.ts';
import { byId, counted, megabytes } from './element.ts';
import { explain } from './explain.ts';
import { connectIntake } from './intake.ts';
import { Matching } from './matching.ts';
import { Messages } from './messages.ts';
import { ProgressPanel } from './progress-panel.ts';
import { reportMessages } from './report.ts';
import { Results } from './results.ts';
import { SearchBox } from './search-box.ts';
import type { EmbedderChoice, Settings } from './settings.ts';
import { StartView } from './start-view.ts';

/** Lists and status follow an import at this pace; the progress bar follows every chunk. */
const REFRESH_EVERY_MS = 250;
/** How long a tab waits for another to delete everything, before it looks for itself. */
const FORGETTING_MS = 15_000;

export class App {
  readonly #settings: Settings;
  readonly #messages = new Messages(byId('messages', HTMLElement));
  readonly #progress = new ProgressPanel();
  readonly #results = new Results(
    byId('results', HTMLOListElement),
    byId('result-summary', HTMLElement),
    byId('announcer', HTMLElement),
  );
  readonly #query = byId('query', HTMLInputElement);
  readonly #embedderSelect = byId('embedder', HTMLSelectElement);
  #openMs = 0;
  #refreshing: ReturnType<typeof setTimeout> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  async start(): Promise<void> {
    for (const text of this.#settings.problems) this.#messages.show({ text, isError: true });
    window.addEventListener('unhandledrejection', (event) => this.#showError(event.reason));
    const startedMs = performance.now();
    try {
      const { database, storage, build } = this.#settings;
      const db = await open(database, {
        ...(storage === undefined ? {} : { storage }),
        ...(build === undefined ? {} : { build }),
      });
      const { library, lost } = await Library.open(db, new Tabs(storage === 'memory' ? undefined : database));
      this.#openMs = performance.now() - startedMs;
      for (const name of lost) {
        this.#messages.show({
          text: `${name} had only been read in part when the page closed. Add it again.`,
          isError: true,
        });
      }
      await this.#connect(db, library);
    } catch (error) {
      byId('status', HTMLElement).textContent = 'Not started.';
      this.#showError(error, { label: 'Try again', run: () => location.reload() });
      if (isShibuDbError(error) && error.code === 'STORAGE_UNAVAILABLE') this.#offerMemory();
    }
  }

  async #connect(db: Database, library: Library): Promise<void> {
    const matching: Matching = new Matching(library, this.#settings, {
      onModelProgress: (what, percent) => this.#progress.showModel(what, percent),
      onFallback: (error) => this.#showFallback(error, () => void choose('minilm')),
      onChange: () => this.#showMatching(matching),
    });
    const refresh = (): void => this.#refreshSoon(library, matching, actions);
    const importer: Importer = new Importer(library, {
      indexer: (signal) => matching.ready(signal),
      onProgress: (progress: ImportProgress) => {
        this.#progress.show(progress);
        refresh();
      },
    });
    const search = new SearchBox(this.#query, {
      source: () =>
        matching.active && library.passageCount > 0
          ? { library, embedder: matching.active.embedder, space: matching.active.space.name }
          : undefined,
      onAnswer: (answer) => {
        startView.hide();
        this.#results.show(answer, library.passageCount);
      },
      onCleared: () => {
        this.#results.clear(this.#searchHint(library, matching));
        // A database that is being closed has nothing to show; whoever closes it tells the person.
        startView.show().catch(() => {});
      },
      onError: (error) => this.#showError(error),
    });
    const startView = new StartView(byId('start', HTMLElement), library, (question) => {
      this.#query.value = question;
      this.#query.focus();
      search.refresh();
    });
    this.#search = search;
    library.onChange = refresh;
    library.onForgetting = () => this.#makeWay(db, importer);

    const run = async (importing: () => Promise<ImportReport>): Promise<void> => {
      this.#embedderSelect.disabled = true;
      try {
        const report = await importing();
        for (const message of reportMessages(report).reverse()) this.#messages.show(message);
      } catch (error) {
        this.#showError(error, { label: 'Continue', run: () => void run(() => importer.indexPending()) });
      } finally {
        if (!importer.isRunning) {
          this.#progress.hide();
          this.#embedderSelect.disabled = false;
        }
        refresh();
      }
    };
    const choose = async (choice: EmbedderChoice): Promise<void> => {
      await matching.choose(choice);
      await run(() => importer.indexPending());
    };
    const actions = {
      onDelete: (record: DocumentRecord) => void this.#delete(record, library, refresh),
      onContinue: async (record: DocumentRecord) => {
        await library.setPaused(record.id, false);
        await run(() => importer.indexPending());
      },
    };

    connectIntake((files) => {
      // Files given during an import join it, and its report tells of them.
      if (importer.isRunning) {
        importer.import(files).catch(() => {});
        return;
      }
      this.#messages.clear();
      // Some browsers ask the person; most decide silently. Either way a refusal only means that eviction is possible.
      void navigator.storage?.persist?.().catch(() => false);
      void run(() => importer.import(files));
    });
    byId('cancel', HTMLButtonElement).addEventListener('click', () => {
      if (matching.isLoading) matching.stopLoading();
      else void importer.cancel();
    });
    byId('forget', HTMLButtonElement).addEventListener(
      'click',
      () => void this.#forget(db, library, importer),
    );
    this.#embedderSelect.addEventListener(
      'change',
      () => void choose(this.#embedderSelect.value as EmbedderChoice),
    );
    this.#connectKeys();

    await matching.restore();
    byId('main', HTMLElement).inert = false;
    refresh();
    await run(() => importer.indexPending());
  }

  #search: SearchBox | undefined;

  #connectKeys(): void {
    this.#query.addEventListener('keydown', (event) => {
      if (event.key !== 'ArrowDown') return;
      event.preventDefault();
      this.#results.focusFirst();
    });
    document.addEventListener('keydown', (event) => {
      const isTyping =
        event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
      if (event.key !== '/' || isTyping || document.querySelector('dialog[open]')) return;
      event.preventDefault();
      this.#query.focus();
    });
  }

  async #delete(record: DocumentRecord, library: Library, refresh: () => void): Promise<void> {
    const question = `Delete “${record.name}” and its ${counted(record.passageCount, 'passage')}?`;
    if (!(await confirmed(question, 'Delete'))) return;
    try {
      await library.delete(record.id);
    } catch (error) {
      this.#showError(error);
    }
    refresh();
  }

  async #forget(db: Database, library: Library, importer: Importer): Promise<void> {
    const question = 'Delete all documents, passages and vectors from this browser? This cannot be undone.';
    if (!(await confirmed(question, 'Forget everything'))) return;
    try {
      await importer.cancel();
      library.tabs.tell({ type: 'forgetting' });
      await db.close();
      await deleteDatabase(this.#settings.database);
      library.tabs.tell({ type: 'forgotten' });
      location.reload();
    } catch (error) {
      this.#showError(error, { label: 'Reload', run: () => location.reload() });
    }
  }

  /** Another tab deletes everything: the database must be closed here for that. */
  async #makeWay(db: Database, importer: Importer): Promise<void> {
    byId('main', HTMLElement).inert = true;
    byId('status', HTMLElement).textContent = 'Another tab is deleting these notes…';
    setTimeout(() => location.reload(), FORGETTING_MS);
    await importer.cancel();
    await db.close();
  }

  /** A browser that stores nothing can still search, for as long as the page is open. */
  #offerMemory(): void {
    const address = new URL(location.href);
    address.searchParams.set('storage', 'memory');
    this.#messages.show({
      text: 'You can use it all the same; everything is forgotten when the page closes.',
      action: { label: 'Use without storing', run: () => location.assign(address) },
    });
  }

  #showMatching(matching: Matching): void {
    this.#embedderSelect.value = matching.choice;
    const { active, description } = matching;
    byId('embedder-description', HTMLElement).textContent = active
      ? `${active.embedder.name}: ${description}`
      : description;
    this.#search?.refresh();
  }

  #showFallback(error: unknown, retry: () => void): void {
    const reason = error instanceof Error ? error.message : 'The model could not be loaded.';
    this.#messages.show({
      text: `${reason} Passages are matched by words instead.`,
      isError: true,
      action: { label: 'Try again', run: retry },
    });
  }

  #showError(error: unknown, action?: { label: string; run: () => void }): void {
    const { text, canRetry } = explain(error);
    this.#messages.show({ text, isError: true, ...(action && canRetry ? { action } : {}) });
    console.error(error);
  }

  #searchHint(library: Library, matching: Matching): string {
    if (library.passageCount === 0) return 'Nothing to search yet: add some text, or use the sample.';
    if (!matching.active) return 'Getting the model ready…';
    return 'Type to search; press / to come back here.';
  }

  #refreshSoon(library: Library, matching: Matching, actions: Parameters<typeof showDocuments>[3]): void {
    this.#refreshing ??= setTimeout(async () => {
      this.#refreshing = undefined;
      const isEmpty = library.documents.length === 0;
      document.body.classList.toggle('is-empty', isEmpty);
      byId('documents-section', HTMLElement).hidden = isEmpty;
      showDocuments(byId('documents', HTMLUListElement), library, matching.active?.space.name, actions);
      this.#search?.refresh();
      try {
        const isLinking = await this.#showStatus(library, matching);
        if (isLinking) this.#refreshSoon(library, matching, actions);
      } catch {
        // The database is being closed or is busy dying; whoever caused that tells the person.
      }
    }, REFRESH_EVERY_MS);
  }

  /** Writes the status line; tells whether it will change by itself. */
  async #showStatus(library: Library, matching: Matching): Promise<boolean> {
    const facts = [counted(library.documents.length, 'document'), counted(library.passageCount, 'passage')];
    const { active } = matching;
    let isLinking = false;
    if (active) {
      const { space, stats } = await library.describe(active.space.name);
      const pending = space.index?.pending ?? 0;
      isLinking = pending > 0;
      facts.push(
        active.embedder.name,
        `${counted(space.count, 'vector')} in ${space.indexType}, ${space.metric}, ${space.dimension} dimensions`,
      );
      if (isLinking) facts.push(`${counted(pending, 'vector')} being linked`);
      facts.push(
        `${megabytes(space.memoryBytes)} in memory`,
        `${megabytes(space.storedBytes)} stored in ${stats.storage}`,
      );
      facts.push(`${stats.build} build`);
      if (stats.tabs?.role === 'client') facts.push('the engine runs in another tab');
      if (stats.storage === 'memory') facts.push('nothing here outlasts this page');
      else if (stats.persisted === false) facts.push('the browser may clear it when its disk is full');
    }
    facts.push(`opened in ${Math.round(this.#openMs)} ms`);
    byId('status', HTMLElement).textContent = facts.join(' · ');
    return isLinking;
  }
}

/** Asks before something is lost. Escape and closing mean no. */
function confirmed(question: string, yes: string): Promise<boolean> {
  const dialog = byId('confirm-dialog', HTMLDialogElement);
  byId('confirm-text', HTMLElement).textContent = question;
  byId('confirm-yes', HTMLButtonElement).textContent = yes;
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}
