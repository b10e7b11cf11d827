/**
 * Search as you type. Each keystroke asks at once; while an answer is on its way only the newest question waits,
 * so the database never works on a question nobody sees any more, and an older answer never replaces a newer one.
 */

import type { Embedder } from '../embed/embedder.ts';
import type { FoundPassage, Library } from '../library/library.ts';

export interface SearchAnswer {
  readonly query: string;
  readonly passages: readonly FoundPassage[];
  /** From the question to the passages' texts: embedding, search and reading. */
  readonly elapsedMs: number;
  readonly embedder: Embedder;
}

export interface SearchSource {
  readonly library: Library;
  readonly embedder: Embedder;
  readonly space: string;
}

export interface SearchHooks {
  /** What to search, or undefined while there is nothing to search with. */
  readonly source: () => SearchSource | undefined;
  readonly onAnswer: (answer: SearchAnswer) => void;
  readonly onCleared: () => void;
  readonly onError: (error: unknown) => void;
}

const RESULTS_MAX = 10;

export class SearchBox {
  readonly #input: HTMLInputElement;
  readonly #hooks: SearchHooks;
  #isSearching = false;
  #isStale = false;

  constructor(input: HTMLInputElement, hooks: SearchHooks) {
    this.#input = input;
    this.#hooks = hooks;
    input.addEventListener('input', () => this.refresh());
  }

  /** Asks again: the query, the passages or the embedder changed. */
  refresh(): void {
    if (this.#isSearching) this.#isStale = true;
    else void this.#searchUntilFresh();
  }

  async #searchUntilFresh(): Promise<void> {
    this.#isSearching = true;
    do {
      this.#isStale = false;
      await this.#searchOnce();
    } while (this.#isStale);
    this.#isSearching = false;
  }

  async #searchOnce(): Promise<void> {
    const query = this.#input.value.trim();
    const source = this.#hooks.source();
    if (query === '' || source === undefined) {
      this.#hooks.onCleared();
      return;
    }
    const startedMs = performance.now();
    try {
      const vector = await source.embedder.embed([query]);
      const passages = await source.library.search(vector, RESULTS_MAX, source.space);
      const elapsedMs = performance.now() - startedMs;
      // A newer question may make this answer old; it is still shown, as people type faster than they read.
      if (this.#input.value.trim() !== '')
        this.#hooks.onAnswer({ query, passages, elapsedMs, embedder: source.embedder });
    } catch (error) {
      this.#hooks.onError(error);
    }
  }
}
