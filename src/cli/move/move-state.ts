/** How far an interrupted move had come, in a file beside whoever runs it. It holds no address: there may be a password in one. */

import { createHash } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { invalid } from '../../base/arguments.ts';

interface Stored {
  /** Of source, space and target. */
  readonly move: string;
  readonly cursor: string;
  readonly copied: number;
}

export class MoveState {
  readonly file: string;
  readonly #move: string;

  /** @param file default: in the current folder */
  constructor(source: string, space: string, target: string, file?: string) {
    this.#move = createHash('sha256')
      .update(JSON.stringify([source, space, target]))
      .digest('hex');
    this.file = path.resolve(file ?? `.shibumi-move-${this.#move.slice(0, 16)}.json`);
  }

  /** Nothing: there is no interrupted one. */
  read(): { cursor: string; copied: number } | undefined {
    let text: string;
    try {
      text = readFileSync(this.file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    const { move, cursor, copied } = JSON.parse(text) as Stored;
    if (move !== this.#move || typeof cursor !== 'string')
      throw invalid(`${this.file} is not of this move; remove it to begin anew`);
    return { cursor, copied };
  }

  write(cursor: string, copied: number): void {
    const stored: Stored = { move: this.#move, cursor, copied };
    // Whole or not at all.
    writeFileSync(`${this.file}.new`, JSON.stringify(stored));
    renameSync(`${this.file}.new`, this.file);
  }

  remove(): void {
    rmSync(this.file, { force: true });
  }
}
