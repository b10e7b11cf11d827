/**
 * A page's connection to the owner of its database, in one of three ways: straight to its own worker, through a port that the
 * broker passed on, or through a channel of two.
 */

import * as Comlink from 'comlink';
import type { Message } from '../rpc/messages.ts';
import { ChannelEndpoint } from './channel-endpoint.ts';
import type { OwnerSign } from './control.ts';
import type { Answer, SessionEndpoint } from './messages.ts';
import { pairChannel } from './names.ts';

export type Way = 'worker' | 'port' | 'channel';

/** The part of a Comlink remote that a link uses. */
type RemoteSession = Pick<Comlink.Remote<SessionEndpoint>, 'exchange' | 'ping'>;

export class Link {
  readonly owner: string;
  readonly epoch: number;
  readonly way: Way;
  readonly #session: RemoteSession;
  readonly #close: () => void;
  readonly #closed: AbortController = new AbortController();

  constructor(owner: string, epoch: number, way: Way, session: RemoteSession, close: () => void = () => {}) {
    this.owner = owner;
    this.epoch = epoch;
    this.way = way;
    this.#session = session;
    this.#close = close;
  }

  static overPort({ owner, epoch }: OwnerSign, port: MessagePort): Link {
    return new Link(owner, epoch, 'port', Comlink.wrap<SessionEndpoint>(port), () => port.close());
  }

  static overChannel({ owner, epoch }: OwnerSign, name: string, channel: string): Link {
    const endpoint = new ChannelEndpoint(pairChannel(name, channel));
    return new Link(owner, epoch, 'channel', Comlink.wrap<SessionEndpoint>(endpoint), () => endpoint.close());
  }

  exchange(message: Message, transfer: readonly ArrayBuffer[]): Promise<Answer> {
    return this.#session.exchange(transfer.length === 0 ? message : Comlink.transfer(message, [...transfer]));
  }

  /** Resolves with the epoch that the owner answers for. */
  ping(): Promise<number> {
    return this.#session.ping();
  }

  /** Fires when the link is closed. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  close(): void {
    this.#closed.abort();
    this.#close();
  }
}
