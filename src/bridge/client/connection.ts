/**
 * One WebSocket to a bridge, from its hello to its end. It knows nothing of calls; whoever owns it gets the frames and is
 * told once when the connection is gone, for whatever reason: closed, failed, silent, or not speaking the protocol.
 */

import { type ErrorEnvelope, fromEnvelope } from '../../api/error-envelope.ts';
import { isShibuDbError, type ShibuDbError, shibuDbError } from '../../api/errors.ts';
import { FrameLink, type Receipt } from '../protocol/frame-link.ts';
import { encodeFrame, type Frame, FrameType, framesOf, valuesOf } from '../protocol/frames.ts';
import {
  frameBytesMax,
  type Hello,
  messageBytesMax,
  parseWelcome,
  subprotocol,
  ticketProtocolPrefix,
  type Welcome,
  windowBytes,
} from '../protocol/hello.ts';

export interface ConnectionOptions {
  readonly url: string;
  readonly hello: Hello;
  readonly ticket: string | undefined;
  /** For everything up to the welcome. */
  readonly timeoutMs: number;
  readonly onFrame: (frame: Frame) => void;
  readonly onEnd: (error: ShibuDbError) => void;
}

export class Connection {
  readonly welcome: Welcome;
  readonly #socket: WebSocket;
  readonly #link: FrameLink;
  readonly #options: ConnectionOptions;
  readonly #heartbeat: ReturnType<typeof setInterval>;
  #heardAt: number;
  #ended = false;

  private constructor(socket: WebSocket, welcome: Welcome, options: ConnectionOptions) {
    this.#socket = socket;
    this.welcome = welcome;
    this.#options = options;
    this.#link = new FrameLink({
      send: (message) => socket.send(message),
      // A browser's own, called as a method of something else, throws.
      schedule: (flush) => queueMicrotask(flush),
      messageBytesMax,
      frameBytesMax,
      window: options.hello.window,
    });
    this.#link.grant(welcome.window);
    this.#heardAt = Date.now();
    this.#heartbeat = setInterval(() => this.#beat(), welcome.heartbeatMs);
    socket.onmessage = ({ data }) => this.#onMessage(data);
    socket.onerror = null;
    socket.onclose = ({ code, reason }) => this.#end(closed(options.url, code, reason));
  }

  /** @throws BRIDGE_UNAVAILABLE, TIMEOUT, and what the server refuses the hello with */
  static open(options: ConnectionOptions): Promise<Connection> {
    const { url, hello, ticket, timeoutMs } = options;
    const protocols = [subprotocol, ...(ticket === undefined ? [] : [`${ticketProtocolPrefix}${ticket}`])];
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, protocols);
      socket.binaryType = 'arraybuffer';
      const fail = (error: unknown): void => {
        clearTimeout(timer);
        socket.onopen = socket.onmessage = socket.onerror = socket.onclose = null;
        socket.close();
        reject(error);
      };
      const timer = setTimeout(
        () => fail(shibuDbError('TIMEOUT', `${url} has not answered within ${timeoutMs} ms`)),
        timeoutMs,
      );
      socket.onopen = () => socket.send(encodeFrame(FrameType.Hello, 0, 0, hello));
      socket.onerror = () => {};
      socket.onclose = ({ code, reason }) => fail(closed(url, code, reason));
      socket.onmessage = ({ data }) => {
        try {
          const welcome = welcomeIn(data);
          clearTimeout(timer);
          resolve(new Connection(socket, welcome, options));
        } catch (error) {
          fail(error);
        }
      };
    });
  }

  /** Sends a frame when there is credit for it. */
  push(frame: Uint8Array<ArrayBuffer>, id: number): void {
    this.#link.push(frame, id);
  }

  /** Sends a frame that costs nothing. */
  control(frame: Uint8Array<ArrayBuffer>): void {
    this.#link.control(frame);
  }

  /** Takes back what has not been sent of frame `id`; whether nothing of it was. */
  withdraw(id: number): boolean {
    return this.#link.withdraw(id);
  }

  /** Sends what may be sent, and closes. `onEnd` is not called. */
  close(): void {
    if (this.#ended) return;
    this.#link.flush();
    this.#stop();
    this.#socket.close(1000);
  }

  #onMessage(data: unknown): void {
    this.#heardAt = Date.now();
    try {
      this.#link.receive(new Uint8Array(data as ArrayBuffer), (frame, receipt) =>
        this.#onFrame(frame, receipt),
      );
    } catch (error) {
      this.#end(isShibuDbError(error) ? error : shibuDbError('INTERNAL', String(error), { cause: error }));
    }
  }

  #onFrame(frame: Frame, receipt: Receipt | undefined): void {
    if (frame.type === FrameType.Ping) this.#link.control(encodeFrame(FrameType.Pong, 0));
    else if (frame.type === FrameType.Error && frame.id === 0) throw errorIn(frame);
    else if (frame.type !== FrameType.Pong) this.#options.onFrame(frame);
    if (receipt !== undefined) this.#link.release(receipt);
  }

  /** A connection may be dead without anybody telling: the network is gone, or the server's machine. */
  #beat(): void {
    const silentMs = Date.now() - this.#heardAt;
    const { heartbeatMs } = this.welcome;
    if (silentMs > heartbeatMs * 3) {
      this.#end(unavailable(this.#options.url, `it has been silent for ${silentMs} ms`));
    } else this.#link.control(encodeFrame(FrameType.Ping, 0));
  }

  #end(error: ShibuDbError): void {
    if (this.#ended) return;
    this.#stop();
    this.#socket.close();
    this.#options.onEnd(error);
  }

  #stop(): void {
    this.#ended = true;
    clearInterval(this.#heartbeat);
    this.#link.close();
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
  }
}

export function makeHello(given: Pick<Hello, 'credentials' | 'resume' | 'state'>): Hello {
  return {
    versions: [1],
    features: [],
    client: 'shibumi',
    window: windowBytes,
    ...given,
  };
}

/** The error of an Error frame, of its own class. */
export function errorIn(frame: Frame): ShibuDbError {
  const [envelope] = valuesOf(frame, 1) as [ErrorEnvelope];
  return fromEnvelope({ ...envelope, stack: undefined });
}

function welcomeIn(data: unknown): Welcome {
  for (const frame of framesOf(new Uint8Array(data as ArrayBuffer))) {
    if (frame.type === FrameType.Error) throw errorIn(frame);
    if (frame.type === FrameType.Welcome) return parseWelcome(valuesOf(frame, 1)[0]);
    break;
  }
  throw shibuDbError('PROTOCOL_ERROR', 'Got something else than a welcome as the first frame');
}

export function unavailable(url: string, why: string): ShibuDbError {
  return shibuDbError('BRIDGE_UNAVAILABLE', `There is no connection to ${url}: ${why}`);
}

function closed(url: string, code: number, reason: string): ShibuDbError {
  return unavailable(url, `it was closed with code ${code}${reason === '' ? '' : ` (${reason})`}`);
}
