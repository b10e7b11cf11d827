/**
 * A Comlink endpoint over a BroadcastChannel of two. Ports cannot travel over it, and what is handed over
 * is copied on its way.
 */

import type * as Comlink from 'comlink';

export class ChannelEndpoint implements Comlink.Endpoint {
  readonly #channel: BroadcastChannel;
  #closed = false;

  constructor(name: string) {
    this.#channel = new BroadcastChannel(name);
  }

  /** After `close` nothing, as with a port: Comlink says goodbye whenever its proxy happens to be collected. */
  postMessage(message: unknown, transfer: Transferable[] = []): void {
    if (this.#closed) return;
    // What is handed over leaves the caller here as everywhere, though its copy is what travels.
    const taken = transfer.length === 0 ? message : structuredClone(message, { transfer });
    this.#channel.postMessage(taken);
  }

  addEventListener(type: string, listener: EventListenerOrEventListenerObject): void {
    this.#channel.addEventListener(type, listener);
  }

  removeEventListener(type: string, listener: EventListenerOrEventListenerObject): void {
    this.#channel.removeEventListener(type, listener);
  }

  close(): void {
    this.#closed = true;
    this.#channel.close();
  }
}
