/**
 * A worker that waits to own the database, and owns it when its turn comes: what the worker's script exposes to its page.
 *
 *   in line -> opening -> owning -> in line again (taken away, fenced, storage lost)
 *                  \-> failed     \-> out (withdrawn: the page is frozen or closes the database)
 *
 * One thread: between two awaits nothing else happens. `#term` tells whether what was awaited is still wanted.
 */

import * as Comlink from 'comlink';
import { type ErrorEnvelope, toEnvelope } from '../api/error-envelope.ts';
import { compareBuilds, thisBuild } from '../base/build.ts';
import type { Message } from '../rpc/messages.ts';
import type { UnlockedKey } from '../storage/encryption/key-record.ts';
import { ChannelEndpoint } from './channel-endpoint.ts';
import { ControlChannel, type ControlMessage, type OwnerSign } from './control.ts';
import { Election, type Mandate } from './election.ts';
import type { Answer, Ending, KnownDatabase, TabEvent, TabOptions, TabWorkerEndpoint } from './messages.ts';
import { aliveLock, holdForEver, pairChannel, webLocks } from './names.ts';
import { leaseMs, type OwnedDatabase, type OwnedSession, Owner } from './owner.ts';

/** The database that a worker may come to own. */
export interface OwnableDatabase {
  /** Loads what opening needs, while the worker waits in line. */
  prepare(options: TabOptions): void;
  /** Opens it and takes it over from whoever had it. `onEnd` is called when its storage is gone or taken. */
  open(
    name: string,
    options: TabOptions,
    known: KnownDatabase | undefined,
    onEnd: (why: Ending) => void,
    onBlocked: () => void,
  ): Promise<OwnedDatabase>;
  /** Unlocks the key in `keyRecord` with what the options give for it. @throws INVALID_CREDENTIALS */
  unlock(options: TabOptions, keyRecord: string): Promise<UnlockedKey>;
}

/** How long a tab that is to seize the database listens for an owner once more. */
const lastCallMs = 250;
/** How long an owner that made way for a newer build keeps others out until that has followed. */
const makeWayMs = 5000;

export class TabWorker implements TabWorkerEndpoint {
  readonly #database: OwnableDatabase;
  #name = '';
  #options: TabOptions = { owner: '', alive: undefined, broker: undefined };
  #tell: (event: TabEvent) => void = () => {};
  #election: Election = new Election('', undefined);
  #control: ControlChannel | undefined;
  #known: KnownDatabase | undefined;
  /** Ends when the worker leaves the line or lets go of the database. */
  #term: AbortController | undefined;
  #opening = false;
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  #owner: Owner | undefined;
  #ownSession: OwnedSession | undefined;
  /** When another owner was last heard, by `performance.now()`. */
  #heardAtMs = Number.NEGATIVE_INFINITY;

  constructor(database: OwnableDatabase) {
    this.#database = database;
  }

  // --- what the page asks -------------------------------------------------------------------------------------------

  async enter(name: string, options: TabOptions, listener: (event: TabEvent) => void): Promise<void> {
    this.#name = name;
    this.#options = options;
    this.#tell = listener;
    this.#database.prepare(options);
    this.#election = new Election(name, webLocks());
    this.#control = new ControlChannel(name, (message) => this.#hear(message));
    const term = this.#newTerm();
    if (options.alive !== undefined) await holdForEver(options.alive, this.#ended.promise);
    // Unless the page has asked for something else meanwhile.
    if (term === this.#term) this.#standInLine();
  }

  async know(database: KnownDatabase): Promise<void> {
    this.#known = database;
  }

  async unlock(keyRecord: string): Promise<UnlockedKey | { readonly error: ErrorEnvelope }> {
    try {
      const unlocked = await this.#database.unlock(this.#options, keyRecord);
      this.#keep(unlocked);
      return unlocked;
    } catch (error) {
      return { error: toEnvelope(error) };
    }
  }

  /** In place of the password, which is not needed any more, also when another one is set. */
  #keep(unlocked: UnlockedKey | undefined): void {
    if (unlocked !== undefined) this.#options = { ...this.#options, encryption: unlocked };
  }

  async stand(): Promise<void> {
    this.#standInLine();
  }

  async seize(isInvited: boolean): Promise<void> {
    if (this.#owner !== undefined || this.#opening) return;
    // It is in line as well: whichever comes first ends the other.
    const term = this.#newTerm();
    const isMissing = async (): Promise<boolean> => {
      const fromMs = performance.now();
      this.#post({ type: 'seek', client: this.#options.owner, worker: undefined });
      await new Promise((resolve) => setTimeout(resolve, lastCallMs));
      return this.#heardAtMs < fromMs && !term.signal.aborted;
    };
    // An owner that has made way says nothing more: there is nothing to listen for, and no lease of its to wait for.
    if (isInvited)
      await this.#election.seize(
        async () => !term.signal.aborted,
        (mandate) => this.#own({ ...mandate, seized: false }, term),
      );
    else await this.#election.seize(isMissing, (mandate) => this.#own(mandate, term));
    if (!term.signal.aborted && this.#owner === undefined) this.#standInLine();
  }

  async withdraw(): Promise<void> {
    this.#term?.abort();
    this.#term = undefined;
    await this.#owner?.handOver();
  }

  /** For one in a thread that lives on: lets everything go that the end of a thread would. */
  end(): void {
    this.#ended.resolve();
    const control = this.#control;
    // What it has to say about letting the database go is still heard.
    this.withdraw()
      .catch(() => {})
      .finally(() => setTimeout(() => control?.close()));
  }

  exchange(message: Message): Promise<Answer> {
    if (this.#ownSession === undefined)
      throw new Error('exchange was called before the worker owned the database');
    return this.#ownSession.exchange(message);
  }

  async ping(): Promise<number> {
    return this.#owner?.epoch ?? 0;
  }

  async accept(port: MessagePort, alive: string | undefined): Promise<void> {
    const session = this.#serve(port, alive);
    if (session === undefined) return port.close();
    session.onEnd = () => port.close();
    // Where the browser tells, a closed port is a client that is gone.
    port.addEventListener('close', () => session.end());
  }

  // --- the line -----------------------------------------------------------------------------------------------------

  #newTerm(): AbortController {
    this.#term?.abort();
    this.#term = new AbortController();
    return this.#term;
  }

  #standInLine(): void {
    if (this.#owner !== undefined || this.#opening) return;
    const term = this.#newTerm();
    this.#election.stand(term.signal).then(
      (mandate) => this.#own(mandate, term),
      () => {},
    );
  }

  async #own(mandate: Mandate, term: AbortController): Promise<void> {
    if (term.signal.aborted || this.#opening || this.#owner !== undefined) return mandate.release();
    this.#opening = true;
    const { promise: ended, resolve: end } = Promise.withResolvers<Ending>();
    mandate.taken.then(() => end({ state: 'taken', message: 'another tab took the database over' }));
    try {
      const known = this.#known;
      const blocked = (): void => this.#tell({ type: 'blocked' });
      const database = await this.#database.open(this.#name, this.#options, known, end, blocked);
      // Whoever had it may answer from memory for so long yet.
      if (mandate.seized) await new Promise((resolve) => setTimeout(resolve, leaseMs));
      this.#opening = false;
      this.#reign(new Owner(database), mandate, term, ended);
    } catch (error) {
      this.#opening = false;
      mandate.release();
      if (term === this.#term) this.#tell({ type: 'failed', error: toEnvelope(error) });
    }
  }

  #reign(owner: Owner, mandate: Mandate, term: AbortController, ended: Promise<Ending>): void {
    const { epoch, identity } = owner;
    this.#owner = owner;
    // The page closes its database: others go on with it.
    this.#ownSession = owner.session(() => this.withdraw());
    const unlocked = owner.encryption?.unlocked;
    this.#keep(unlocked);
    this.#tell({ type: 'owning', epoch, identity, build: thisBuild, unlocked });
    this.#post(this.#sign(owner));
    ended.then((why) => {
      if (this.#owner !== owner) return;
      owner.abandon();
      this.#leave(owner, mandate, why);
    });
    const letGo = async (): Promise<void> => {
      await owner.handOver().catch(() => owner.abandon());
      if (this.#owner !== owner) return;
      this.#post({ type: 'gone', owner: this.#options.owner, epoch });
      this.#leave(owner, mandate, undefined);
    };
    if (term.signal.aborted) letGo();
    else term.signal.addEventListener('abort', letGo, { once: true });
  }

  #leave(owner: Owner, mandate: Mandate, why: Ending | undefined): void {
    if (this.#owner === owner) this.#owner = undefined;
    mandate.release();
    this.#tell({ type: 'ended', why });
    if (this.#term !== undefined) this.#standInLine();
  }

  // --- other tabs ---------------------------------------------------------------------------------------------------

  #post(message: ControlMessage): void {
    this.#control?.post(message);
  }

  #sign({ epoch, identity, encryption }: Owner): OwnerSign {
    const { owner, broker } = this.#options;
    const keyRecord = encryption && JSON.stringify(encryption.record);
    return { type: 'owner', owner, epoch, identity, build: thisBuild, broker, keyRecord };
  }

  #hear(message: ControlMessage): void {
    const self = this.#options.owner;
    // Not `busy`: that is a page's word for its worker, which has been waited for long enough by whoever seizes.
    if (message.type === 'owner' || message.type === 'opening') {
      if (message.owner !== self) this.#heardAtMs = performance.now();
      // A later owner: it may be known here before the fence is met.
      const { epoch, identity } = this.#owner ?? {};
      if (message.type === 'owner' && message.identity === identity && message.epoch > (epoch ?? 0))
        this.#owner?.confirmNow();
      return;
    }
    if (message.type === 'seek') {
      if (message.worker !== self) this.#answerSeeker();
      return;
    }
    if (this.#owner === undefined || !('owner' in message) || message.owner !== self) return;
    if (message.type === 'connect') this.#connect(message.channel, message.client);
    else if (message.type === 'yield' && compareBuilds(message.build, thisBuild) > 0)
      this.#makeWay(message.client);
  }

  async #answerSeeker(): Promise<void> {
    if (this.#opening) this.#post({ type: 'opening', owner: this.#options.owner });
    const owner = this.#owner;
    if (owner === undefined) return;
    // Who slept may not know that it is the owner no more.
    await owner.confirmed();
    if (owner.isOver) return;
    this.#post(this.#sign(owner));
    this.#tell({ type: 'wanted' });
  }

  #connect(channel: string, client: string): void {
    const endpoint = new ChannelEndpoint(pairChannel(this.#name, channel));
    const session = this.#serve(endpoint, webLocks() === undefined ? undefined : aliveLock(client));
    if (session === undefined) {
      endpoint.close();
      return;
    }
    session.onEnd = () => endpoint.close();
    this.#post({ type: 'connected', channel });
  }

  /** Exposes a session of its own to a client. `undefined` when the worker does not own the database. */
  #serve(endpoint: Comlink.Endpoint, alive: string | undefined): OwnedSession | undefined {
    const owner = this.#owner;
    if (owner === undefined || owner.refusing) return undefined;
    const session = owner.session();
    const exposed = {
      exchange: (message: Message) => session.exchange(message),
      ping: () => session.ping(),
    };
    Comlink.expose(exposed, endpoint);
    if (alive !== undefined) navigator.locks.request(alive, () => session.end()).catch(() => {});
    return session;
  }

  /** Lets a newer build have the database: it follows by stealing the lock, so that nobody else comes between. */
  async #makeWay(client: string): Promise<void> {
    const owner = this.#owner;
    if (owner === undefined || owner.refusing) return;
    await owner.handOver().catch(() => owner.abandon());
    this.#post({ type: 'yielded', client });
    setTimeout(() => {
      if (this.#owner !== owner) return;
      // Nobody followed.
      this.#newTerm();
    }, makeWayMs);
  }
}
