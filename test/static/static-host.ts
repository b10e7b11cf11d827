/** A static host for tests: files of a folder over HTTP, with ranges, and with everything that hosts do instead. */

import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

const types: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

export interface Answered {
  readonly file: string;
  readonly range: string | undefined;
  readonly bytes: number;
}

export class StaticHost {
  /** What was answered, in order. */
  readonly answered: Answered[] = [];
  /** Answers every range with the whole file and 200, as some hosts do. */
  ignoresRanges = false;
  /** So many answers break off in the middle of their body. */
  breaks = 0;
  /** Status of answers for files whose name has this in it. */
  failing: { readonly part: string; readonly status: number } | undefined;
  /** No answer is sent before it resolves. */
  held: Promise<void> | undefined;
  readonly #folder: string;
  readonly #server = createServer((request, response) => {
    this.#answer(request, response).catch(() => response.destroy());
  });

  constructor(folder: string) {
    this.#folder = folder;
  }

  async start(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    return this.url;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get bytes(): number {
    return this.answered.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', this.url);
    const file = pathname.endsWith('/') ? `${pathname}index.html` : pathname;
    await this.held;
    const headers = {
      'access-control-allow-origin': '*',
      'access-control-allow-headers': 'range',
      'content-type': types[path.extname(file)] ?? 'application/octet-stream',
    };
    if (this.failing !== undefined && file.includes(this.failing.part)) {
      response.writeHead(this.failing.status, headers).end('no');
      return;
    }
    let content: Buffer;
    try {
      content = readFileSync(path.join(this.#folder, path.normalize(file)));
    } catch {
      response.writeHead(404, headers).end('no such file');
      return;
    }
    const range = request.headers.range;
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
    const isPart = from !== undefined && !this.ignoresRanges;
    if (isPart && Number(from) >= content.length) {
      response.writeHead(416, headers).end();
      return;
    }
    const body = isPart ? content.subarray(Number(from), Number(to) + 1) : content;
    this.answered.push({ file: file.slice(1), range, bytes: body.length });
    const partHeaders = isPart
      ? { 'content-range': `bytes ${from}-${Number(from) + body.length - 1}/${content.length}` }
      : {};
    response.writeHead(isPart ? 206 : 200, { ...headers, ...partHeaders, 'content-length': body.length });
    if (this.breaks > 0) {
      this.breaks--;
      response.write(body.subarray(0, body.length >> 1), () => response.destroy());
      return;
    }
    response.end(body);
  }
}
