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
import { shibuDbError } from '../api/errors.ts';
import type { DatabaseEngine } from '../engine/database-engine.ts';
import { Session } from '../engine/session.ts';
import type { DurableSocket } from './durable-storage.ts';
import { ObjectSession } from './object-session.ts';
import { ObjectSockets } from './object-sockets.ts';
import { type EdgeOptions, openEngine } from './open-engine.ts';
import { answerRest } from './rest/answer.ts';

export abstract class ShibumiObject<Env = unknown> extends DurableObject<Env> {
  #opening: Promise<DatabaseEngine> | undefined;
  #sockets: ObjectSockets | undefined;
  /** When the alarm is set for, as far as this instance knows. */
  #alarmAtMs: number = Number.POSITIVE_INFINITY;

  /**
   * What the database is opened with; read when it is first needed. Without users nothing can be done with an object from
   * outside: name an `admin`, its password from a secret.
   */
  protected abstract options(): Omit<EdgeOptions, 'log'>;

  /** Answers a request: a WebSocket of the bridge, or the REST front, where credentials come with each. See docs/edge.md. */
  async fetch(request: Request): Promise<Response> {
    if (request.headers.get('upgrade')?.toLowerCase() === 'websocket') return this.#accept(request);
    return this.#use(async (engine) => {
      const session = new Session(engine);
      try {
        return await answerRest(request, session, () => assertUsers(engine));
      } finally {
        await session.close();
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
    this.#sockets ??= new ObjectSockets(this.ctx, engine, () => {
      this.#tendLater(engine).catch(() => {});
    });
    return this.#sockets;
  }

  /** For `connectObject`: a session of its own for each caller. */
  async openSession(): Promise<ObjectSession> {
    const engine = await this.#engine();
    return new ObjectSession(new Session(engine), {
      admit: () => assertUsers(engine),
      after: () => this.#tendLater(engine),
    });
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

/** An address on the internet is no boundary: what has no users is closed. @throws NO_USERS */
export function assertUsers(engine: DatabaseEngine): void {
  if (engine.users.any) return;
  throw shibuDbError(
    'NO_USERS',
    'The object has no users, so nobody may use it from outside: name an admin in its options',
  );
}
