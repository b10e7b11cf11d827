/**
 * The script that the conformance tests run inside workerd: a Durable Object that runs cases on its own storage, and objects
 * it reaches by RPC.
 */

import { DurableObject } from 'cloudflare:workers';
import relaxed from 'shibumi-relaxed.wasm';
import simd128 from 'shibumi-simd128.wasm';
import { openClient } from '../../src/client/open-client.ts';
import type { DurableSocket } from '../../src/edge/durable-storage.ts';
import { ObjectSession } from '../../src/edge/object-session.ts';
import { ObjectSockets } from '../../src/edge/object-sockets.ts';
import { ObjectTransport } from '../../src/edge/object-transport.ts';
import { openEngine } from '../../src/edge/open-engine.ts';
import { ShardHost } from '../../src/edge/sharding/shard-host.ts';
import { deleteDatabase, open } from '../../src/edge.ts';
import type { DatabaseEngine } from '../../src/engine/database-engine.ts';
import { Session } from '../../src/engine/session.ts';
import { type Platform, runCase, suite } from '../conformance/suite.ts';

const modules = { relaxed, simd128 };
type Build = keyof typeof modules;
/** More than the default: some cases put 16 MiB at once, and what holds at the limit has a test of its own. */
const memoryBytesMax = 127_000_000;

interface Env {
  readonly CASES: Namespace<CaseRunner>;
  readonly HOSTS: Namespace<SessionHost>;
}

interface Namespace<Stub> {
  idFromName(name: string): unknown;
  get(id: unknown): Stub;
}

/** Each database of a case gets tables of its own. */
function prefixOf(name: string): string {
  return `t${name.replace(/[^A-Za-z0-9]/g, '_')}`;
}

export class CaseRunner extends DurableObject<Env> {
  /** Runs a case by its name; answers with what went wrong, if anything. */
  async runCase(name: string, build: Build, over: 'storage' | 'rpc'): Promise<string | undefined> {
    const entry = suite.find((one) => one.name === name);
    if (entry === undefined) return `there is no case "${name}"`;
    try {
      await runCase(entry, over === 'rpc' ? this.#byRpc(build) : this.#onStorage(build));
      return undefined;
    } catch (error) {
      return error instanceof Error ? `${error.stack}` : String(error);
    }
  }

  #onStorage(build: Build): Platform {
    return {
      build,
      storage: 'durable-object',
      open: (name, options) =>
        open(this.ctx.storage, {
          wasm: modules[build],
          prefix: prefixOf(name),
          memoryBytesMax,
          ...options,
        }),
      deleteDatabase: (name) => deleteDatabase(this.ctx.storage, { prefix: prefixOf(name) }),
    };
  }

  #byRpc(build: Build): Platform {
    const host = (name: string): SessionHost =>
      this.env.HOSTS.get(this.env.HOSTS.idFromName(`${build}/${name}`));
    return {
      build,
      storage: 'durable-object',
      // What `connectObject` does, with the options that every `open` has.
      open: (name, options = {}) =>
        openClient(
          () => new ObjectTransport(() => ({ openSession: () => host(name).openSession(prefixOf(name)) })),
          options,
        ),
      deleteDatabase: (name) => host(name).remove(prefixOf(name)),
    };
  }
}

/** Sessions for cases, by RPC and over WebSockets. It asks for no users: whether a database has any is a case of the suite. */
export class SessionHost extends DurableObject<Env> {
  #engine: Promise<DatabaseEngine> | undefined;
  #sockets: ObjectSockets | undefined;

  #open(prefix: string): Promise<DatabaseEngine> {
    this.#engine ??= openEngine(this.ctx.storage, { wasm: simd128, prefix, memoryBytesMax });
    return this.#engine;
  }

  async openSession(prefix: string): Promise<ObjectSession> {
    const engine = await this.#open(prefix);
    return new ObjectSession(new Session(engine), {
      admit: () => {},
      after: async () => {},
      shards: new ShardHost(
        this.ctx.storage.sql,
        prefix,
        async (name) => {
          throw new Error(`there is no shard ${name}`);
        },
        async () => new Session(engine),
      ),
    });
  }

  async fetch(request: Request): Promise<Response> {
    const name = new URL(request.url).searchParams.get('name') ?? '';
    const engine = await this.#open(prefixOf(name));
    this.#sockets ??= new ObjectSockets(
      this.ctx,
      () => new Session(engine),
      () => {},
    );
    return this.#sockets.accept(request, 'test');
  }

  async webSocketMessage(socket: DurableSocket, message: ArrayBuffer | string): Promise<void> {
    await this.#sockets?.message(socket, message);
  }

  async webSocketClose(socket: DurableSocket): Promise<void> {
    await this.#sockets?.closed(socket);
  }

  async remove(prefix: string): Promise<void> {
    await (await this.#engine)?.close();
    this.#engine = undefined;
    this.#sockets = undefined;
    await deleteDatabase(this.ctx.storage, { prefix });
  }
}

export default {
  async fetch(request: Request, { CASES, HOSTS }: Env): Promise<Response> {
    const url = new URL(request.url);
    const name = url.searchParams.get('name') ?? '';
    const host = HOSTS.get(HOSTS.idFromName(name));
    if (url.pathname === '/bridge') return host.fetch(request);
    if (url.pathname === '/remove') {
      await host.remove(prefixOf(name));
      return new Response();
    }
    const {
      name: entry,
      build,
      over,
    } = (await request.json()) as {
      name: string;
      build: Build;
      over: 'storage' | 'rpc';
    };
    const failure = await CASES.get(CASES.idFromName(build)).runCase(entry, build, over);
    return Response.json({ failure });
  },
};
