/** Answers in the Redis protocol, version 2 or 3, gathered in one buffer until they are sent. */

/** `+OK`: a word that is no data. */
export class Status {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export const ok: Status = new Status('OK');

/** `-ERR …`. */
export class RespError extends Error {}

/** Names and values: a map in version 3, a flat array before. */
export class RespMap {
  readonly entries: readonly (readonly [Reply, Reply])[];

  constructor(entries: readonly (readonly [Reply, Reply])[]) {
    this.entries = entries;
  }
}

/** A floating-point number: its own type in version 3, its text before. */
export class Double {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** `string` and `Uint8Array` are bulk strings, `number` and `bigint` integers, `undefined` null. */
export type Reply =
  | undefined
  | string
  | Uint8Array
  | number
  | bigint
  | boolean
  | Status
  | RespError
  | RespMap
  | Double
  | readonly Reply[];

const firstBytes = 16 * 1024;

export class RespWriter {
  version: 2 | 3 = 2;
  #buffer: Buffer = Buffer.allocUnsafe(firstBytes);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What was written since the last time; the buffer is the caller's. */
  take(): Buffer {
    const taken = this.#buffer.subarray(0, this.#length);
    this.#buffer = Buffer.allocUnsafe(firstBytes);
    this.#length = 0;
    return taken;
  }

  write(reply: Reply): void {
    if (reply === undefined) this.#ascii(this.version === 3 ? '_\r\n' : '$-1\r\n');
    else if (typeof reply === 'string') this.#text(reply);
    else if (reply instanceof Uint8Array) this.#bytes(reply);
    else if (typeof reply === 'number' || typeof reply === 'bigint') this.#ascii(`:${reply}\r\n`);
    else if (typeof reply === 'boolean')
      this.#ascii(this.version === 3 ? `#${reply ? 't' : 'f'}\r\n` : `:${reply ? 1 : 0}\r\n`);
    else if (reply instanceof Status) this.#ascii(`+${reply.text}\r\n`);
    else if (reply instanceof RespError) this.#error(reply.message);
    else if (reply instanceof Double) this.#double(reply.value);
    else if (reply instanceof RespMap) {
      this.#ascii(this.version === 3 ? `%${reply.entries.length}\r\n` : `*${reply.entries.length * 2}\r\n`);
      for (const [name, value] of reply.entries) {
        this.write(name);
        this.write(value);
      }
    } else {
      this.#ascii(`*${reply.length}\r\n`);
      for (const item of reply) this.write(item);
    }
  }

  #double(value: number): void {
    const text = Number.isFinite(value)
      ? String(value)
      : Number.isNaN(value)
        ? 'nan'
        : value > 0
          ? 'inf'
          : '-inf';
    if (this.version === 3) this.#ascii(`,${text}\r\n`);
    else this.#text(text);
  }

  /** An error is one line, whatever is quoted in it. */
  #error(message: string): void {
    const bytes = Buffer.from(`-${message.replace(/[\r\n]+/g, ' ')}\r\n`);
    this.#reserve(bytes.length);
    this.#length += bytes.copy(this.#buffer, this.#length);
  }

  #text(text: string): void {
    const bytes = Buffer.byteLength(text);
    this.#reserve(bytes + 24);
    this.#ascii(`$${bytes}\r\n`);
    this.#length += this.#buffer.write(text, this.#length);
    this.#ascii('\r\n');
  }

  #bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length + 24);
    this.#ascii(`$${bytes.length}\r\n`);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    this.#ascii('\r\n');
  }

  #ascii(text: string): void {
    this.#reserve(text.length);
    this.#length += this.#buffer.write(text, this.#length, 'latin1');
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
