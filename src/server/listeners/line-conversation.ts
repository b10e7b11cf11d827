/** A client that sends lines, each of which is answered before the next is looked at. */

import type { Conversation, Wire } from './tcp-listener.ts';

export interface LineAnswer {
  /** With its end of line. Nothing: the line needs none. */
  readonly text?: string;
  /** The connection ends with it. */
  readonly isLast?: boolean;
}

export interface LineHandler {
  /** Longer lines end the connection. */
  readonly lineBytesMax: number;
  /** Never throws. @param line without its end */
  answer(line: string): LineAnswer | Promise<LineAnswer>;
}

/** Lines that wait, before nothing more is read. */
const waitingMax = 1024;

export class LineConversation implements Conversation {
  readonly #wire: Wire;
  readonly #handler: LineHandler;
  #waiting: string[] = [];
  #next = 0;
  /** The beginning of a line whose end has not come. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  #isBusy = false;
  #isPaused = false;
  #isEnding = false;
  #isEnded = false;
  #output = '';

  constructor(wire: Wire, handler: LineHandler) {
    this.#wire = wire;
    this.#handler = handler;
  }

  receive(chunk: Buffer): void {
    if (this.#isEnding) return;
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      this.#parts.push(chunk.subarray(from, end));
      this.#partBytes += end - from;
      from = end + 1;
      if (this.#isTooLong()) return;
      const line = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts);
      this.#waiting.push(line.toString());
      this.#parts = [];
      this.#partBytes = 0;
    }
    if (from < chunk.length) {
      this.#parts.push(chunk.subarray(from));
      this.#partBytes += chunk.length - from;
      if (this.#isTooLong()) return;
    }
    this.#run();
    if (!this.#isPaused && this.#waiting.length - this.#next > waitingMax) {
      this.#isPaused = true;
      this.#wire.pause();
    }
  }

  finish(): void {
    this.#isEnding = true;
    this.#run();
  }

  /** What came before such a line is still answered. */
  #isTooLong(): boolean {
    if (this.#partBytes <= this.#handler.lineBytesMax) return false;
    this.#parts = [];
    this.finish();
    return true;
  }

  #run(): void {
    while (!this.#isBusy && !this.#isEnded && this.#next < this.#waiting.length) {
      const answer = this.#handler.answer(this.#waiting[this.#next++] ?? '');
      if (answer instanceof Promise) {
        this.#isBusy = true;
        answer.then((settled) => {
          this.#isBusy = false;
          this.#give(settled);
          this.#run();
        });
      } else this.#give(answer);
    }
    if (this.#next === this.#waiting.length) {
      this.#waiting = [];
      this.#next = 0;
    }
    this.#send();
    if (this.#isEnding && !this.#isBusy && this.#waiting.length === 0) this.#end();
    if (this.#isPaused && this.#waiting.length - this.#next <= waitingMax / 2) {
      this.#isPaused = false;
      this.#wire.resume();
    }
  }

  #give({ text, isLast }: LineAnswer): void {
    if (text !== undefined) this.#output += text;
    if (this.#output.length > 65_536) this.#send();
    if (isLast) {
      this.#waiting = [];
      this.#next = 0;
      this.#isEnding = true;
      this.#send();
      this.#end();
    }
  }

  #send(): void {
    if (this.#output !== '') this.#wire.write(this.#output);
    this.#output = '';
  }

  #end(): void {
    if (!this.#isEnded) this.#wire.end();
    this.#isEnded = true;
  }
}
