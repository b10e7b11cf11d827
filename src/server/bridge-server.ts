/** The server: one HTTP port with the WebSocket on it, in front of one source. */

import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { shibuDbError } from '../api/errors.ts';
import { messageBytesMax, subprotocol, ticketProtocolPrefix } from '../bridge/protocol/hello.ts';
import { partOf } from '../engine/handlers.ts';
import { Admission, type AdmissionOptions } from '../host/admission.ts';
import type { ConnectionHost } from '../host/connection-host.ts';
import { SessionStore } from '../host/session-store.ts';
import { SocketConnection } from '../host/socket-connection.ts';
import type { Source } from '../host/source.ts';
import { answerRequest, type Routes } from './http-routes.ts';
import { Metrics } from './metrics.ts';
import { addressOf } from './peer-address.ts';
import { type Pem, pemOf } from './pem.ts';
import { Tickets } from './tickets.ts';

export interface BridgeServerOptions extends AdmissionOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: Pem | undefined;
  /** Origins of pages that may connect. Programs that are no pages send none, and may. */
  readonly origins: readonly string[];
  readonly resumeMs: number;
  /** Default 15 seconds. */
  readonly heartbeatMs?: number;
  readonly log: (line: string) => void;
}

const defaultHeartbeatMs = 15_000;

export class BridgeServer {
  readonly #source: Source;
  readonly #options: BridgeServerOptions;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #connections: Set<{ close(): void }> = new Set();
  readonly #host: ConnectionHost;
  readonly #tickets: Tickets = new Tickets();
  readonly #origins: ReadonlySet<string>;
  #closed: Promise<void> | undefined;

  constructor(source: Source, options: BridgeServerOptions) {
    this.#source = source;
    this.#options = options;
    this.#origins = new Set(options.origins);
    const admission = new Admission(options);
    const sessions = new SessionStore(source, options.resumeMs);
    const metrics = this.#makeMetrics(admission, sessions);
    this.#host = {
      admission,
      sessions,
      metrics,
      heartbeatMs: options.heartbeatMs ?? defaultHeartbeatMs,
      watches: true,
      schedule: setImmediate,
      log: options.log,
      left: (connection) => this.#connections.delete(connection),
    };
    const routes: Routes = { admission, metrics, tickets: this.#tickets, source, origins: this.#origins };
    const pem = pemOf(options.tls);
    this.#http = pem === undefined ? createServer() : createSecureServer(pem);
    this.#http.on('request', (request, response) => {
      answerRequest(routes, request, response).catch((error: unknown) => {
        options.log(`${addressOf(request.socket)}: ${error}`);
        response.destroy();
      });
    });
    this.#sockets = new WebSocketServer({
      noServer: true,
      maxPayload: messageBytesMax,
      perMessageDeflate: false,
      handleProtocols: (offered) => offered.has(subprotocol) && subprotocol,
    });
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** What the listeners of other protocols share with the WebSocket. */
  get host(): ConnectionHost {
    return this.#host;
  }

  async listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#http.once('error', reject);
    this.#http.listen(this.#options.port, this.#options.host, resolve);
    try {
      await promise;
    } catch (cause) {
      const { host, port } = this.#options;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw shibuDbError('BRIDGE_UNAVAILABLE', `The server cannot listen on ${host}:${port}: ${reason}`, {
        cause,
      });
    }
    this.#http.removeListener('error', reject);
    this.#http.on('error', (error) => this.#options.log(`the listener failed: ${error.message}`));
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  get url(): string {
    const { host, tls } = this.#options;
    return `${tls === undefined ? 'ws' : 'wss'}://${host.includes(':') ? `[${host}]` : host}:${this.port}/`;
  }

  /** Lets nobody in any more, ends sessions with what they have accepted, and closes the source. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    // It may never have listened.
    this.#http.close(() => resolve());
    await this.#host.sessions.endAll();
    for (const connection of [...this.#connections]) connection.close();
    this.#sockets.close();
    this.#http.closeAllConnections();
    await closed;
    await this.#source.close();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // A peer that goes away while it is being let in or turned away.
    socket.on('error', () => {});
    const address = addressOf(request.socket);
    const { origin } = request.headers;
    if (origin !== undefined && !this.#origins.has(origin)) {
      this.#options.log(`${address}: refused the origin ${origin.slice(0, 100)}`);
      refuse(socket, '403 Forbidden');
      return;
    }
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/);
    const ticket = offered.find((name) => name.startsWith(ticketProtocolPrefix));
    const userToken = ticket && this.#tickets.redeem(ticket.slice(ticketProtocolPrefix.length));
    if (ticket !== undefined && userToken === undefined) {
      refuse(socket, '401 Unauthorized');
      return;
    }
    const leave = this.#closed === undefined ? this.#host.admission.enter(address) : undefined;
    if (leave === undefined) {
      refuse(socket, '503 Service Unavailable');
      return;
    }
    socket.once('close', leave);
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const connection = new SocketConnection(webSocket, this.#host, address, userToken);
      this.#connections.add(connection);
      webSocket.on('message', (data) => connection.receive(data as Buffer));
      webSocket.on('pong', () => connection.heard());
      webSocket.on('close', () => connection.ended());
      // What follows is always `close`.
      webSocket.on('error', () => {});
    });
  }

  #makeMetrics(admission: Admission, sessions: SessionStore): Metrics {
    const gauge = (name: string, help: string, read: () => number) =>
      ({ name, help, kind: 'gauge', read }) as const;
    const counter = (name: string, help: string, read: () => number) =>
      ({ name, help, kind: 'counter', read }) as const;
    const metrics: Metrics = new Metrics(countedMethods, [
      gauge('shibumi_connections', 'Open connections.', () => admission.connections),
      gauge('shibumi_connections_limit', 'Connections there may be.', () => admission.connectionsMax),
      gauge('shibumi_sessions', 'Sessions, those that wait for their client included.', () => sessions.count),
      gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss()),
      counter('shibumi_connections_refused_total', 'Connections turned away.', () => admission.refused),
      counter('shibumi_received_bytes_total', 'Bytes received over WebSockets.', () => metrics.bytesReceived),
      counter('shibumi_sent_bytes_total', 'Bytes sent over WebSockets.', () => metrics.bytesSent),
    ]);
    return metrics;
  }
}

const countedMethods: ReadonlySet<string> = new Set(Object.keys(partOf));

function refuse(socket: Duplex, status: string): void {
  // The HTTP server has handed the socket over and does not close it any more; nobody reads it, so its end would not be seen.
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
