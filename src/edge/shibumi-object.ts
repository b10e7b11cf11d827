/**
 * A database as a Durable Object: one object, one database, over its SQLite storage. It answers HTTP (rest/), other Workers
 * by RPC (`connectObject`), and its own alarms, which do what timers do elsewhere: an object is put out of memory whenever
 * nobody calls it, and a timer would keep it there.
 *
 *   import wasm from 'shibumi/shibumi-relaxed.wasm';
 *   import { ShibumiObject } from 'shibumi/edge';
 *
 *   export class Notes extends ShibumiObject<Env> {
 *     options() {
 *       return { wasm, admin: { username: 'admin', password: this.env.ADMIN_PASSWORD } };
 *     }
 *   }
 */

import { DurableObject } from 'cloudflare:workers';
import type { Database, FirstAdmin } from '../api/database.ts';
import { shibuDbError } from '../api/errors.ts';
import { DatabaseClient } from '../client/database-client.ts';
import type { DatabaseEngine } from '../engine/database-engine.ts';
import { Session } from '../engine/session.ts';
import { DirectTransport } from '../local/direct-transport.ts';
import type { DurableSocket } from './durable-storage.ts';
import { ObjectSession } from './object-session.ts';
import { ObjectSockets } from './object-sockets.ts';
import { type ObjectStub, ObjectTransport } from './object-transport.ts';
import { defaultPrefix, type EdgeOptions, openEngine } from './open-engine.ts';
import { answerRest } from './rest/answer.ts';
import type { FormerOwner } from './sharding/former-owner.ts';
import { callThroughGate } from './sharding/shard-calls.ts';
import { ShardHost } from './sharding/shard-host.ts';

export abstract class ShibumiObject<Env = unknown> extends DurableObject<Env> {
  #opening: Promise<DatabaseEngine> | undefined;
  #sockets: ObjectSockets | undefined;
  #shards: ShardHost | undefined;
  readonly #peers: Map<string, Promise<FormerOwner>> = new Map();
  /** When the alarm is set for, as far as this instance knows. */
  #alarmAtMs: number = Number.POSITIVE_INFINITY;

  /**
   * What the database is opened with; read when it is first needed. Without users nothing can be done with an object from
   * outside: name an `admin`, its password from a secret.
   */
  protected abstract options(): Omit<EdgeOptions, 'log'>;

  /**
   * The stub of another object of this class, by name: needed where spaces are sharded over several of them.
   * @throws UNSUPPORTED unless it is overridden
   */
  protected peer(name: string): ObjectStub {
    throw shibuDbError(
      'UNSUPPORTED',
      `The object cannot reach the shard "${name}": override peer(name) to give its stub`,
    );
  }

  /** Answers a request: a WebSocket of the bridge, or the REST front, where credentials come with each. See docs/edge.md. */
  async fetch(request: Request): Promise<Response> {
    if (request.headers.get('upgrade')?.toLowerCase() === 'websocket') return this.#accept(request);
    return this.#use(async (engine) => {
      const session = this.#sessionOf(engine);
      try {
        return await answerRest(request, session, () => assertUsers(engine));
      } finally {
        await session.call('close', {}, {});
      }
    });
  }

  async #accept(request: Request): Promise<Response> {
    const engine = await this.#engine();
    try {
      assertUsers(engine);
    } catch (error) {
      return Response.json({ error: (error as Error).message, code: 'NO_USERS' }, { status: 403 });
    }
    return this.#socketsOver(engine).accept(request, request.headers.get('cf-connecting-ip') ?? '');
  }

  async webSocketMessage(socket: DurableSocket, message: ArrayBuffer | string): Promise<void> {
    await this.#socketsOver(await this.#engine()).message(socket, message);
  }

  async webSocketClose(socket: DurableSocket): Promise<void> {
    await this.#sockets?.closed(socket);
  }

  async webSocketError(socket: DurableSocket): Promise<void> {
    await this.#sockets?.closed(socket);
  }

  #socketsOver(engine: DatabaseEngine): ObjectSockets {
    this.#sockets ??= new ObjectSockets(
      this.ctx,
      () => this.#sessionOf(engine),
      () => {
        this.#tendLater(engine).catch(() => {});
      },
    );
    return this.#sockets;
  }

  /**
   * The database for methods of your own, as the admin of the options: they decide who may call them. Sessions are cheap;
   * close it or let it go with the object.
   */
  protected async database(): Promise<Database> {
    const engine = await this.#engine();
    const session = await this.#asAdmin(engine, this.#sessionOf(engine));
    const call: Session['call'] = async (method, args, context) => {
      try {
        return await session.call(method, args, context);
      } finally {
        await this.#tendLater(engine);
      }
    };
    return new DatabaseClient(new DirectTransport({ call }));
  }

  async #asAdmin<Kind extends Pick<Session, 'call'>>(engine: DatabaseEngine, session: Kind): Promise<Kind> {
    const admin = engine.users.find(this.options().admin?.username ?? '');
    if (admin !== undefined)
      await session.call('resumeSession', { token: engine.users.issueToken(admin) }, {});
    return session;
  }

  /** For `connectObject`: a session of its own for each caller. */
  async openSession(): Promise<ObjectSession> {
    const engine = await this.#engine();
    return new ObjectSession(new Session(engine), {
      shards: this.#shardHost(),
      admit: () => assertUsers(engine),
      after: () => this.#tendLater(engine),
    });
  }

  /** A session that goes by no map of shards. */
  #sessionOf(engine: DatabaseEngine): Pick<Session, 'call'> {
    const session = new Session(engine);
    const shards = this.#shardHost();
    // Most objects have no sharded spaces, and a call that answers at once should.
    if (!shards.any) return session;
    return {
      call: (method, args, context) =>
        callThroughGate(shards, session, method, args, context) as Promise<never>,
    };
  }

  #shardHost(): ShardHost {
    this.#shards ??= new ShardHost(
      this.ctx.storage.sql,
      this.options().prefix ?? defaultPrefix,
      (name) => this.#formerOwner(name),
      async () => {
        const engine = await this.#engine();
        return this.#asAdmin(engine, new Session(engine));
      },
    );
    return this.#shards;
  }

  /** Another shard, signed in as the admin that all objects of a class are made with. */
  #formerOwner(name: string): Promise<FormerOwner> {
    let peer = this.#peers.get(name);
    if (peer === undefined) {
      peer = signedInPeer(() => this.peer(name), this.options().admin);
      peer.catch(() => this.#peers.delete(name));
      this.#peers.set(name, peer);
    }
    return peer;
  }

  /** The object's alarm: a slice of what is left to do. An own `alarm` must call it too. */
  async alarm(): Promise<void> {
    this.#alarmAtMs = Number.POSITIVE_INFINITY;
    await this.#use((engine) => engine.tend());
  }

  async #use<Result>(work: (engine: DatabaseEngine) => Promise<Result>): Promise<Result> {
    const engine = await this.#engine();
    try {
      return await work(engine);
    } finally {
      await this.#tendLater(engine);
    }
  }

  /** Opened by the first event; one that fails is tried again by the next. */
  #engine(): Promise<DatabaseEngine> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<DatabaseEngine> {
    const { admin, ...options } = this.options();
    const engine = await openEngine(this.ctx.storage, options, { backgroundTimers: false });
    if (admin !== undefined) await engine.users.createFirstAdmin(admin);
    this.#alarmAtMs = (await this.ctx.storage.getAlarm()) ?? Number.POSITIVE_INFINITY;
    return engine;
  }

  async #tendLater(engine: DatabaseEngine): Promise<void> {
    const atMs = engine.tendAtMs();
    if (atMs === undefined || atMs >= this.#alarmAtMs) return;
    this.#alarmAtMs = atMs;
    await this.ctx.storage.setAlarm(atMs);
  }
}

async function signedInPeer(stub: () => ObjectStub, admin: FirstAdmin | undefined): Promise<FormerOwner> {
  if (admin === undefined)
    throw shibuDbError(
      'NOT_AUTHENTICATED',
      'Shards reach one another as the admin of their options: name one',
    );
  const transport = new ObjectTransport(stub);
  const { username, password } = admin;
  await transport.call('authenticate', { username, password }, {});
  return transport;
}

/** An address on the internet is no boundary: what has no users is closed. @throws NO_USERS */
export function assertUsers(engine: DatabaseEngine): void {
  if (engine.users.any) return;
  throw shibuDbError(
    'NO_USERS',
    'The object has no users, so nobody may use it from outside: name an admin in its options',
  );
}
