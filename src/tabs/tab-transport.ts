/**
 * The transport of a page that shares its database with other tabs: calls go to whichever worker owns the database, over the
 * link that OwnerFinder has found. When that is lost, what was open goes on:
 *
 *   not sent, or refused    made again with the next owner: nothing of it was done
 *   goes on with a scan     fails with SNAPSHOT_LOST: the snapshot was in the owner's memory
 *   changes nothing         likewise, a few times: a call that kills its owner must not kill every tab's worker
 *   anything else           fails with OUTCOME_UNKNOWN: it may have taken effect or not
 */

import {
  type ArgumentsOf,
  callsThatChangeNothing,
  type Method,
  type ResultOf,
  type ScanStep,
  standingCalls,
} from '../api/calls.ts';
import type { Stats } from '../api/database.ts';
import { type ShibuDbError, shibuDbError } from '../api/errors.ts';
import { withTimeout } from '../base/with-timeout.ts';
import { OpenScans } from '../client/open-scans.ts';
import { callsThatChangeSession, SessionMemory } from '../client/session-state.ts';
import type { Transport, TransportOptions } from '../client/transport.ts';
import { Connection, type Exchange, OpenCall } from '../rpc/connection.ts';
import type { Reply } from '../rpc/messages.ts';
import type { Link } from './link.ts';
import { webLocks } from './names.ts';
import { type FinderOptions, OwnerFinder } from './owner-finder.ts';

/** How often a call that was sent is made again. */
const repeatsMax = 2;

type EventListener = Parameters<NonNullable<Transport['listen']>>[0];

export class TabTransport implements Transport {
  readonly #finder: OwnerFinder;
  readonly #name: string;
  #listener: EventListener | undefined;
  readonly #opened: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  readonly #repeats: WeakMap<OpenCall['resolve'], number> = new WeakMap();
  readonly #memory: SessionMemory = new SessionMemory();
  readonly #scans: OpenScans = new OpenScans();
  #connection: Connection | undefined;
  /** Calls that wait for an owner, in order. */
  #waiting: OpenCall[] = [];
  /** The owner has begun to refuse: later calls wait for the next one. */
  #isRefused = false;
  #failure: ShibuDbError | undefined;
  readonly #released: AbortController = new AbortController();
  /** Of waiting calls that can be aborted. */
  readonly #listeners: Map<OpenCall, () => void> = new Map();

  constructor(options: FinderOptions) {
    this.#name = options.name;
    this.#finder = new OwnerFinder(options, {
      onLink: (link) => this.#use(link),
      onUnlink: (_link, reason) => this.#drop(reason),
      onFailed: (error, isFinal) => this.#fail(error, isFinal),
      onConnection: (state, message) => this.#listener?.('connection', { state, message }),
    });
  }

  /** Resolves when the database can be used. @throws what opening it throws, LOCKED when nobody answers for it in time */
  async open(timeoutMs: number): Promise<void> {
    this.#finder.seek();
    this.#opened.promise.catch(() => {});
    await withTimeout(this.#opened.promise, timeoutMs, () =>
      shibuDbError(
        'LOCKED',
        `The database "${this.#name}" is in use by another page or worker that does not answer`,
      ),
    );
  }

  /** Whom to tell of new owners, and of what befalls this page's own connection. */
  listen(listener: EventListener): void {
    this.#listener = listener;
  }

  call<M extends Method>(method: M, args: ArgumentsOf<M>, options: TransportOptions): Promise<ResultOf<M>> {
    if (method === 'stats') return this.#stats(options) as Promise<ResultOf<M>>;
    // Nobody to say it to: nothing that was accepted is left to finish.
    if (method === 'close' && this.#connection === undefined)
      return Promise.resolve(undefined as ResultOf<M>);
    if (isScanning(method))
      return this.#goOn(method, args as ArgumentsOf<'scanNext'>, options) as Promise<ResultOf<M>>;
    const answer = this.#make(method, args, options);
    if (method === 'scanOpen' || method === 'scanVectorsOpen')
      return answer.then((scan) => this.#scans.opened(scan as number) as ResultOf<M>);
    if (!callsThatChangeSession.has(method)) return answer;
    return answer.then((result) => {
      this.#memory.note(method, args, result);
      return result;
    });
  }

  async #goOn(
    method: 'scanNext' | 'scanClose',
    { scan, ...rest }: ArgumentsOf<'scanNext'>,
    options: TransportOptions,
  ): Promise<ScanStep<unknown> | undefined> {
    if (method === 'scanClose' && this.#scans.isLost(scan)) return undefined;
    const step = await this.#make(method, { ...rest, scan: this.#scans.serverNumberOf(scan) }, options);
    if (step === undefined) this.#scans.closed(scan);
    else this.#scans.stepped(scan, step);
    return step;
  }

  #make<M extends Method>(method: M, args: ArgumentsOf<M>, options: TransportOptions): Promise<ResultOf<M>> {
    return new Promise<ResultOf<M>>((resolve, reject) => {
      this.#submit(new OpenCall(method, args, options, resolve, reject));
    });
  }

  giveBack(buffer: ArrayBuffer): void {
    // A channel would copy it.
    if (this.#finder.link?.way !== 'channel') this.#connection?.giveBack(buffer);
  }

  /** Fires when the transport is released. */
  get signal(): AbortSignal {
    return this.#released.signal;
  }

  release(): void {
    if (this.signal.aborted) return;
    this.#released.abort();
    this.#finder.leave();
    this.#fail(shibuDbError('CLOSED', 'The database was closed'), true);
  }

  suspend(): void {
    this.#finder.suspend((this.#connection?.openCalls ?? 0) > 0);
  }

  resume(): void {
    this.#finder.resume();
    if (this.#waiting.length > 0) this.#finder.seek();
  }

  #submit(call: OpenCall): void {
    if (this.#failure !== undefined) {
      settleClosing(call, this.#failure);
    } else if (this.#connection !== undefined && !this.#isRefused) {
      this.#connection.submit(call);
      if (!standingCalls.has(call.method)) this.#finder.await(true);
    } else {
      this.#wait(call);
    }
  }

  #wait(call: OpenCall): void {
    if (isScanning(call.method)) {
      endScan(call);
      return;
    }
    const { signal } = call.options;
    if (signal !== undefined) {
      if (signal.aborted) {
        abort(call);
        return;
      }
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(call), 1);
        abort(call);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#listeners.set(call, () => signal.removeEventListener('abort', onAbort));
    }
    this.#waiting.push(call);
    this.#finder.seek();
  }

  /** The calls that wait, in order; they wait no more. */
  #takeWaiting(): OpenCall[] {
    for (const stopListening of this.#listeners.values()) stopListening();
    this.#listeners.clear();
    return this.#waiting.splice(0);
  }

  // --- owners come and go -------------------------------------------------------------------------------------------

  #use(link: Link): void {
    const connection: Connection = new Connection(
      (message, transfer) => this.#exchange(link, connection, message, transfer),
      (call) => {
        // Refused is not done: it is made again with the next owner, in its turn.
        if (connection === this.#connection) this.#isRefused = true;
        this.#wait(call);
      },
    );
    this.#connection = connection;
    this.#isRefused = false;
    this.#restoreSession(connection);
    for (const call of this.#takeWaiting()) connection.submit(call);
    this.#awaitAnswers(connection);
    this.#opened.resolve();
    this.#listener?.('ownerchange', { epoch: link.epoch, here: link.way === 'worker' });
  }

  /** The new owner's session goes on where the former one's was; what fails now (a space that is gone) the next call tells. */
  #restoreSession(connection: Connection): void {
    const { state } = this.#memory;
    const ignore = (): void => {};
    if (state !== undefined) connection.submit(new OpenCall('resumeSession', state, {}, ignore, ignore));
  }

  async #exchange(
    link: Link,
    connection: Connection,
    ...[message, transfer]: Parameters<Exchange>
  ): Promise<readonly Reply[]> {
    const { epoch, replies, gone } = await link.exchange(message, transfer);
    // Of an owner before this one: what it says may not be so any more.
    if (epoch !== link.epoch || link !== this.#finder.link) return [];
    this.#finder.hear();
    // After these replies are settled.
    if (gone) setTimeout(() => this.#finder.dismiss(link));
    else if (link.way !== 'worker') setTimeout(() => this.#awaitAnswers(connection));
    return replies;
  }

  /** What an owner has refused waits for the next one, and until then for this one to go. */
  #awaitAnswers({ openCalls }: Connection): void {
    this.#finder.await(openCalls + this.#waiting.length > 0);
  }

  #drop(reason: string): void {
    const calls = this.#connection?.lose() ?? [];
    this.#connection = undefined;
    this.#scans.loseAll();
    for (const call of calls) this.#repeat(call, reason);
    if (this.#waiting.length > 0) this.#finder.seek();
  }

  #repeat(call: OpenCall, reason: string): void {
    if (call.method === 'close') {
      // Whoever had it is gone: closed it is.
      call.resolve(undefined as never);
    } else if (!call.sent || isScanning(call.method) || standingCalls.has(call.method)) {
      this.#wait(call);
    } else if (!callsThatChangeNothing.has(call.method)) {
      call.reject(outcomeUnknown(call, reason));
    } else {
      const repeats = (this.#repeats.get(call.resolve) ?? 0) + 1;
      this.#repeats.set(call.resolve, repeats);
      if (repeats <= repeatsMax) this.#wait(call);
      else call.reject(shibuDbError('WORKER_LOST', `${call.method} has lost ${repeats} owners: ${reason}`));
    }
  }

  #fail(error: ShibuDbError, isFinal: boolean): void {
    if (isFinal) this.#failure ??= error;
    this.#opened.reject(error);
    const calls = [...(isFinal ? (this.#connection?.lose() ?? []) : []), ...this.#takeWaiting()];
    for (const call of calls) settleClosing(call, error);
  }

  /** The owner's, and how this page reaches it. */
  async #stats(options: TransportOptions): Promise<Stats> {
    const stats = await this.#make('stats', {}, options);
    const link = this.#finder.link;
    const tabs = {
      role: link?.way === 'worker' ? ('owner' as const) : ('client' as const),
      epoch: link?.epoch ?? 0,
      way: link?.way ?? ('worker' as const),
      webLocks: webLocks() !== undefined,
      sharedWorker: this.#finder.hasBroker,
      broadcastChannel: typeof BroadcastChannel !== 'undefined',
    };
    return { ...stats, tabs };
  }
}

/** Goes on with a scan: its number means something to one owner only. */
function isScanning(method: Method): method is 'scanNext' | 'scanClose' {
  return method === 'scanNext' || method === 'scanClose';
}

function endScan({ method, resolve, reject }: OpenCall): void {
  if (method === 'scanClose') resolve(undefined as never);
  else reject(shibuDbError('SNAPSHOT_LOST', 'The scan ended with the owner that it was made by'));
}

function abort(call: OpenCall): void {
  const message = `${call.method} was aborted before it was begun`;
  call.reject(shibuDbError('ABORTED', message, { details: { acknowledged: 0 } }));
}

/** What is to be closed and cannot be reached is closed: the log has all that was acknowledged. */
function settleClosing(call: OpenCall, error: ShibuDbError): void {
  if (call.method === 'close') call.resolve(undefined as never);
  else call.reject(error);
}

function outcomeUnknown({ method, progress }: OpenCall, reason: string): ShibuDbError {
  const details = { method, ...(progress === undefined ? {} : { acknowledged: progress.done }) };
  return shibuDbError(
    'OUTCOME_UNKNOWN',
    `The owner of the database was lost during ${method}: ${reason}. It may have taken effect or not; look before you repeat it`,
    { details },
  );
}
