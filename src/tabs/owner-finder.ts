/**
 * A page's side of sharing a database: finds out which tab's worker owns it, connects to that, notices when it is gone, and
 * keeps this page's own worker in line to be the next.
 *
 * Nothing runs while nobody waits: an owner is looked for when a call needs one, and watched while calls to it are open.
 * What is said on the control channel connects an idle page to a new owner as well.
 */

import { fromEnvelope } from '../api/error-envelope.ts';
import { type ErrorCode, type ShibuDbError, shibuDbError } from '../api/errors.ts';
import { compareBuilds, thisBuild } from '../base/build.ts';
import { assertSameEncryption } from '../base/same-encryption.ts';
import { withTimeout } from '../base/with-timeout.ts';
import type { WorkerOpenOptions } from '../rpc/messages.ts';
import type { Secret, UnlockedKey } from '../storage/encryption/key-record.ts';
import { type Broker, BrokerLink } from './broker-link.ts';
import { ControlChannel, type ControlMessage, type OwnerSign } from './control.ts';
import { Link } from './link.ts';
import type { Ending, KnownDatabase, TabEvent } from './messages.ts';
import { aliveLock, answers, ownerLock, randomId, webLocks } from './names.ts';
import { OwnWorker } from './own-worker.ts';
import { Watch } from './watch.ts';

export interface FinderOptions {
  readonly name: string;
  /** Makes this page's worker; called again when one dies. `undefined` when there is no other to be had. */
  readonly spawnWorker: () => Worker | undefined;
  readonly broker: Broker | undefined;
  readonly worker: WorkerOpenOptions;
  /** How long an owner may give no sign while somebody waits for it. */
  readonly ownerTimeoutMs: number;
}

export interface FinderListener {
  /** From here on calls go this way. */
  onLink(link: Link): void;
  /** The link is gone; what it has not answered it will not answer. */
  onUnlink(link: Link, reason: string): void;
  /** Looking for the owner has failed; finally, or until it is tried again. */
  onFailed(error: ShibuDbError, isFinal: boolean): void;
  /** Something befell this page's own connection to the storage. */
  onConnection(state: 'blocked' | Ending['state'], message: string): void;
}

/** How often it is looked how long the owner has been silent: so often in the time that it may be, and not less than that. */
const ticks = 10;
const tickMsMax = 250;
/** The share of its time after which an owner is asked whether it is there, and after which everybody is. */
const pingAfter = 0.2;
const seekAfter = 0.5;
/** How long a new connection may take to answer before another way is tried. */
const connectMs = 1500;
/** A long computation may keep a worker from answering: while its page says that it lives, it gets so much longer. */
const busyFactor = 6;
/** After these the page can do nothing with the database any more. */
const finalCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'STORAGE_LOST',
  'VERSION_MISMATCH',
  'INVALID_CREDENTIALS',
  'ENCRYPTED',
  'NOT_ENCRYPTED',
]);
/** How often an older build is asked to make way. */
const yieldsMax = 20;

export class OwnerFinder {
  readonly #options: FinderOptions;
  readonly #listener: FinderListener;
  readonly #self: string = randomId();
  readonly #control: ControlChannel;
  readonly #broker: BrokerLink | undefined;
  readonly #watch: Watch;
  /** Channels that a client waits to be connected through. */
  readonly #channels: Map<string, () => void> = new Map();
  readonly #lifetime: AbortController = new AbortController();
  #worker: OwnWorker | undefined;
  #isStanding = false;
  #known: KnownDatabase | undefined;
  #link: Link | undefined;
  #connectingTo: number | undefined;
  /** An owner whose port fell silent while the owner did not. */
  #portless: string | undefined;
  /** When the owner that the page is linked to was last heard on the control channel. */
  #spokeAtMs = Number.NEGATIVE_INFINITY;
  #yieldsAsked = 0;
  #isBusy = false;
  #isPinging = false;
  #isSuspended = false;
  #alive: AbortController | undefined;
  /** What the caller gave to open the database with; the unlocked key from when that is known. */
  #secret: Secret | undefined;
  /** The page could open the database by itself. */
  #isAdmitted = false;

  constructor(options: FinderOptions, listener: FinderListener) {
    this.#options = options;
    this.#secret = options.worker.encryption;
    this.#listener = listener;
    this.#watch = new Watch(Math.min(tickMsMax, options.ownerTimeoutMs / ticks), (silentMs) =>
      this.#tick(silentMs),
    );
    this.#control = new ControlChannel(options.name, (message) => this.#hear(message));
    if (options.broker !== undefined) {
      this.#broker = new BrokerLink(options.broker, options.name, (port, alive) =>
        this.#worker?.accept(port, alive),
      );
    }
  }

  get link(): Link | undefined {
    return this.#link;
  }

  get hasBroker(): boolean {
    return this.#broker?.isUsable === true;
  }

  /** Looks for the owner until there is one, or `onFailed`. */
  seek(): void {
    if (this.#isSuspended || this.#lifetime.signal.aborted) return;
    // It refuses what is asked of it, and may be gone before it can say that it lets go.
    if (this.#link !== undefined) {
      this.await(true);
      return;
    }
    this.#standInLine();
    if (!this.#watch.start()) return;
    this.#post(this.#seekMessage());
    if (this.#worker === undefined) this.#failIfAlone();
  }

  /** Whether anybody waits for answers of the owner: then it is watched. */
  await(answers: boolean): void {
    if (this.#link === undefined) return;
    // A page can tell when its own worker dies; how long that computes is its own affair.
    if (answers && this.#link.way !== 'worker') this.#watch.start();
    else this.#watch.stop();
  }

  /** The owner has answered. */
  hear(): void {
    this.#isBusy = false;
    this.#watch.hear();
  }

  /** The owner said that it is none any more. */
  dismiss(link: Link): void {
    if (link === this.#link) this.#unlink('it let the database go');
  }

  /** The page is frozen or kept for later: others must not wait for it. */
  suspend(hasOpenCalls: boolean): void {
    this.#isSuspended = true;
    this.#isStanding = false;
    this.#worker?.withdraw();
    if (this.#link?.way === 'worker' || hasOpenCalls) return;
    this.#unlink('the page was suspended');
    this.#alive?.abort();
    this.#alive = undefined;
  }

  resume(): void {
    if (!this.#isSuspended) return;
    this.#isSuspended = false;
    this.#standInLine();
  }

  leave(): void {
    this.#lifetime.abort();
    this.#watch.stop();
    this.#control.close();
    this.#broker?.close();
    this.#alive?.abort();
    this.#link?.close();
    this.#link = undefined;
    this.#worker?.end();
  }

  // --- this page's worker -------------------------------------------------------------------------------------------

  #standInLine(): void {
    if (this.#worker === undefined) this.#spawn();
    else if (!this.#isStanding) this.#worker.stand();
    this.#isStanding = true;
  }

  #spawn(): void {
    const { name, worker: options, spawnWorker } = this.#options;
    const spawned = spawnWorker();
    if (spawned === undefined) return;
    const worker = new OwnWorker(spawned, {
      onEvent: (event) => this.#onEvent(worker, event),
      onLost: (reason) => this.#onWorkerLost(worker, reason),
    });
    this.#worker = worker;
    if (this.#known !== undefined) worker.know(this.#known);
    worker
      .enter(name, { ...options, encryption: this.#secret }, this.#broker?.address)
      .catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        if (worker === this.#worker)
          this.#fail(shibuDbError('WORKER_LOST', `The worker failed: ${reason}`), false);
      });
  }

  #onEvent(worker: OwnWorker, event: TabEvent): void {
    if (worker !== this.#worker) return;
    if (event.type === 'owning') {
      this.#admit(event.unlocked);
      this.#know(event);
      this.#use(new Link(worker.id, event.epoch, 'worker', worker.endpoint));
    } else if (event.type === 'ended') {
      if (this.#link?.owner === worker.id) this.#unlink(event.why?.message ?? 'it let the database go');
      if (event.why !== undefined) this.#listener.onConnection(event.why.state, event.why.message);
    } else if (event.type === 'failed') {
      this.#isStanding = false;
      const error = fromEnvelope(event.error);
      this.#fail(error, finalCodes.has(error.code));
    } else if (event.type === 'wanted') {
      this.#broker?.register(worker.id);
    } else {
      this.#listener.onConnection('blocked', 'an older connection keeps the storage from being opened');
    }
  }

  #onWorkerLost(worker: OwnWorker, reason: string): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    this.#isStanding = false;
    if (!worker.hasEntered) {
      this.#fail(shibuDbError('WORKER_LOST', `The database's worker is gone: ${reason}`), false);
      return;
    }
    if (this.#link?.owner === worker.id) this.#unlink(reason);
    // Back in line; but one that died at once is replaced only when a call needs it.
    if (performance.now() - worker.bornAtMs > 1000 && !this.#isSuspended) this.#standInLine();
  }

  // --- the owner ----------------------------------------------------------------------------------------------------

  #use(link: Link): void {
    if (this.#link !== undefined) this.#unlink('another took the database over');
    this.#link = link;
    this.#isBusy = false;
    this.#isPinging = false;
    this.#watch.stop();
    if (link.way !== 'worker') this.#watchLife(link);
    this.#listener.onLink(link);
  }

  /** Notices at once when the owner dies: it holds this lock as long as it lives. */
  #watchLife(link: Link): void {
    const options: LockOptions = { mode: 'shared', signal: link.closed };
    webLocks()
      ?.request(aliveLock(link.owner), options, async () => {
        const isAlive = await answers(link.ping());
        if (link === this.#link && !isAlive) this.#unlink('it has ended');
      })
      .catch(() => {});
  }

  #unlink(reason: string): void {
    const link = this.#link;
    if (link === undefined) return;
    this.#link = undefined;
    this.#isBusy = false;
    this.#watch.stop();
    link.close();
    this.#listener.onUnlink(link, reason);
  }

  #fail(error: ShibuDbError, isFinal: boolean): void {
    this.#watch.stop();
    // Who can do nothing with the database any more must not stand in the way of others.
    if (isFinal) this.leave();
    this.#listener.onFailed(error, isFinal);
  }

  #know({ identity, epoch }: KnownDatabase): void {
    this.#known = { identity, epoch: Math.max(epoch, this.#known?.epoch ?? 0) };
    this.#worker?.know(this.#known);
  }

  #post(message: ControlMessage): void {
    if (!this.#lifetime.signal.aborted) this.#control.post(message);
  }

  #seekMessage(): ControlMessage {
    return { type: 'seek', client: this.#self, worker: this.#worker?.id };
  }

  #tick(silentMs: number): void {
    const { ownerTimeoutMs } = this.#options;
    const limitMs = this.#isBusy ? ownerTimeoutMs * busyFactor : ownerTimeoutMs;
    if (this.#link === undefined) {
      this.#post(this.#seekMessage());
    } else if (silentMs > ownerTimeoutMs * pingAfter) {
      this.#ping(this.#link);
      // Whether it is the owner that is silent or only the way to it.
      if (silentMs > ownerTimeoutMs * seekAfter) this.#post(this.#seekMessage());
    }
    if (silentMs < limitMs) return;
    this.#watch.hear();
    if (this.#link !== undefined && this.#spokeAtMs > performance.now() - limitMs * seekAfter) {
      // The owner speaks, but its answers do not get here: another way is needed, not another owner.
      this.#portless = this.#link.owner;
      this.#unlink('its answers do not arrive');
      this.seek();
      return;
    }
    this.#unlink('it gives no sign');
    this.#seize();
  }

  #ping(link: Link): void {
    if (this.#isPinging) return;
    this.#isPinging = true;
    link.ping().then(
      (epoch) => {
        if (link !== this.#link) return;
        this.#isPinging = false;
        if (epoch === link.epoch) this.hear();
      },
      () => {},
    );
  }

  /** Nobody answers for the database: takes it, or says that it cannot. */
  #seize(): void {
    this.seek();
    if (this.#worker === undefined) {
      this.#failIfAlone();
    } else {
      this.#isStanding = true;
      this.#worker.seize();
    }
  }

  /** Without a worker of its own a page depends on those of others. */
  async #failIfAlone(): Promise<void> {
    const locks = await webLocks()?.query();
    const name = ownerLock(this.#options.name);
    const others = [...(locks?.held ?? []), ...(locks?.pending ?? [])].some((lock) => lock.name === name);
    if (others || this.#link !== undefined) return;
    this.#fail(
      shibuDbError('WORKER_LOST', "The database's worker is gone, and no other tab has it open"),
      false,
    );
  }

  // --- what is said on the control channel -----------------------------------------------------------------------------

  #hear(message: ControlMessage): void {
    switch (message.type) {
      case 'owner':
        if (message.owner !== this.#worker?.id) this.#hearOwner(message);
        return;
      case 'opening':
        if (this.#link === undefined) this.#watch.hear();
        return;
      case 'busy':
        this.#isBusy = true;
        return;
      case 'gone':
        if (message.owner === this.#link?.owner) this.#unlink('it let the database go');
        return;
      case 'connected':
        this.#channels.get(message.channel)?.();
        return;
      case 'yielded':
        if (message.client === this.#self) this.#worker?.seize(true);
        return;
      case 'seek':
        if (this.#link?.way === 'worker') this.#post({ type: 'busy', owner: this.#link.owner });
    }
  }

  #hearOwner(sign: OwnerSign): void {
    if (this.#isSuspended) return;
    if (this.#known !== undefined && sign.identity !== this.#known.identity) {
      this.#unlink('its data was deleted');
      const message = `The data of "${this.#options.name}" was deleted while it was open; open it again to begin anew`;
      this.#fail(shibuDbError('STORAGE_LOST', message), true);
      return;
    }
    if (sign.epoch < (this.#known?.epoch ?? 0)) return;
    if (this.#link === undefined) {
      this.#watch.hear();
    } else if (sign.epoch === this.#link.epoch) {
      this.#spokeAtMs = performance.now();
      return;
    } else {
      this.#unlink('another took the database over');
    }
    if (this.#isRefused(sign)) return;
    this.#know(sign);
    this.#connect(sign);
  }

  /** Whether this build can do nothing with an owner of another one. */
  #isRefused({ owner, build }: OwnerSign): boolean {
    if (build.format > thisBuild.format || build.protocol > thisBuild.protocol) {
      const found = `version ${build.version}, format ${build.format}, protocol ${build.protocol}`;
      const own = `version ${thisBuild.version}, format ${thisBuild.format}, protocol ${thisBuild.protocol}`;
      const message = `A newer Shibumi in another tab owns "${this.#options.name}" (${found}); this page has ${own}: reload it`;
      this.#fail(shibuDbError('VERSION_MISMATCH', message), true);
      return true;
    }
    if (compareBuilds(build, thisBuild) >= 0 || this.#worker === undefined) return false;
    const isSame = build.format === thisBuild.format && build.protocol === thisBuild.protocol;
    // One that does not make way can be lived with where both speak the same.
    if (isSame && this.#yieldsAsked++ >= yieldsMax) return false;
    this.#standInLine();
    this.#post({ type: 'yield', owner, client: this.#self, build: thisBuild });
    return true;
  }

  async #connect(sign: OwnerSign): Promise<void> {
    if (this.#connectingTo === sign.epoch) return;
    this.#connectingTo = sign.epoch;
    try {
      if (!(await this.#mayUse(sign))) return;
      await this.#announceLife();
      const link = (await this.#overPort(sign)) ?? (await this.#overChannel(sign));
      if (link === undefined) return;
      const isWanted = !this.#lifetime.signal.aborted && !this.#isSuspended;
      if (isWanted && link.epoch >= (this.#known?.epoch ?? 0) && link.owner !== this.#worker?.id)
        this.#use(link);
      else link.close();
    } finally {
      if (this.#connectingTo === sign.epoch) this.#connectingTo = undefined;
    }
  }

  /** Whether this page could open the owner's database by itself; else it fails for good. */
  async #mayUse({ keyRecord }: OwnerSign): Promise<boolean> {
    if (this.#isAdmitted) return true;
    try {
      assertSameEncryption(keyRecord !== undefined, this.#secret !== undefined, this.#options.name);
      // Without a worker there is nobody to unlock it: the page looks for the owner again when it has one.
      if (keyRecord !== undefined && this.#worker === undefined) return false;
      this.#admit(keyRecord === undefined ? undefined : await this.#worker?.unlock(keyRecord));
      return true;
    } catch (error) {
      this.#fail(error as ShibuDbError, true);
      return false;
    }
  }

  #admit(unlocked: UnlockedKey | undefined): void {
    this.#isAdmitted = true;
    this.#secret = unlocked;
  }

  /** Holds a lock as long as this page is a client: an owner that gets it can forget the session. */
  async #announceLife(): Promise<void> {
    const locks = webLocks();
    if (locks === undefined || this.#alive !== undefined) return;
    const alive = new AbortController();
    this.#alive = alive;
    await new Promise<void>((resolve) => {
      const held = new Promise<void>((release) => alive.signal.addEventListener('abort', () => release()));
      locks
        .request(aliveLock(this.#self), () => {
          resolve();
          return held;
        })
        .catch(() => resolve());
    });
  }

  async #overPort(sign: OwnerSign): Promise<Link | undefined> {
    const broker = this.#broker;
    if (broker?.isUsable !== true || broker.address !== sign.broker || this.#portless === sign.owner)
      return undefined;
    const alive = webLocks() === undefined ? undefined : aliveLock(this.#self);
    const port = broker.connect(sign.owner, alive);
    return port === undefined ? undefined : this.#tried(Link.overPort(sign, port));
  }

  async #overChannel(sign: OwnerSign): Promise<Link | undefined> {
    const channel = randomId();
    const link = Link.overChannel(sign, this.#options.name, channel);
    const connected = new Promise<void>((resolve) => this.#channels.set(channel, resolve));
    this.#post({ type: 'connect', owner: sign.owner, client: this.#self, channel });
    return this.#tried(link, connected).finally(() => this.#channels.delete(channel));
  }

  /** The link if the owner answers on it in time. */
  async #tried(link: Link, connected: Promise<void> = Promise.resolve()): Promise<Link | undefined> {
    const answer = connected.then(() => link.ping());
    const epoch = await withTimeout(answer, connectMs, () => new Error('no answer')).catch(() => undefined);
    if (epoch === link.epoch) return link;
    link.close();
    return undefined;
  }
}
