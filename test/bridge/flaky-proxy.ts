/** A TCP proxy on loopback that does to connections what networks do: cuts them, delays them, and lets them fall silent. */

import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Random } from '../support/random.ts';

/** What becomes of a connection: cut after some bytes, or silent after some, or left alone. */
export type Fate = 'cut' | 'silent' | 'none';

export interface ProxyOptions {
  readonly random: Random;
  /** Chooses the fate of a new connection. */
  readonly fate: () => Fate;
  /** Bytes that pass in one direction before the fate comes, at most. */
  readonly bytesMax: number;
  /** Milliseconds that a chunk is held back, at most. */
  readonly delayMsMax: number;
}

export class FlakyProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #options: ProxyOptions;
  readonly #sockets: Set<Socket> = new Set();
  /** Where connections go; may be changed between connections. */
  target: number;
  cuts = 0;
  silences = 0;

  private constructor(target: number, options: ProxyOptions) {
    this.target = target;
    this.#options = options;
    this.#server = createServer((near) => this.#join(near));
  }

  static async start(target: number, options: ProxyOptions): Promise<FlakyProxy> {
    const proxy = new FlakyProxy(target, options);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Cuts every connection there is. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cutAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(near: Socket): void {
    const { random, fate, bytesMax } = this.#options;
    const far = connect(this.target, '127.0.0.1');
    const chosen = fate();
    // Either direction may be the one that reaches its limit: a request lost, or an answer.
    let left = chosen === 'none' ? Number.POSITIVE_INFINITY : 1 + random.below(bytesMax);
    let silent = false;
    const strike = (): void => {
      if (chosen === 'silent') {
        if (!silent) this.silences++;
        silent = true;
      } else {
        this.cuts++;
        near.resetAndDestroy();
        far.resetAndDestroy();
      }
    };
    const forward = (from: Socket, to: Socket): void => {
      this.#sockets.add(from);
      let order: Promise<void> = Promise.resolve();
      from.on('data', (chunk) => {
        if (silent) return;
        const passed = chunk.subarray(0, left);
        left -= passed.length;
        const isLast = left <= 0;
        order = order
          .then(() => this.#delay())
          .then(() => {
            if (!to.destroyed && passed.length > 0) to.write(passed);
            if (isLast) strike();
          });
      });
      // A connection that has fallen silent does not tell of its end either.
      from.on('end', () => order.then(() => silent || to.end()));
      from.on('error', () => {});
      from.on('close', () => {
        this.#sockets.delete(from);
        if (!silent) to.destroy();
      });
    };
    forward(near, far);
    forward(far, near);
  }

  #delay(): Promise<void> | void {
    const ms = this.#options.random.below(this.#options.delayMsMax + 1);
    if (ms > 0) return new Promise((resolve) => setTimeout(resolve, ms));
  }
}
