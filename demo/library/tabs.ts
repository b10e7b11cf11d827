/**
 * Several tabs with the same notes open: what they tell each other, and what only one of them may do at a time. The database
 * itself is shared by Shibumi; this is about what the page keeps in its own memory, and about work in several steps.
 */

import type { DocumentRecord } from './records.ts';

export type News =
  | { readonly type: 'record'; readonly record: DocumentRecord }
  | { readonly type: 'deleted'; readonly document: number }
  /** Somebody wants to delete everything: let go of the database, and come back when it is `forgotten`. */
  | { readonly type: 'forgetting' | 'forgotten' };

export class Tabs {
  readonly #name: string;
  readonly #locks: LockManager | undefined;
  readonly #channel: BroadcastChannel | undefined;
  #lastChange: Promise<unknown> = Promise.resolve();
  onNews: (news: News) => void = () => {};

  /** `database`: what tabs have in common; `undefined` when the notes are this page's alone. */
  constructor(database: string | undefined) {
    this.#name = `shibumi-demo:${database}`;
    if (database === undefined) return;
    // Missing in insecure contexts: there, changing notes in two tabs at once is not safe.
    this.#locks = navigator.locks;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.addEventListener('message', ({ data }) => this.onNews(data as News));
  }

  tell(news: News): void {
    this.#channel?.postMessage(news);
  }

  /** Runs changes of records one at a time, over all tabs, in the order of this tab's calls. */
  change<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#lastChange.then(() => this.#alone('change', work));
    this.#lastChange = result.catch(() => {});
    return result;
  }

  /** Indexing, which may take minutes: another tab waits, and then finds nothing left to do. */
  index<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#alone('index', work, signal);
  }

  /** While some tab does this, documents that are there in part are its own. */
  import<T>(work: () => Promise<T>): Promise<T> {
    return this.#locks?.request(`${this.#name}:import`, { mode: 'shared' }, work) ?? work();
  }

  async ifNobodyImports(work: () => Promise<void>): Promise<void> {
    if (this.#locks === undefined) return work();
    await this.#locks.request(`${this.#name}:import`, { ifAvailable: true }, (lock) =>
      lock === null ? undefined : work(),
    );
  }

  #alone<T>(what: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#locks?.request(`${this.#name}:${what}`, signal ? { signal } : {}, work) ?? work();
  }
}
