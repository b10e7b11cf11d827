/**
 * The script that the conformance tests run inside workerd: a Durable Object that runs cases on its own storage, and objects
 * it reaches by RPC.
 */

import { DurableObject } from 'cloudflare:workers';
import relaxed from 'shibumi-relaxed.wasm';
import simd128 from 'shibumi-simd128.wasm';
import { openClient } from '../../src/client/open-client.ts';
import { ObjectSession } from '../../src/edge/object-session.ts';
import { ObjectTransport } from '../../src/edge/object-transport.ts';
import { openEngine } from '../../src/edge/open-engine.ts';
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

/** Sessions for cases. It asks for no users: whether a database has any is a case of the suite. */
export class SessionHost extends DurableObject<Env> {
  #engine: Promise<DatabaseEngine> | undefined;

  async openSession(prefix: string): Promise<ObjectSession> {
    this.#engine ??= openEngine(this.ctx.storage, { wasm: simd128, prefix, memoryBytesMax });
    return new ObjectSession(new Session(await this.#engine), { admit: () => {}, after: async () => {} });
  }

  async remove(prefix: string): Promise<void> {
    await (await this.#engine)?.close();
    this.#engine = undefined;
    await deleteDatabase(this.ctx.storage, { prefix });
  }
}

export default {
  async fetch(request: Request, { CASES }: Env): Promise<Response> {
    const { name, build, over } = (await request.json()) as {
      name: string;
      build: Build;
      over: 'storage' | 'rpc';
    };
    const failure = await CASES.get(CASES.idFromName(build)).runCase(name, build, over);
    return Response.json({ failure });
  },
};
