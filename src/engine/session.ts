/**
 * A session: one caller's view of a database. It parses what the caller passed, knows the caller's current space and open
 * scans, and turns calls into operations and reads. Everything is checked here, where the data is, whoever calls.
 *
 * A call answers without a promise where it can: a packed message of a thousand gets is then answered at once.
 */

import type {
  ArgumentsOf,
  CallContext,
  InSpace,
  Method,
  ResultOf,
  SessionState,
  SignedIn,
} from '../api/calls.ts';
import type { SpaceDescription, SpaceInfo, Stats } from '../api/database.ts';
import { shibuDbError } from '../api/errors.ts';
import { invalid, shown } from '../base/arguments.ts';
import type { BufferPool } from '../base/buffer-pool.ts';
import type { ValuePool } from '../base/value-pool.ts';
import { metadataPart } from '../space/parts.ts';
import type { Access } from './access.ts';
import type { DatabaseEngine } from './database-engine.ts';
import { EventCalls } from './event-calls.ts';
import { type Handlers, type HandlersOf, partOf, type SessionPart } from './handlers.ts';
import { parseNewSpace } from './new-space.ts';
import { keyValuePart, maintenancePart, secretsPart, vectorsPart } from './parts.ts';
import { ScanCalls } from './scan-calls.ts';
import { SpaceAccess } from './space-access.ts';
import type { StreamCalls } from './stream-calls.ts';

export class Session implements HandlersOf<'session'> {
  readonly #engine: DatabaseEngine;
  readonly #onClose: () => Promise<void>;
  readonly #spaces: SpaceAccess;
  readonly #scans: ScanCalls;
  #streams: StreamCalls | undefined;
  #access: Access | undefined;
  readonly #events: EventCalls;
  #buffers: BufferPool | undefined;
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
    this.#events = new EventCalls(engine.events, (space) => this.#guard()?.maySee(space) ?? true);
    const parts: { [P in SessionPart]: HandlersOf<P> | (() => HandlersOf<P> | Promise<HandlersOf<P>>) } = {
      session: this,
      keyValue: () =>
        keyValuePart.use(({ BufferPool, KeyValueCalls }) => {
          this.#buffers ??= new BufferPool();
          return new KeyValueCalls(this.#spaces, this.#scans, pool, this.#buffers);
        }),
      vectors: () => {
        const make = ({ VectorCalls }: typeof vectorsPart.loaded) =>
          new VectorCalls(this.#spaces, this.#scans);
        // All that spaces which are there take: calls on one of them keep the order they came in.
        const hasMetadata = engine.listSpaces().some(({ metadataFields }) => metadataFields !== undefined);
        return hasMetadata && !metadataPart.isLoaded
          ? Promise.all([vectorsPart.load(), metadataPart.load()]).then(([part]) => make(part))
          : vectorsPart.use(make);
      },
      streams: () =>
        keyValuePart.use(({ StreamCalls }) => {
          this.#streams ??= new StreamCalls(this.#spaces);
          return this.#streams;
        }),
      scans: this.#scans,
      events: this.#events,
      maintenance: () => maintenancePart.use(({ MaintenanceCalls }) => new MaintenanceCalls(engine)),
      users: async () => {
        const { UserCalls } = await secretsPart.load();
        return new UserCalls(engine.users, await engine.users.accounts(), this.#makeAccess());
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
    const handlers = this.#handlers.get(method);
    if (handlers === undefined) {
      const methods = Object.keys(partOf).join(', ');
      throw invalid(`Got ${shown(method)} for a method, expected one of ${methods}`);
    }
    return this.#run(method, args, context, handlers);
  }

  #run<M extends Method>(
    method: M,
    args: ArgumentsOf<M>,
    context: CallContext,
    found: unknown,
  ): ResultOf<M> | Promise<ResultOf<M>> {
    const allow = this.#guard()?.check(method, args);
    let handlers = found;
    if (typeof found === 'function') {
      handlers = found();
      if (handlers instanceof Promise) return this.#runLater(method, args, context, found, handlers);
      this.#adopt(found, handlers);
    }
    const given = allow === undefined ? context : { ...context, allow };
    return (handlers as Pick<Handlers, M>)[method](args, given);
  }

  /** The same once the part is there. It was accepted now: whoever closes lets it begin first. @throws SCRIPT_UNAVAILABLE */
  #runLater<M extends Method>(
    method: M,
    args: ArgumentsOf<M>,
    context: CallContext,
    make: unknown,
    making: Promise<unknown>,
  ): Promise<ResultOf<M>> {
    const { beginning } = this.#engine;
    // Which space is the current one may have changed by then.
    const settled = { ...args, space: (args as Partial<InSpace>).space ?? this.#spaces.current };
    const begun = making.then((made) => {
      this.#adopt(make, made);
      try {
        // Inside an object nobody waits for the answer.
        return { answer: this.#run(method, settled, context, this.#handlers.get(method)) };
      } catch (error) {
        context.onRefused?.(error, settled);
        throw error;
      }
    });
    const onBegun = (): void => {
      beginning.delete(begun);
    };
    beginning.add(begun);
    begun.then(onBegun, onBegun);
    return begun.then(({ answer }) => answer);
  }

  /** The first ones that were made are those of all calls of their part. */
  #adopt(make: unknown, made: unknown): void {
    for (const [method, handlers] of this.#handlers) if (handlers === make) this.#handlers.set(method, made);
  }

  /** Who checks every call, once there are users: until then everybody may do everything. */
  #guard(): Access | undefined {
    return this.#access ?? (this.#engine.users.any ? this.#makeAccess() : undefined);
  }

  /** Requires: the part for users is loaded, as it is where there are any. */
  #makeAccess(): Access {
    this.#access ??= new secretsPart.loaded.Access(this.#engine.users, {
      current: () => this.#spaces.current,
      scanned: (scan) => this.#scans.spaceOf(scan),
      uploaded: (upload) => this.#streams?.spaceOf(upload),
    });
    return this.#access;
  }

  /** Takes the buffer of an answer back, to be used for another. Requires: whoever got it needs its contents no more. */
  giveBack(buffer: ArrayBuffer): void {
    this.#buffers?.give(buffer);
  }

  /** Makes this session what another one was, whatever it was itself. */
  resumeSession(state: SessionState): SignedIn | undefined {
    if (state.token !== undefined && !this.#engine.users.any)
      this.#engine.users.authenticateByToken(state.token);
    const signedIn = this.#guard()?.resume(state);
    this.#spaces.resume(state.space);
    this.#scans.closeAll();
    this.#streams?.closeAll();
    this.#events.close();
    return signedIn;
  }

  // --- spaces -----------------------------------------------------------------------------------------------------

  async createSpace({ name, engine, options }: ArgumentsOf<'createSpace'>): Promise<undefined> {
    await this.#engine.createSpace(await parseNewSpace(name, engine, options));
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
    this.#streams?.closeAll();
    this.#events.close();
    if (this.#closed) return;
    this.#closed = true;
    await this.#onClose();
  }
}
