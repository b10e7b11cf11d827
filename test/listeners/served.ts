// A server with listeners, in memory, for one test.

import { connect as connectTcp, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { Database } from '../../src/api/database.ts';
import { connect } from '../../src/bridge.ts';
import { type RunningServer, type ServeOptions, serve } from '../../src/server.ts';

export const admin = { username: 'root', password: 'a password that is only here' };

export interface Served {
  readonly server: RunningServer;
  readonly db: Database;
  readonly log: string[];
  portOf(name: 'resp' | 'shibudb' | 'nubdb'): number;
}

/** @param spaces key-value spaces to make first, relaxed */
export async function served(t: TestContext, options: ServeOptions, spaces: string[] = []): Promise<Served> {
  const log: string[] = [];
  const server = await serve('listeners', {
    storage: 'memory',
    admin,
    log: (line) => log.push(line),
    ...options,
  });
  t.after(() => server.close());
  const db = await connect(server.url, options.admin ?? admin);
  t.after(() => db.close());
  for (const space of spaces) await db.createSpace(space, 'key-value', { durability: 'relaxed' });
  return {
    server,
    db,
    log,
    portOf: (name) => {
      const port = server.listeners[name];
      if (port === undefined) throw new Error(`no listener ${name}`);
      return port;
    },
  };
}

/** A bare TCP client: sends bytes, and waits for what comes. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  #received = '';
  #isClosed = false;
  #waiting: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    const wake = (): void => {
      for (const resolve of this.#waiting.splice(0)) resolve();
    };
    socket.on('data', (chunk) => {
      this.#received += chunk.toString('latin1');
      wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#isClosed = true;
      wake();
    });
  }

  static async open(port: number, localAddress = '127.0.0.1'): Promise<RawClient> {
    const socket = connectTcp({ port, host: '127.0.0.1', localAddress });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new RawClient(socket);
  }

  send(text: string | Uint8Array): void {
    this.socket.write(typeof text === 'string' ? Buffer.from(text) : text);
  }

  /** What came until `done` likes it, or the connection ended. As UTF-8. */
  async until(done: (text: string) => boolean): Promise<string> {
    while (!done(this.#received) && !this.#isClosed)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const text = Buffer.from(this.#received, 'latin1').toString();
    this.#received = '';
    return text;
  }

  line(): Promise<string> {
    return this.until((text) => text.endsWith('\n'));
  }

  async closed(): Promise<string> {
    return this.until(() => false);
  }

  async ask(text: string): Promise<string> {
    this.send(text);
    return this.line();
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
