/**
 * A session: one caller's view of a database. It parses what the caller passed, knows the caller's current space and open
 * scans, and turns calls into operations and reads. Everything is checked here, where the data is, whoever calls.
 *
 * A call answers without a promise where it can: a packed message of a thousand gets is then answered at once.
 */

import type { ArgumentsOf, CallContext, Method, ResultOf, SessionState, SignedIn } from '../api/calls.ts';
import type { SpaceDescription, SpaceInfo, Stats } from '../api/database.ts';
import { shibuDbError } from '../api/errors.ts';
import { invalid, shown } from '../base/arguments.ts';
import { BufferPool } from '../base/buffer-pool.ts';
import type { ValuePool } from '../base/value-pool.ts';
import { Access } from './access.ts';
import type { DatabaseEngine } from './database-engine.ts';
import { EventCalls } from './event-calls.ts';
import { type Handlers, type HandlersOf, partOf, type SessionPart } from './handlers.ts';
import { KeyValueCalls } from './key-value-calls.ts';
import { parseNewSpace } from './new-space.ts';
import { maintenancePart, usersPart } from './parts.ts';
import { ScanCalls } from './scan-calls.ts';
import { SpaceAccess } from './space-access.ts';
import { StreamCalls } from './stream-calls.ts';
import { VectorCalls } from './vector-calls.ts';

export class Session implements HandlersOf<'session'> {
  readonly #engine: DatabaseEngine;
  readonly #onClose: () => Promise<void>;
  readonly #spaces: SpaceAccess;
  readonly #scans: ScanCalls;
  readonly #streams: StreamCalls;
  readonly #access: Access;
  readonly #events: EventCalls;
  readonly #buffers: BufferPool = new BufferPool();
  /** By method; a function makes those whose script is loaded first. */
  readonly #handlers: Map<Method, unknown> = new Map();
  #closed = false;

  /**
   * `onClose` runs after the session has ended: the engine itself belongs to whoever opened it. `pool`: what short values are taken from,
   * where they reach the caller as they are; default, each has its own buffer, because a message would carry all of a shared one.
   */
  constructor(engine: DatabaseEngine, onClose: () => Promise<void> = async () => {}, pool?: ValuePool) {
    this.#engine = engine;
    this.#onClose = onClose;
    this.#spaces = new SpaceAccess(engine);
    this.#scans = new ScanCalls(engine);
    this.#streams = new StreamCalls(this.#spaces);
    this.#access = new Access(engine.users, {
      current: () => this.#spaces.current,
      scanned: (scan) => this.#scans.spaceOf(scan),
      uploaded: (upload) => this.#streams.spaceOf(upload),
    });
    this.#events = new EventCalls(engine.events, (space) => this.#access.maySee(space));
    const parts: { [P in SessionPart]: HandlersOf<P> | (() => Promise<HandlersOf<P>>) } = {
      session: this,
      keyValue: new KeyValueCalls(this.#spaces, this.#scans, pool, this.#buffers),
      vectors: new VectorCalls(this.#spaces, this.#scans),
      streams: this.#streams,
      scans: this.#scans,
      events: this.#events,
      maintenance: async () => new (await maintenancePart.load()).MaintenanceCalls(engine),
      users: async () => {
        const { UserCalls } = await usersPart.load();
        return new UserCalls(engine.users, await engine.users.accounts(), this.#access);
      },
    };
    for (const [method, part] of Object.entries(partOf)) this.#handlers.set(method as Method, parts[part]);
  }

  /**
   * Runs a call by name, if whoever is signed in may make it.
   * @throws what the call throws; NOT_AUTHENTICATED, PERMISSION_DENIED; INVALID_ARGUMENT for a name there is not
   */
  call<M extends Method>(
    method: M,
    args: ArgumentsOf<M>,
    context: CallContext,
  ): ResultOf<M> | Promise<ResultOf<M>> {
    if (this.#closed && method !== 'close')
      throw shibuDbError('CLOSED', `${method} was called after close()`);
    const handlers = this.#handlers.get(method) as Pick<Handlers, M> | (() => Promise<unknown>) | undefined;
    if (handlers === undefined) {
      const methods = Object.keys(partOf).join(', ');
      throw invalid(`Got ${shown(method)} for a method, expected one of ${methods}`);
    }
    const allow = this.#access.check(method, args);
    if (typeof handlers === 'function') return this.#loadFor(method, args, context, handlers);
    return handlers[method](args, allow === undefined ? context : { ...context, allow });
  }

  /** Makes the handlers of all calls of a part, once, then the call, as if it came now. @throws SCRIPT_UNAVAILABLE */
  async #loadFor<M extends Method>(
    method: M,
    args: ArgumentsOf<M>,
    context: CallContext,
    make: () => Promise<unknown>,
  ): Promise<ResultOf<M>> {
    const made = await make();
    // Others may have waited too.
    if (this.#handlers.get(method) === make)
      for (const [other, handlers] of this.#handlers) if (handlers === make) this.#handlers.set(other, made);
    return this.call(method, args, context);
  }

  /** Takes the buffer of an answer back, to be used for another. Requires: whoever got it needs its contents no more. */
  giveBack(buffer: ArrayBuffer): void {
    this.#buffers.give(buffer);
  }

  /** Makes this session what another one was, whatever it was itself. */
  resumeSession(state: SessionState): SignedIn | undefined {
    const signedIn = this.#access.resume(state);
    this.#spaces.resume(state.space);
    this.#scans.closeAll();
    this.#streams.closeAll();
    this.#events.close();
    return signedIn;
  }

  // --- spaces -----------------------------------------------------------------------------------------------------

  async createSpace({ name, engine, options }: ArgumentsOf<'createSpace'>): Promise<undefined> {
    await this.#engine.createSpace(parseNewSpace(name, engine, options));
  }

  async deleteSpace({ name }: { name: string }): Promise<undefined> {
    await this.#engine.deleteSpace(name);
  }

  listSpaces(): SpaceInfo[] {
    return this.#engine.listSpaces();
  }

  useSpace({ name }: { name: string }): undefined {
    this.#spaces.use(name);
  }

  async describeSpace({ name }: { name: string }): Promise<SpaceDescription> {
    return this.#engine.describe(await this.#engine.resident(this.#engine.entryOf(name)));
  }

  // --- the database -----------------------------------------------------------------------------------------------

  async checkpoint(): Promise<undefined> {
    await this.#engine.checkpointAll();
  }

  stats(): Promise<Stats> {
    return this.#engine.stats();
  }

  async close(): Promise<undefined> {
    this.#scans.closeAll();
    this.#streams.closeAll();
    this.#events.close();
    if (this.#closed) return;
    this.#closed = true;
    await this.#onClose();
  }
}
