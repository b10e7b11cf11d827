/**
 * The bridge of an object: WebSockets that speak the bridge protocol, so that `connect` of `shibumi/bridge` reaches it as it
 * reaches a server. They hibernate: while nobody calls, the object can be put out of memory and its sockets stay open. So
 * whatever a quiet connection needs to go on lies in its attachment, and no timer runs.
 */

import { isShibuDbError } from '../api/errors.ts';
import { subprotocol } from '../bridge/protocol/hello.ts';
import { Admission } from '../host/admission.ts';
import type { ConnectionHost, Traffic } from '../host/connection-host.ts';
import { SessionStore } from '../host/session-store.ts';
import { type ConnectionAtRest, SocketConnection } from '../host/socket-connection.ts';
import type { Callee } from '../host/source.ts';
import type { DurableSocket, DurableState } from './durable-storage.ts';

/** A ping wakes the object: seldom enough to let it sleep, often enough that no proxy takes the connection for dead. */
const heartbeatMs = 60_000;
/** How long a session waits for its client to come back. The timer keeps the object in memory. */
const resumeMs = 30_000;
/** Of the notes beside a socket; connections that need more are made anew after a sleep. */
const attachmentBytesMax = 2000;

/** WebSocket close code: the server is starting anew, come again. */
const serviceRestart = 1012;

const uncounted: Traffic = { bytesReceived: 0, bytesSent: 0, called() {} };

interface Pair {
  0: unknown;
  1: DurableSocket;
}

export class ObjectSockets {
  readonly #state: DurableState;
  readonly #host: ConnectionHost;
  /** In the order in which their first event came: events of one socket wait for one another here. */
  readonly #connections: Map<DurableSocket, Promise<SocketConnection | undefined>> = new Map();
  readonly #sockets: Map<SocketConnection, DurableSocket> = new Map();

  /** @param quiet runs when a connection has answered everything there was */
  constructor(state: DurableState, openSession: () => Callee, quiet: () => void) {
    this.#state = state;
    const source = { kind: 'durable-object', openSession, close: async () => {} };
    this.#host = {
      sessions: new SessionStore(source, resumeMs),
      admission: new Admission({}),
      metrics: uncounted,
      heartbeatMs,
      watches: false,
      schedule: (flush) => queueMicrotask(flush),
      log: () => {},
      quiet: (connection) => {
        this.#note(connection);
        quiet();
      },
      left: (connection) => this.#forget(connection),
    };
  }

  /** Answers a request to open a socket. @param address the caller's, for limits */
  accept(request: Request, address: string): Response {
    const offered = (request.headers.get('sec-websocket-protocol') ?? '').split(/\s*,\s*/);
    if (!offered.includes(subprotocol))
      return Response.json({ error: `Expected the subprotocol ${subprotocol}` }, { status: 400 });
    const { WebSocketPair } = globalThis as unknown as { WebSocketPair: new () => Pair };
    const { 0: client, 1: socket } = new WebSocketPair();
    this.#state.acceptWebSocket(socket);
    this.#keep(socket, new SocketConnection(socket, this.#host, address, undefined));
    const headers = { 'sec-websocket-protocol': subprotocol };
    return new Response(null, { status: 101, headers, webSocket: client } as ResponseInit);
  }

  async message(socket: DurableSocket, message: ArrayBuffer | string): Promise<void> {
    const connection = await this.#connectionOf(socket);
    // A text: not this protocol, which says so by itself.
    connection?.receive(typeof message === 'string' ? new Uint8Array(1) : new Uint8Array(message));
  }

  async closed(socket: DurableSocket): Promise<void> {
    // One that nobody in this memory knows has no session here either.
    (await this.#connections.get(socket))?.ended();
  }

  #keep(socket: DurableSocket, connection: SocketConnection): void {
    this.#connections.set(socket, Promise.resolve(connection));
    this.#sockets.set(connection, socket);
  }

  #connectionOf(socket: DurableSocket): Promise<SocketConnection | undefined> {
    let connection = this.#connections.get(socket);
    if (connection === undefined) {
      connection = this.#wake(socket);
      this.#connections.set(socket, connection);
    }
    return connection;
  }

  /** The object has slept, and its memory is another. */
  async #wake(socket: DurableSocket): Promise<SocketConnection | undefined> {
    const rest = socket.deserializeAttachment() as ConnectionAtRest | null;
    try {
      if (rest === null) throw new Error('it had more under way than its notes say');
      const connection = await SocketConnection.restore(socket, this.#host, rest);
      this.#sockets.set(connection, socket);
      return connection;
    } catch (error) {
      // The client comes again with a hello, which is answered properly.
      socket.close(serviceRestart, isShibuDbError(error) ? error.code : 'the object was started anew');
      this.#connections.delete(socket);
      return undefined;
    }
  }

  #note(connection: SocketConnection): void {
    const rest = connection.atRest;
    const fits = rest !== undefined && JSON.stringify(rest).length <= attachmentBytesMax;
    this.#sockets.get(connection)?.serializeAttachment(fits ? rest : null);
  }

  #forget(connection: SocketConnection): void {
    const socket = this.#sockets.get(connection);
    this.#sockets.delete(connection);
    if (socket !== undefined) this.#connections.delete(socket);
  }
}
