/** Connections to a server that answers every line by a line, in order. */

import { connect, type Socket } from 'node:net';

const connectTimeoutMs = 10_000;
const answerTimeoutMs = 30_000;
const lineBytesMax = 256 * 1024 * 1024;

interface Waiting {
  readonly resolve: (line: string) => void;
  readonly reject: (error: Error) => void;
}

/** What was sent may have taken effect. */
export class AnswerLost extends Error {}

class LineConnection {
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  #parts: Buffer[] = [];
  #bytes = 0;
  isOpen = true;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('the connection was closed')));
    socket.setTimeout(answerTimeoutMs, () => {
      if (this.#waiting.length > 0) this.#end(new Error('no answer came'));
    });
  }

  get load(): number {
    return this.#waiting.length;
  }

  ask(line: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#socket.write(`${line}\n`);
    });
  }

  close(): void {
    this.#end(new Error('the upstream was closed'));
  }

  #receive(chunk: Buffer): void {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...this.#parts, chunk.subarray(from, end)]).toString();
      this.#parts = [];
      this.#bytes = 0;
      from = end + 1;
      this.#waiting.shift()?.resolve(line.replace(/\r$/, ''));
    }
    if (from === chunk.length) return;
    this.#parts.push(chunk.subarray(from));
    this.#bytes += chunk.length - from;
    if (this.#bytes > lineBytesMax) this.#end(new Error('an answer has no end'));
  }

  #end(cause: Error): void {
    this.isOpen = false;
    this.#socket.destroy();
    for (const { reject } of this.#waiting.splice(0)) reject(new AnswerLost(cause.message));
  }
}

export interface LineClientOptions {
  readonly host: string;
  readonly port: number;
  /** Connections at most. */
  readonly size: number;
  /** What a new connection begins with. */
  readonly begin: (ask: (line: string) => Promise<string>) => Promise<void>;
}

/** A few connections, each made when the ones there are busy. */
export class LineClient {
  readonly #options: LineClientOptions;
  #connections: LineConnection[] = [];
  #opening: Promise<LineConnection> | undefined;
  #isClosed = false;

  constructor(options: LineClientOptions) {
    this.#options = options;
  }

  /** @throws AnswerLost when it was sent and not answered; other errors when it was not sent */
  async ask(line: string): Promise<string> {
    return (await this.#connection()).ask(line);
  }

  close(): void {
    this.#isClosed = true;
    for (const connection of this.#connections) connection.close();
  }

  async #connection(): Promise<LineConnection> {
    if (this.#isClosed) throw new Error('the upstream was closed');
    this.#connections = this.#connections.filter(({ isOpen }) => isOpen);
    const [least] = this.#connections.toSorted((a, b) => a.load - b.load);
    if (least !== undefined && (least.load === 0 || this.#connections.length >= this.#options.size))
      return least;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    if (least === undefined) return this.#opening;
    // Whoever has a connection need not wait for another one.
    this.#opening.catch(() => {});
    return least;
  }

  async #open(): Promise<LineConnection> {
    const { host, port, begin } = this.#options;
    const socket = connect({ host, port, timeout: connectTimeoutMs });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
      socket.once('timeout', () => reject(new Error('it does not answer')));
    }).catch((error: unknown) => {
      socket.destroy();
      throw error;
    });
    const connection = new LineConnection(socket);
    try {
      await begin((line) => connection.ask(line));
    } catch (error) {
      connection.close();
      throw error;
    }
    this.#connections.push(connection);
    return connection;
  }
}
