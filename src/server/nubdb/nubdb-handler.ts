/**
 * NubDB's line protocol, on one key-value space. Words are split at blanks, commands come in any case, extra words are
 * ignored. A value in quotes is one value, which is what NubDB's clients mean by them. `AUTH user password` is ours: NubDB has
 * no users, and a server without a guest needs one.
 */

import type { Value } from '../../api/database.ts';
import { isShibuDbError } from '../../api/errors.ts';
import type { LineAnswer, LineHandler } from '../listeners/line-conversation.ts';
import type { ListenerClient } from '../listeners/listener-client.ts';
import { splitWords } from '../resp/resp-parser.ts';

const textOf = (value: Value): string => (typeof value === 'string' ? value : Buffer.from(value).toString());

export class NubDbHandler implements LineHandler {
  readonly lineBytesMax: number = 4096;
  readonly #client: ListenerClient;
  readonly #space: string;

  constructor(client: ListenerClient, space: string) {
    this.#client = client;
    this.#space = space;
  }

  answer(line: string): LineAnswer | Promise<LineAnswer> {
    const words = splitWords(line) ?? line.trim().split(/\s+/);
    const [word = ''] = words;
    const name = word.toUpperCase();
    if (name === '') return {};
    if (name === 'QUIT' || name === 'EXIT') return { text: 'Goodbye\n', isLast: true };
    return this.#run(name, words).then(
      (text) => ({ text: `${text}\n` }),
      (error: unknown) => ({ text: `ERROR: ${messageOf(error)}\n` }),
    );
  }

  async #run(name: string, [, key, value, ttl]: readonly string[]): Promise<string> {
    const client = this.#client;
    const space = this.#space;
    switch (name) {
      case 'AUTH':
        if (key === undefined || value === undefined) return 'ERROR: AUTH requires user and password';
        await client.signIn(key, value);
        return 'OK';
      case 'SET': {
        if (key === undefined || value === undefined) return 'ERROR: SET requires key and value';
        const seconds = /^\d+$/.test(ttl ?? '') ? Number(ttl) : 0;
        await client.call('put', { space, key, value, ...(seconds > 0 ? { ttlMs: seconds * 1000 } : {}) });
        return 'OK';
      }
      case 'GET': {
        if (key === undefined) return 'ERROR: GET requires key';
        const found = await client.call('get', { space, key });
        return found === undefined ? '(nil)' : `"${textOf(found)}"`;
      }
      case 'DEL':
      case 'DELETE':
        if (key === undefined) return 'ERROR: DELETE requires key';
        return (await client.call('delete', { space, key })) ? 'OK' : '(not found)';
      case 'EXISTS':
        if (key === undefined) return 'ERROR: EXISTS requires key';
        return (await client.call('exists', { space, key })) ? '1' : '0';
      case 'INCR':
      case 'DECR':
        if (key === undefined) return `ERROR: ${name} requires key`;
        return String(await client.call('increment', { space, key, by: name === 'INCR' ? 1 : -1 }));
      case 'SIZE':
        return `${await client.call('size', { space })} keys`;
      case 'CLEAR':
        await client.call('clear', { space });
        return 'OK';
      default:
        return 'ERROR: Unknown command';
    }
  }
}

/** One line. */
function messageOf(error: unknown): string {
  if (!isShibuDbError(error)) return 'the server failed';
  if (error.code === 'NOT_AUTHENTICATED') return 'AUTH user password comes first';
  return error.message.replace(/\s*\n\s*/g, ' ');
}
