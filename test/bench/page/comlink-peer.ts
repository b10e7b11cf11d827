/** A worker that keeps a Map behind Comlink: what a call through a worker costs when nothing else is done. */

import * as Comlink from 'comlink';

const values = new Map<string, Uint8Array>();

const endpoint = {
  fill(count: number, value: Uint8Array): void {
    for (let i = 0; i < count; i++) values.set(`key-${i}`, value);
  },
  get(key: string): Uint8Array | undefined {
    return values.get(key);
  },
};
export type ComlinkPeer = typeof endpoint;

Comlink.expose(endpoint);
