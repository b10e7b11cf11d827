/**
 * Commands from one named pipe, replies to another. Clients open and close them as they like, also once per command.
 *
 * The input is opened once and never again: reading it gives 0 bytes while no client has it open and EAGAIN while one has
 * but is silent, so nothing that was written can fall between two openings. Both ends are polled without blocking: a
 * blocking open or read would hold a thread that nothing can call back, and the process could not end.
 *
 * When the last client has closed the input and is answered, the output is closed too, so that whoever reads it to its
 * end gets one. A client that keeps the input open keeps the output open.
 */

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { invalid } from '../base/arguments.ts';
import { linesOf } from './lines.ts';

const { O_RDONLY, O_WRONLY, O_NONBLOCK } = fs.constants;
const pollMs = { least: 1, most: 20 };
const chunkBytes = 64 * 1024;

/** Makes the pipes that are not there. @returns those it made; @throws INVALID_ARGUMENT for what is no pipe */
export function makePipes(paths: readonly string[]): string[] {
  const made: string[] = [];
  for (const file of paths) {
    const found = fs.statSync(file, { throwIfNoEntry: false });
    if (found === undefined) {
      if (process.platform === 'win32') throw invalid('Named pipes need a Unix; this is Windows');
      execFileSync('mkfifo', ['-m', '600', file], { stdio: 'pipe' });
      made.push(file);
    } else if (!found.isFIFO()) {
      throw invalid(`Got ${file}, expected a named pipe (mkfifo) or a path where there is nothing`);
    }
  }
  return made;
}

export class NamedPipes {
  readonly #input: number;
  readonly #outputPath: string;
  readonly #signal: AbortSignal;
  #output: number | undefined;

  /** `signal` ends every wait: reading stops as at an end of file, writing rejects. */
  constructor(inputPath: string, outputPath: string, signal: AbortSignal) {
    this.#input = fs.openSync(inputPath, O_RDONLY | O_NONBLOCK);
    this.#outputPath = outputPath;
    this.#signal = signal;
  }

  /** The lines of the clients that come until the input is closed by all of them. */
  lines(): ReturnType<typeof linesOf> {
    return linesOf(this.#read());
  }

  async *#read(): AsyncGenerator<Uint8Array, void, undefined> {
    let wait = pollMs.least;
    let someoneCame = false;
    while (!this.#signal.aborted) {
      const chunk = Buffer.allocUnsafe(chunkBytes);
      const bytes = readNow(this.#input, chunk);
      if (bytes !== undefined && bytes > 0) {
        someoneCame = true;
        wait = pollMs.least;
        yield chunk.subarray(0, bytes);
        continue;
      }
      if (bytes === undefined) {
        someoneCame = true;
        // Whoever opens both ends before writing waits in the second opening until there is a writer.
        this.#output ??= openForWriting(this.#outputPath);
      } else if (someoneCame) {
        return;
      }
      await this.#pause(wait);
      wait = Math.min(wait * 2, pollMs.most);
    }
  }

  /** Waits for a reader, and for another one if it leaves before it has everything. */
  async write(text: string): Promise<void> {
    let rest: Uint8Array = Buffer.from(text);
    let wait = pollMs.least;
    while (rest.length > 0) {
      this.#signal.throwIfAborted();
      this.#output ??= openForWriting(this.#outputPath);
      const written = this.#output === undefined ? 0 : this.#writeNow(this.#output, rest);
      if (written > 0) {
        rest = rest.subarray(written);
        wait = pollMs.least;
      } else {
        await this.#pause(wait);
        wait = Math.min(wait * 2, pollMs.most);
      }
    }
  }

  #writeNow(output: number, bytes: Uint8Array): number {
    try {
      return fs.writeSync(output, bytes);
    } catch (error) {
      if (codeOf(error) === 'EPIPE') this.endOutput();
      else if (codeOf(error) !== 'EAGAIN') throw error;
      return 0;
    }
  }

  /** Gives the output's reader an end of file. */
  endOutput(): void {
    if (this.#output !== undefined) fs.closeSync(this.#output);
    this.#output = undefined;
  }

  close(): void {
    this.endOutput();
    fs.closeSync(this.#input);
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#signal }).catch(() => {});
  }
}

/** `undefined` while somebody has the pipe open and there is nothing to read. */
function readNow(input: number, target: Uint8Array): number | undefined {
  try {
    return fs.readSync(input, target);
  } catch (error) {
    if (codeOf(error) === 'EAGAIN') return undefined;
    throw error;
  }
}

/** `undefined` while nobody reads. */
function openForWriting(file: string): number | undefined {
  try {
    return fs.openSync(file, O_WRONLY | O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ENXIO') return undefined;
    throw error;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
