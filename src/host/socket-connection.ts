/** One WebSocket of a client: hello, then frames to and from its session. */

import { toEnvelope } from '../api/error-envelope.ts';
import { isShibuDbError, type ShibuDbError, shibuDbError } from '../api/errors.ts';
import { unref } from '../base/unref.ts';
import { FrameLink, type LinkBalance, type Receipt } from '../bridge/protocol/frame-link.ts';
import { encodeFrame, type Frame, FrameType, valuesOf } from '../bridge/protocol/frames.ts';
import {
  commonVersion,
  frameBytesMax,
  type Hello,
  messageBytesMax,
  parseHello,
  type Welcome,
  windowBytes,
} from '../bridge/protocol/hello.ts';
import { malformed } from '../bridge/protocol/value-reader.ts';
import type { BridgeSession, CallObserver, SessionAtRest } from './bridge-session.ts';
import type { ConnectionHost } from './connection-host.ts';
import { revokingCalls } from './session-store.ts';

/** WebSocket close codes: 1000 and 1002 of the standard, 4000 to 4999 for applications. */
const CloseCode = {
  Protocol: 1002,
  GoingAway: 1001,
  SlowConsumer: 4008,
  Replaced: 4009,
  Refused: 4003,
} as const;

const helloTimeoutMs = 10_000;
/** Answers that wait because the client does not read: past this many bytes, or this long, it is cut off. */
const waitingBytesMax = 64 * 1024 * 1024;
const waitingMsMax = 30_000;

/** A WebSocket as the runtime has it. Its messages, pongs and end are told to the connection. */
export interface BridgeSocket {
  send(message: Uint8Array<ArrayBuffer>): void;
  /** At the level of WebSocket, where that can be asked for. */
  ping?(): void;
  close(code: number, reason: string): void;
  /** Cuts the connection without waiting for the other side. */
  terminate?(): void;
}

/** A connection with nothing under way, as plain data. */
export interface ConnectionAtRest {
  readonly session: SessionAtRest;
  /** In hexadecimal. */
  readonly tokenHash: string;
  readonly balance: LinkBalance;
  readonly address: string;
}

export class SocketConnection {
  readonly #socket: BridgeSocket;
  readonly #host: ConnectionHost;
  readonly #address: string;
  readonly #userToken: string | undefined;
  readonly #link: FrameLink;
  readonly #helloTimer: ReturnType<typeof setTimeout>;
  readonly #heartbeat: ReturnType<typeof setInterval> | undefined;
  #state: 'hello' | 'welcoming' | 'open' | 'closed' = 'hello';
  #session: BridgeSession | undefined;
  #heardAt: number = Date.now();
  #stuckAt: number | undefined;

  /** @param userToken of whoever the ticket was for */
  constructor(socket: BridgeSocket, host: ConnectionHost, address: string, userToken: string | undefined) {
    this.#socket = socket;
    this.#host = host;
    this.#address = address;
    this.#userToken = userToken;
    this.#link = new FrameLink({
      send: (message) => {
        host.metrics.bytesSent += message.length;
        socket.send(message);
      },
      schedule: (flush) => {
        host.schedule(() => {
          flush();
          if (host.quiet !== undefined && this.atRest !== undefined) host.quiet(this);
        });
      },
      messageBytesMax,
      frameBytesMax,
      window: windowBytes,
    });
    this.#helloTimer = setTimeout(() => this.#cut(CloseCode.Refused, 'no hello came'), helloTimeoutMs);
    if (host.watches) this.#heartbeat = setInterval(() => this.#beat(), host.heartbeatMs);
  }

  /** Goes on with a connection whose memory is gone, while its socket is not. @throws NOT_AUTHENTICATED */
  static async restore(
    socket: BridgeSocket,
    host: ConnectionHost,
    { session: rest, tokenHash, balance, address }: ConnectionAtRest,
  ): Promise<SocketConnection> {
    const connection = new SocketConnection(socket, host, address, undefined);
    clearTimeout(connection.#helloTimer);
    connection.#state = 'open';
    connection.#link.resume(balance);
    const session = await host.sessions.restore(rest, decodeHex(tokenHash), connection.#observer());
    session.attach(connection);
    connection.#session = session;
    return connection;
  }

  /** What `restore` needs; `undefined` while something is under way. */
  get atRest(): ConnectionAtRest | undefined {
    const balance = this.#link.atRest;
    const session = this.#state === 'open' ? this.#session : undefined;
    const rest = session?.atRest;
    const tokenHash = session && this.#host.sessions.tokenHashOf(session);
    if (balance === undefined || rest === undefined || tokenHash === undefined) return undefined;
    return { session: rest, tokenHash: encodeHex(tokenHash), balance, address: this.#address };
  }

  /** An answer of the session. A client that does not read is cut off; its session waits for it a while. */
  push(frame: Uint8Array<ArrayBuffer>, id: number): void {
    this.#link.push(frame, id);
    if (this.#link.queuedBytes > waitingBytesMax)
      this.#cut(CloseCode.SlowConsumer, 'answers are not read quickly enough');
  }

  refuse(error: ShibuDbError): void {
    this.#fail(error);
  }

  /** The server ends. */
  close(): void {
    this.#link.flush();
    this.#cut(CloseCode.GoingAway, 'the server is ending');
  }

  /** The client is there, whatever it said. */
  heard(): void {
    this.#heardAt = Date.now();
  }

  receive(message: Uint8Array): void {
    this.heard();
    this.#host.metrics.bytesReceived += message.length;
    try {
      this.#link.receive(message, (frame, receipt) => this.#onFrame(frame, receipt));
    } catch (error) {
      this.#fail(error);
    }
  }

  #onFrame(frame: Frame, receipt: Receipt | undefined): void {
    const session = this.#session;
    if (this.#state === 'closed') return;
    if (this.#state === 'hello' && frame.type === FrameType.Hello) {
      this.#state = 'welcoming';
      clearTimeout(this.#helloTimer);
      this.#welcome(frame).catch((error: unknown) => this.#fail(error));
      return;
    }
    if (this.#state !== 'open' || session === undefined)
      throw malformed(`type ${frame.type} came before the welcome`);
    switch (frame.type) {
      case FrameType.Call:
        session.start(frame, () => {
          if (receipt !== undefined) this.#link.release(receipt);
        });
        break;
      case FrameType.Cancel:
        if (this.#link.assembling === frame.id) {
          this.#link.dropParts();
          session.refuse(frame.id);
        } else session.cancel(frame.id);
        break;
      case FrameType.Settled:
        session.settle(frame.id);
        break;
      case FrameType.Ping:
        this.#link.control(encodeFrame(FrameType.Pong, 0));
        break;
      case FrameType.Pong:
        break;
      default:
        throw malformed(`type ${frame.type} is not expected from a client`);
    }
  }

  async #welcome(frame: Frame): Promise<void> {
    const hello = parseHello(valuesOf(frame, 1)[0]);
    const version = commonVersion(hello.versions);
    const { session, token, resumed, userToken } = await this.#sessionFor(hello);
    if (this.#state === 'closed') {
      this.#host.sessions.leave(session, this);
      return;
    }
    session.attach(this);
    this.#session = session;
    this.#state = 'open';
    const welcome: Welcome = {
      version,
      features: [],
      server: 'shibumi',
      session: session.id,
      token,
      resumed,
      ...(userToken === undefined ? {} : { userToken }),
      window: windowBytes,
      heartbeatMs: this.#host.heartbeatMs,
    };
    this.#link.grant(hello.window);
    this.#link.control(encodeFrame(FrameType.Welcome, 0, 0, welcome));
    // Alone in its message: the client learns from it how to read the others.
    this.#link.flush();
  }

  async #sessionFor(hello: Hello): Promise<{
    session: BridgeSession;
    token: string;
    resumed: boolean;
    userToken?: string | undefined;
  }> {
    const { sessions } = this.#host;
    if (hello.resume !== undefined) {
      const session = sessions.find(hello.resume.session, hello.resume.token);
      if (session !== undefined) return { session, token: hello.resume.token, resumed: true };
    }
    const made = sessions.create(this.#observer());
    try {
      const userToken = await this.#signIn(made.session, hello);
      return { ...made, resumed: false, userToken };
    } catch (error) {
      await sessions.end(made.session);
      throw error;
    }
  }

  #observer(): CallObserver {
    return {
      admit: (method, user) => {
        const { admission } = this.#host;
        if (method === 'authenticate') admission.login(this.#address);
        // Whoever is too quick must still be able to go.
        if (method !== 'close') admission.call(user === undefined ? this.#address : `user ${user}`);
      },
      finished: (method, code, startedAt) => {
        this.#host.metrics.called(method, code, (performance.now() - startedAt) / 1000);
        if (code === undefined && revokingCalls.has(method))
          this.#host.sessions.endRevoked().catch((error: unknown) => this.#host.log(String(error)));
      },
    };
  }

  /** @returns the user's token, if the hello brought a password */
  async #signIn(session: BridgeSession, { credentials, state }: Hello): Promise<string | undefined> {
    if (credentials !== undefined) {
      this.#host.admission.login(this.#address);
      return (await session.signIn(credentials)).token;
    }
    const token = this.#userToken ?? state?.token;
    const space = state?.space;
    if (token === undefined && space === undefined) return undefined;
    const signedIn = await session.resumeState({
      ...(token === undefined ? {} : { token }),
      ...(space === undefined ? {} : { space }),
    });
    return signedIn?.token;
  }

  #beat(): void {
    const now = Date.now();
    if (now - this.#heardAt > this.#host.heartbeatMs * 3) {
      this.#socket.terminate?.();
      this.ended();
      return;
    }
    this.#socket.ping?.();
    const isStuck = this.#link.queuedBytes > 0 && !this.#link.hasCredit;
    this.#stuckAt = isStuck ? (this.#stuckAt ?? now) : undefined;
    if (this.#stuckAt !== undefined && now - this.#stuckAt > waitingMsMax)
      this.#cut(CloseCode.SlowConsumer, 'answers are not read');
  }

  /** The connection cannot go on: the client is told why, and it ends. */
  #fail(error: unknown): void {
    if (this.#state === 'closed') return;
    const told = isShibuDbError(error)
      ? error
      : shibuDbError('INTERNAL', `The server failed: ${error instanceof Error ? error.message : error}`);
    this.#host.log(`${this.#address}: ${told.code}: ${told.message}`);
    this.#link.control(encodeFrame(FrameType.Error, 0, 0, { ...toEnvelope(told), stack: undefined }));
    this.#link.flush();
    this.#cut(told.code === 'PROTOCOL_ERROR' ? CloseCode.Protocol : CloseCode.Refused, told.code);
  }

  #cut(code: number, reason: string): void {
    if (this.#state === 'closed') return;
    this.ended();
    this.#socket.close(code, reason);
    // Whoever does not answer the closing is cut without it.
    if (this.#socket.terminate !== undefined) unref(setTimeout(() => this.#socket.terminate?.(), 2000));
  }

  /** The socket is gone. */
  ended(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    clearTimeout(this.#helloTimer);
    clearInterval(this.#heartbeat);
    this.#link.close();
    if (this.#session !== undefined) this.#host.sessions.leave(this.#session, this);
    this.#host.left(this);
  }
}

function encodeHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function decodeHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
