/**
 * A Comlink endpoint over a BroadcastChannel of two. Ports cannot travel over it and nothing can be handed over: what would
 * be transferred is copied.
 */

import type * as Comlink from 'comlink';

export class ChannelEndpoint implements Comlink.Endpoint {
  readonly #channel: BroadcastChannel;

  constructor(name: string) {
    this.#channel = new BroadcastChannel(name);
  }

  postMessage(message: unknown): void {
    this.#channel.postMessage(message);
  }

  addEventListener(type: string, listener: EventListenerOrEventListenerObject): void {
    this.#channel.addEventListener(type, listener);
  }

  removeEventListener(type: string, listener: EventListenerOrEventListenerObject): void {
    this.#channel.removeEventListener(type, listener);
  }

  close(): void {
    this.#channel.close();
  }
}
