/**
 * What the tabs of a database tell each other, all of them hearing all of it: who owns it, who looks for the owner, who wants
 * to be connected. Calls and their answers never go this way.
 *
 *   a tab that looks for the owner   seek
 *   the owner's worker               owner, or opening while it is not ready yet; gone when it lets go
 *   the page of the owner's worker   busy: the worker lives, even if a long computation keeps it from answering
 *   a client without a broker        connect, answered with connected: then both listen on a channel of their own
 *   a client of a newer build        yield, answered with yielded: the owner has finished and waits to be followed
 */

import type { Build } from '../base/build.ts';
import { controlChannel } from './names.ts';

/** Who owns the database, and how it is reached. */
export interface OwnerSign {
  readonly type: 'owner';
  readonly owner: string;
  /** Which database under this name: one that was deleted and made anew is another. */
  readonly identity: string;
  readonly epoch: number;
  readonly build: Build;
  /** The address of the broker's script, where the owner's page has one. */
  readonly broker: string | undefined;
  /**
   * Of an encrypted database the record of its key, which is stored in plain as well: whoever wants to be connected shows with
   * it that it could open the database itself.
   */
  readonly keyRecord?: string | undefined;
}

export type ControlMessage =
  /** `worker`: the seeker's own, which need not answer. */
  | { readonly type: 'seek'; readonly client: string; readonly worker: string | undefined }
  | OwnerSign
  | { readonly type: 'opening' | 'busy'; readonly owner: string }
  | { readonly type: 'gone'; readonly owner: string; readonly epoch: number }
  | { readonly type: 'connect'; readonly owner: string; readonly client: string; readonly channel: string }
  | { readonly type: 'connected'; readonly channel: string }
  | { readonly type: 'yield'; readonly owner: string; readonly client: string; readonly build: Build }
  | { readonly type: 'yielded'; readonly client: string };

export class ControlChannel {
  #channel: BroadcastChannel | undefined;

  /** Without BroadcastChannel nobody hears anybody: a database then has one tab at a time. */
  constructor(name: string, onMessage: (message: ControlMessage) => void) {
    if (typeof BroadcastChannel === 'undefined') return;
    this.#channel = new BroadcastChannel(controlChannel(name));
    this.#channel.addEventListener('message', ({ data }) => onMessage(data as ControlMessage));
  }

  /** After `close` nothing: whoever closed while something was under way has nothing to say any more. */
  post(message: ControlMessage): void {
    this.#channel?.postMessage(message);
  }

  close(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }
}
