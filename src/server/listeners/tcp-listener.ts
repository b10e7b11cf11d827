/**
 * A TCP port in front of the server's source, for clients of another protocol. What the bytes mean is the conversation's
 * business; here clients are let in and counted, and those that send too much or read too little are held back or cut off.
 */

import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createSecureServer } from 'node:tls';
import { shibuDbError } from '../../api/errors.ts';
import type { ConnectionHost } from '../../host/connection-host.ts';
import type { ListenerSource } from '../../host/source.ts';
import { addressOf } from '../peer-address.ts';
import { ListenerClient } from './listener-client.ts';

/** What a conversation may do with its connection. */
export interface Wire {
  write(bytes: Uint8Array | string): void;
  /** Sends what was written, and ends. */
  end(): void;
  /** Nothing is read until `resume`: there is enough to do. */
  pause(): void;
  resume(): void;
}

/** One client's talk in some protocol. What `receive` throws ends the connection. */
export interface Conversation {
  receive(chunk: Buffer): void;
  /** The client has said all it will: what it asked is still answered, and then the connection ends. */
  finish(): void;
}

export type Converse = (client: ListenerClient, wire: Wire) => Conversation;

export interface TcpListenerOptions {
  /** For the log: `resp`, `shibudb`, `nubdb`. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly key: Buffer; readonly cert: Buffer } | undefined;
  /** The user that connections act as before they have signed in. */
  readonly guest: string | undefined;
  readonly converse: Converse;
}

/** Answers that wait because the client does not read: past this many bytes nothing more is read from it. */
const waitingBytes = 1024 * 1024;
/** Past this many, or this long, it is cut off. */
const waitingBytesMax = 128 * 1024 * 1024;
const waitingMsMax = 30_000;

export class TcpListener {
  readonly #server: Server;
  readonly #options: TcpListenerOptions;
  readonly #source: ListenerSource;
  readonly #host: ConnectionHost;
  readonly #sockets: Set<Socket> = new Set();

  constructor(source: ListenerSource, host: ConnectionHost, options: TcpListenerOptions) {
    this.#source = source;
    this.#host = host;
    this.#options = options;
    const accept = (socket: Socket): void => this.#accept(socket);
    this.#server = options.tls === undefined ? createServer(accept) : createSecureServer(options.tls, accept);
    this.#server.on('tlsClientError', () => {});
  }

  async listen(): Promise<void> {
    const { name, host, port } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen(port, host, resolve);
    try {
      await promise;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw shibuDbError(
        'BRIDGE_UNAVAILABLE',
        `The server cannot listen on ${host}:${port} (${name}): ${reason}`,
        {
          cause,
        },
      );
    }
    this.#server.removeListener('error', reject);
    this.#server.on('error', (error) => this.#host.log(`the listener ${name} failed: ${error.message}`));
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Ends the connections, and lets nobody in any more. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    socket.on('error', () => {});
    const address = addressOf(socket);
    const leave = this.#host.admission.enter(address);
    if (leave === undefined) {
      socket.destroy();
      return;
    }
    const client = new ListenerClient(this.#source.openSession(), this.#host, address);
    this.#sockets.add(socket);
    const unwatch = this.#host.sessions.watch({
      isRevoked: () => client.isRevoked(),
      end: () => socket.destroy(),
    });
    socket.setNoDelay(true);
    socket.once('close', () => {
      leave();
      unwatch();
      this.#sockets.delete(socket);
      client.end().catch((error: unknown) => this.#host.log(`${address}: ${error}`));
    });
    const begin = (): void => {
      const conversation = this.#options.converse(client, new SocketWire(socket));
      socket.on('data', (chunk) => {
        this.#host.metrics.bytesReceived += chunk.length;
        try {
          conversation.receive(chunk);
        } catch (error) {
          this.#host.log(`${address}: ${this.#options.name}: ${error}`);
          socket.destroy();
        }
      });
      socket.on('end', () => conversation.finish());
    };
    const { guest } = this.#options;
    if (guest === undefined) {
      begin();
      return;
    }
    this.#source
      .tokenOf(guest)
      .then((token) => client.signInByToken(token))
      .then(begin, (error: unknown) => {
        this.#host.log(`${address}: the guest cannot come in: ${error}`);
        socket.destroy();
      });
  }
}

/** A socket that is read only while its client reads too. */
class SocketWire implements Wire {
  readonly #socket: Socket;
  #isPaused = false;
  #isChoked = false;
  #patience: NodeJS.Timeout | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('drain', () => this.#drained());
    socket.once('close', () => clearTimeout(this.#patience));
  }

  write(bytes: Uint8Array | string): void {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return;
    socket.write(bytes);
    if (socket.writableLength > waitingBytesMax) socket.destroy();
    else if (!this.#isChoked && socket.writableLength > waitingBytes) {
      this.#isChoked = true;
      this.#patience = setTimeout(() => socket.destroy(), waitingMsMax).unref();
      socket.pause();
    }
  }

  end(): void {
    this.#socket.end();
    // Whoever does not close its side has had its answers.
    setTimeout(() => this.#socket.destroy(), 2000).unref();
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (!this.#isChoked) this.#socket.resume();
  }

  #drained(): void {
    clearTimeout(this.#patience);
    this.#isChoked = false;
    if (!this.#isPaused) this.#socket.resume();
  }
}
