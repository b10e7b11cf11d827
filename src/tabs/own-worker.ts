/** A page's own worker: waits to be owner of the database, and tells when it is gone itself. */

import * as Comlink from 'comlink';
import { fromEnvelope } from '../api/error-envelope.ts';
import type { WorkerOpenOptions } from '../rpc/messages.ts';
import type { UnlockedKey } from '../storage/encryption/key-record.ts';
import type { KnownDatabase, TabEvent, TabWorkerEndpoint } from './messages.ts';
import { aliveLock, answers, randomId, webLocks } from './names.ts';

/** The worker's endpoint from outside: what its script exposes under `tab`. */
export type RemoteTab = Comlink.Remote<TabWorkerEndpoint>;

export interface OwnWorkerListener {
  onEvent(event: TabEvent): void;
  /** It died: by an error, because it was ended, or because its script cannot be loaded. */
  onLost(reason: string): void;
}

export class OwnWorker {
  /** Its name among all tabs. */
  readonly id: string = randomId();
  readonly bornAtMs: number = performance.now();
  /** Whether it ever ran. */
  hasEntered = false;
  readonly #worker: Worker;
  readonly #tab: RemoteTab;
  readonly #listener: OwnWorkerListener;
  readonly #watching: AbortController = new AbortController();
  #isLost = false;

  constructor(worker: Worker, listener: OwnWorkerListener) {
    this.#worker = worker;
    // Comlink types a nested endpoint as a value that would be fetched.
    this.#tab = (Comlink.wrap(worker) as unknown as { tab: RemoteTab }).tab;
    this.#listener = listener;
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.#lose(`the worker failed: ${event.message || 'its script could not be loaded'}`);
    });
    worker.addEventListener('messageerror', () => this.#lose('a message could not be read'));
  }

  get endpoint(): RemoteTab {
    return this.#tab;
  }

  async enter(name: string, options: WorkerOpenOptions, broker: string | undefined): Promise<void> {
    const alive = webLocks() === undefined ? undefined : aliveLock(this.id);
    const tabOptions = { ...options, owner: this.id, alive, broker };
    const listener = (event: TabEvent): void => {
      if (!this.#isLost) this.#listener.onEvent(event);
    };
    await this.#tab.enter(name, tabOptions, Comlink.proxy(listener));
    this.hasEntered = true;
    if (alive !== undefined) this.#watch(alive);
  }

  /** Notices when the worker ends without an event, terminated or killed: it holds this lock as long as it lives. */
  #watch(alive: string): void {
    navigator.locks
      .request(alive, { signal: this.#watching.signal }, async () => {
        if (!(await answers(this.#tab.ping()))) this.#lose('it was ended');
      })
      .catch(() => {});
  }

  know(database: KnownDatabase): void {
    this.#tab.know(database).catch(() => {});
  }

  /** @throws INVALID_CREDENTIALS */
  async unlock(keyRecord: string): Promise<UnlockedKey> {
    const unlocked = await this.#tab.unlock(keyRecord);
    if ('error' in unlocked) throw fromEnvelope(unlocked.error);
    return unlocked;
  }

  stand(): void {
    this.#tab.stand().catch(() => {});
  }

  seize(isInvited = false): void {
    this.#tab.seize(isInvited).catch(() => {});
  }

  withdraw(): void {
    this.#tab.withdraw().catch(() => {});
  }

  accept(port: MessagePort, alive: string | undefined): void {
    this.#tab.accept(Comlink.transfer(port, [port]), alive).catch(() => {});
  }

  end(): void {
    this.#isLost = true;
    this.#watching.abort();
    this.#worker.terminate();
  }

  #lose(reason: string): void {
    if (this.#isLost) return;
    // One that only failed still runs, and would keep the database.
    this.end();
    this.#listener.onLost(reason);
  }
}
