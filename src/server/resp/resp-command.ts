/** What a command of the Redis protocol is made of, for the tables in the files beside this one. */

import { isUtf8 } from 'node:buffer';
import type { Value } from '../../api/database.ts';
import type { ListenerClient } from '../listeners/listener-client.ts';
import { type Reply, RespError, type RespWriter } from './resp-writer.ts';
import type { ScanCursors } from './scan-cursors.ts';

/** The state of one connection. */
export interface RespContext {
  readonly client: ListenerClient;
  readonly writer: RespWriter;
  readonly cursors: ScanCursors;
  /** The number that SELECT has chosen, and the space it stands for. */
  database: number;
  readonly spaces: ReadonlyMap<number, string>;
  readonly id: number;
  name: string;
  /** Counts of the whole server, for INFO. */
  readonly connections: () => number;
  /** The connection ends once this command is answered. */
  quit(): void;
  signedIn(): void;
}

/**
 * `overlaps`: one write of the engine, which keeps their order itself: the next may start before it has ended. All others
 * wait for what is before them, and what is behind them waits.
 */
export interface RespCommand {
  readonly name: string;
  /** As Redis counts: words with the name; negative: at least so many. */
  readonly arity: number;
  readonly flags: readonly ('write' | 'readonly' | 'fast' | 'admin' | 'noauth')[];
  /** Which words are keys: first, last, step. */
  readonly keys: readonly [number, number, number];
  readonly overlaps: boolean | ((words: readonly Buffer[]) => boolean);
  readonly run: (context: RespContext, words: readonly Buffer[]) => Reply | Promise<Reply>;
}

export function spaceOf({ database, spaces }: RespContext): string {
  const space = spaces.get(database);
  if (space === undefined) throw new RespError('ERR DB index is out of range');
  return space;
}

/** Keys are texts here. */
export function keyIn(word: Buffer | undefined): string {
  if (word === undefined) throw syntaxError();
  if (!isUtf8(word)) throw new RespError('ERR keys of this server are UTF-8, and this one is not');
  return word.toString();
}

/** Text where the bytes are text, so that it is one for other clients too; the bytes come back the same either way. */
export function valueIn(word: Buffer): Value {
  return isUtf8(word) ? word.toString() : Uint8Array.from(word);
}

export function textIn(word: Buffer | undefined): string {
  if (word === undefined) throw syntaxError();
  return word.toString();
}

export function upper(word: Buffer | undefined): string {
  return word === undefined ? '' : word.toString('latin1').toUpperCase();
}

/** An integer of 64 bits. */
export function integerWord(word: Buffer | undefined): bigint {
  const text = word?.toString('latin1') ?? '';
  if (/^-?\d{1,19}$/.test(text)) {
    const value = BigInt(text);
    if (BigInt.asIntN(64, value) === value) return value;
  }
  throw new RespError('ERR value is not an integer or out of range');
}

export function numberWord(word: Buffer | undefined): number {
  const text = word?.toString('latin1') ?? '';
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value)) throw new RespError('ERR value is not a valid float');
  return value;
}

export function syntaxError(): RespError {
  return new RespError('ERR syntax error');
}
