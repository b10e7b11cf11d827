/**
 * Reads the requests of the Redis protocol: arrays of bulk strings, or inline commands (words on a line, as typed into
 * telnet, with quotes as redis-cli takes them). https://redis.io/docs/latest/develop/reference/protocol-spec/
 *
 * Limits follow Redis: before a client has signed in it may send little.
 */

/** What is not the protocol: the client is told, and the connection ends. */
export class RespProtocolError extends Error {}

interface Limits {
  readonly words: number;
  readonly wordBytes: number;
}

const limitsOfStrangers: Limits = { words: 10, wordBytes: 16_384 };
/** A value and what belongs to it; a vector of the largest dimension. */
const limitsOfUsers: Limits = { words: 1024 * 1024, wordBytes: 64 * 1024 * 1024 };
const inlineBytesMax = 65_536;
/** Of one command, all words together. */
const commandBytesMax = 128 * 1024 * 1024;

/** Of a line that holds a number. */
const lengthBytesMax = 32;

const CR = 13;
const LF = 10;
const star = 42;
const dollar = 36;
const minus = 45;

export class RespParser {
  isSignedIn = false;
  /** What has come and is not read yet, and the bytes that must be there before another look is worth it. */
  #chunks: Buffer[] = [];
  #chunkBytes = 0;
  #need = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Of the command that is being read: its words so far, how many are still to come, and their bytes together. */
  #words: Buffer[] = [];
  #left = 0;
  #size = 0;

  /** The commands that are complete with this chunk. The words are views of what was received. @throws RespProtocolError */
  *commands(chunk: Buffer): Generator<Buffer[]> {
    this.#chunks.push(chunk);
    this.#chunkBytes += chunk.length;
    // A large value comes in many chunks: joined once, not with each.
    if (this.#chunkBytes < this.#need) return;
    this.#bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    this.#at = 0;
    this.#need = 0;
    while (this.#at < this.#bytes.length && this.#step()) {
      if (this.#left > 0 || this.#words.length === 0) continue;
      const words = this.#words;
      this.#words = [];
      this.#size = 0;
      yield words;
    }
    const rest = this.#bytes.subarray(this.#at);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#chunkBytes = rest.length;
    this.#bytes = rest;
  }

  /** Reads one part; whether it was there. */
  #step(): boolean {
    if (this.#left > 0) return this.#word();
    return this.#bytes[this.#at] === star ? this.#count() : this.#inline();
  }

  #count(): boolean {
    const end = this.#lineEnd('too big mbulk count string');
    if (end < 0) return false;
    const count = this.#number(end);
    if (count === undefined || count > limitsOfUsers.words)
      throw new RespProtocolError('invalid multibulk length');
    if (count > this.#limits.words) throw new RespProtocolError('unauthenticated multibulk length');
    this.#left = Math.max(0, count);
    this.#at = end + 2;
    return true;
  }

  #word(): boolean {
    if (this.#bytes[this.#at] !== dollar) {
      const found = String.fromCharCode(this.#bytes[this.#at] ?? 0);
      throw new RespProtocolError(`expected '$', got '${/[ -~]/.test(found) ? found : '?'}'`);
    }
    const end = this.#lineEnd('too big bulk count string');
    if (end < 0) return false;
    const length = this.#number(end);
    if (length === undefined || length < 0 || length > limitsOfUsers.wordBytes)
      throw new RespProtocolError('invalid bulk length');
    if (length > this.#limits.wordBytes) throw new RespProtocolError('unauthenticated bulk length');
    if (this.#size + length > commandBytesMax) throw new RespProtocolError('the command is too big');
    const start = end + 2;
    if (start + length + 2 > this.#bytes.length) {
      this.#need = start + length + 2 - this.#at;
      return false;
    }
    this.#words.push(this.#bytes.subarray(start, start + length));
    this.#size += length;
    this.#left--;
    this.#at = start + length + 2;
    return true;
  }

  get #limits(): Limits {
    return this.isSignedIn ? limitsOfUsers : limitsOfStrangers;
  }

  #inline(): boolean {
    const end = this.#bytes.indexOf(LF, this.#at);
    if ((end < 0 ? this.#bytes.length : end) - this.#at > inlineBytesMax)
      throw new RespProtocolError('too big inline request');
    if (end < 0) return false;
    const last = this.#bytes[end - 1] === CR && end > this.#at ? end - 1 : end;
    const found = splitWords(this.#bytes.subarray(this.#at, last).toString('latin1'));
    if (found === undefined) throw new RespProtocolError('unbalanced quotes in request');
    this.#words = found.map((word) => Buffer.from(word, 'latin1'));
    this.#at = end + 1;
    return true;
  }

  /** The position of the next CR LF. */
  #lineEnd(tooLong: string): number {
    const end = this.#bytes.indexOf(CR, this.#at);
    if (end >= 0 && end + 1 < this.#bytes.length) return end;
    if (this.#bytes.length - this.#at > lengthBytesMax) throw new RespProtocolError(tooLong);
    return -1;
  }

  /** The number between the type and `end`. */
  #number(end: number): number | undefined {
    const from = this.#at + 1;
    const isNegative = this.#bytes[from] === minus;
    const first = isNegative ? from + 1 : from;
    if (end - first > 12 || end === first) return undefined;
    let value = 0;
    for (let i = first; i < end; i++) {
      const digit = (this.#bytes[i] ?? 0) - 48;
      if (digit < 0 || digit > 9) return undefined;
      value = value * 10 + digit;
    }
    return isNegative ? -value : value;
  }
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\x07' };

/** Words of a line: bare, 'as they are' or "with \n and \x0f". Nothing: a quote is not closed, or something follows it. */
export function splitWords(line: string): string[] | undefined {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (at < line.length && /\s/.test(line.charAt(at))) at++;
    if (at >= line.length) return words;
    let word = '';
    while (at < line.length && !/\s/.test(line.charAt(at))) {
      const quote = line.charAt(at);
      if (quote !== '"' && quote !== "'") {
        word += quote;
        at++;
        continue;
      }
      at++;
      for (;;) {
        if (at >= line.length) return undefined;
        const here = line.charAt(at);
        if (here === quote) break;
        const hex = quote === '"' ? /^\\x([0-9a-fA-F]{2})/.exec(line.slice(at, at + 4)) : null;
        if (hex !== null) {
          word += String.fromCharCode(Number.parseInt(hex[1] ?? '0', 16));
          at += 4;
        } else if (here === '\\' && at + 1 < line.length && (quote === '"' || line.charAt(at + 1) === "'")) {
          const escaped = line.charAt(at + 1);
          word += quote === '"' ? (escapes[escaped] ?? escaped) : escaped;
          at += 2;
        } else {
          word += here;
          at++;
        }
      }
      at++;
      if (at < line.length && !/\s/.test(line.charAt(at))) return undefined;
    }
    words.push(word);
  }
}
