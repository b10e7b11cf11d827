/**
 * Which embedder the page uses, and getting it ready. The sentence model is offered first on a machine that is
 * online, but nothing is fetched before there is text to embed; whatever goes wrong with it, the built-in one
 * takes its place, so there is always something to search with.
 */

import type { Embedder } from '../embed/embedder.ts';
import { createLexicalEmbedder } from '../embed/lexical.ts';
import { loadTransformersEmbedder } from '../embed/transformers.ts';
import type { Indexer } from '../library/importer.ts';
import type { Library, VectorSpace } from '../library/library.ts';
import type { EmbedderChoice, Settings } from './settings.ts';

const SETTING = 'embedder';

const MODEL_DESCRIPTION =
  'Sentence embeddings by Transformers.js; matches meaning. Fetched when first used: 23 MB, or 90 MB where a GPU runs it.';

export interface MatchingHooks {
  readonly onModelProgress: (what: string, percent: number) => void;
  /** The model could not be had; the built-in embedder is used. */
  readonly onFallback: (reason: unknown) => void;
  readonly onChange: () => void;
}

export class Matching {
  readonly #library: Library;
  readonly #settings: Settings;
  readonly #hooks: MatchingHooks;
  readonly #lexical: Embedder = createLexicalEmbedder();
  #choice: EmbedderChoice = 'words';
  /** Whether somebody chose, now or on an earlier visit. */
  #isChosen = false;
  #active: Indexer | undefined;
  #loading: AbortController | undefined;

  constructor(library: Library, settings: Settings, hooks: MatchingHooks) {
    this.#library = library;
    this.#settings = settings;
    this.#hooks = hooks;
  }

  /** Takes up the choice of the address, else of the last visit, else the best this machine can have. */
  async restore(): Promise<void> {
    const stored = await this.#library.setting(SETTING);
    const known = stored === 'words' || stored === 'minilm' ? stored : undefined;
    this.#isChosen = (this.#settings.embedder ?? known) !== undefined;
    this.#choice = this.#settings.embedder ?? known ?? (navigator.onLine ? 'minilm' : 'words');
    if (this.#choice === 'words') await this.#activate(this.#lexical);
    else this.#hooks.onChange();
  }

  get choice(): EmbedderChoice {
    return this.#choice;
  }

  /** The embedder that is ready and the space of its vectors. */
  get active(): Indexer | undefined {
    return this.#active;
  }

  get description(): string {
    return this.#active?.embedder.description ?? MODEL_DESCRIPTION;
  }

  get isLoading(): boolean {
    return this.#loading !== undefined;
  }

  /** Changes the embedder. It is got ready by the next `ready` call. */
  async choose(choice: EmbedderChoice): Promise<void> {
    this.#choice = choice;
    this.#isChosen = true;
    this.#active = undefined;
    await this.#library.setSetting(SETTING, choice);
    if (choice === 'words') await this.#activate(this.#lexical);
    else this.#hooks.onChange();
  }

  /** The chosen embedder, loaded if need be; the built-in one when that fails. */
  async ready(signal: AbortSignal): Promise<Indexer> {
    if (this.#active) return this.#active;
    this.#loading = new AbortController();
    try {
      const embedder = await loadTransformersEmbedder({
        signal: AbortSignal.any([signal, this.#loading.signal]),
        onProgress: this.#hooks.onModelProgress,
      });
      const active = await this.#activate(embedder);
      await this.#library.setSetting(SETTING, 'minilm');
      return active;
    } catch (error) {
      signal.throwIfAborted();
      this.#choice = 'words';
      const active = await this.#activate(this.#lexical);
      this.#hooks.onFallback(error);
      // Told once. Who never asked for the model need not hear at every visit that it cannot be had.
      if (!this.#isChosen) await this.#library.setSetting(SETTING, 'words');
      return active;
    } finally {
      this.#loading = undefined;
    }
  }

  /** Gives up waiting for the model; `ready` goes on with the built-in embedder. */
  stopLoading(): void {
    this.#loading?.abort(new Error('The model was not waited for.'));
  }

  async #activate(embedder: Embedder): Promise<Indexer> {
    const { indexType } = this.#settings;
    // One space for each embedder and index type: their vectors cannot be compared, or not by the same index.
    const space: VectorSpace = {
      name: `passages-${embedder.id}-${indexType}`,
      dimension: embedder.dimension,
      indexType,
    };
    await this.#library.ensureVectorSpace(space);
    this.#active = { embedder, space };
    this.#hooks.onChange();
    return this.#active;
  }
}
