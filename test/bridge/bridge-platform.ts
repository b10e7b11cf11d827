/** The conformance suite's databases behind a bridge: each name is an engine in memory with a server of its own. */

import { Session } from '../../src/engine/session.ts';
import { openEngine } from '../../src/node/open-engine.ts';
import { BridgeServer } from '../../src/server/bridge-server.ts';
import type { Platform } from '../conformance/suite.ts';
import { connectForCase } from './connect-for-case.ts';

/**
 * Servers by database name. They ask for no credentials: whether a database has users is a case of the suite, and `serve`
 * itself is tested elsewhere.
 */
export class BridgeServers implements AsyncDisposable {
  readonly #build: Platform['build'];
  readonly #origins: readonly string[];
  readonly #servers: Map<string, Promise<BridgeServer>> = new Map();

  constructor(build: Platform['build'], origins: readonly string[] = []) {
    this.#build = build;
    this.#origins = origins;
  }

  /** Where `name` is served; it is started when it is not. */
  async urlOf(name: string): Promise<string> {
    let server = this.#servers.get(name);
    if (server === undefined) {
      server = this.#start(name);
      this.#servers.set(name, server);
    }
    return (await server).url;
  }

  async #start(name: string): Promise<BridgeServer> {
    const { engine, close } = await openEngine(name, { storage: 'memory', build: this.#build });
    const source = { kind: 'memory', openSession: () => new Session(engine), close };
    const server = new BridgeServer(source, {
      host: '127.0.0.1',
      port: 0,
      tls: undefined,
      origins: this.#origins,
      resumeMs: 60_000,
      log: () => {},
    });
    await server.listen();
    return server;
  }

  async remove(name: string): Promise<void> {
    const server = this.#servers.get(name);
    this.#servers.delete(name);
    await (await server)?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [...this.#servers.keys()]) await this.remove(name);
  }
}

export function bridgePlatform(servers: BridgeServers, build: Platform['build']): Platform {
  return {
    build,
    storage: 'memory',
    open: async (name, options) => connectForCase(await servers.urlOf(name), options),
    deleteDatabase: (name) => servers.remove(name),
  };
}
