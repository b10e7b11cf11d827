/** Commands on keys, in the words of ShibuDB's and NubDB's own clients. */

import type { Entry } from '../api/database.ts';
import { keyText, ok, type Reply, table, valueJson, valueText } from './reply.ts';
import type { Command, Shell } from './shell.ts';
import { parseInteger, parseNumber, vectorNumbers, vectorText } from './vector-text.ts';

const scanLimit = 100;

const put = {
  words: [2, 3],
  usage: 'key value [ttlSeconds]',
  pipelined: true,
  onKeys: true,
  async run({ db, keySpace: space }, { words: [key = '', value = '', ttl] }): Promise<Reply> {
    const ttlMs = ttl === undefined ? undefined : parseNumber(ttl, 'ttlSeconds') * 1000;
    await db.put(key, value, ttlMs === undefined ? { space } : { space, ttlMs });
    return ok;
  },
} as const satisfies Partial<Command>;

function counting(name: string, sign: 1 | -1, summary: string): Command {
  return {
    name,
    usage: 'key [by]',
    summary,
    words: [1, 2],
    pipelined: true,
    onKeys: true,
    async run({ db, keySpace: space }, { words: [key = '', by = '1'] }) {
      const sum = await db.increment(key, sign * parseInteger(by, 'by', Number.MIN_SAFE_INTEGER), { space });
      return { value: sum, text: String(sum) };
    },
  };
}

export const keyCommands: readonly Command[] = [
  { ...put, name: 'PUT', summary: 'stores a value under a key' },
  { ...put, name: 'SET', summary: 'the same' },
  {
    name: 'GET',
    usage: 'key',
    summary: 'the value, or (nil)',
    words: [1, 1],
    onKeys: true,
    async run({ db, keySpace: space }, { words: [key = ''] }) {
      const value = await db.get(key, { space });
      return { value: valueJson(value), text: valueText(value) };
    },
  },
  {
    name: 'DELETE',
    aliases: ['DEL'],
    usage: 'key',
    summary: 'deletes a key: OK, or (not found)',
    words: [1, 1],
    pipelined: true,
    onKeys: true,
    async run({ db, keySpace: space }, { words: [key = ''] }) {
      return deleted(await db.delete(key, { space }));
    },
  },
  {
    name: 'EXISTS',
    usage: 'key',
    summary: '1 if the key is there, else 0',
    words: [1, 1],
    onKeys: true,
    async run({ db, keySpace: space }, { words: [key = ''] }) {
      return oneOrZero(await db.exists(key, { space }));
    },
  },
  counting('INCR', 1, 'adds 1, or as much as is given, to the integer under a key'),
  counting('DECR', -1, 'takes 1, or as much as is given, from it'),
  {
    name: 'EXPIRE',
    usage: 'key seconds',
    summary: 'lets a key go after so many seconds: 1, or 0 if there is none',
    words: [2, 2],
    onKeys: true,
    async run({ db, keySpace: space }, { words: [key = '', seconds = ''] }) {
      return oneOrZero(await db.expire(key, parseNumber(seconds, 'seconds') * 1000, { space }));
    },
  },
  {
    name: 'TTL',
    usage: 'key',
    summary: 'seconds a key has left; -1 if it stays, -2 if there is none',
    words: [1, 1],
    onKeys: true,
    async run({ db, keySpace: space }, { words: [key = ''] }) {
      const ms = await db.ttl(key, { space });
      const left = ms === undefined ? -2 : ms === Number.POSITIVE_INFINITY ? -1 : Math.ceil(ms / 1000);
      return { value: left, text: String(left) };
    },
  },
  {
    name: 'SIZE',
    usage: '',
    summary: 'how many keys, or vectors, there are',
    words: [0, 0],
    onKeys: true,
    async run({ db, current, keySpace: space }) {
      const ofVectors = current?.engine === 'vector';
      const count = await (ofVectors ? db.countVectors({ space }) : db.size({ space }));
      return { value: count, text: `${count} ${ofVectors ? 'vectors' : 'keys'}` };
    },
  },
  {
    name: 'CLEAR',
    usage: '',
    summary: 'deletes every key',
    words: [0, 0],
    onKeys: true,
    async run({ db, keySpace: space }) {
      await db.clear({ space });
      return ok;
    },
  },
  {
    name: 'SCAN',
    usage: '[prefix] [--limit n]',
    summary: `keys and values in order, or ids and vectors; ${scanLimit} unless a limit is given`,
    words: [0, 1],
    options: ['limit'],
    onKeys: true,
    run(shell, { words: [prefix], options }) {
      const limit = parseInteger(options.get('limit') ?? String(scanLimit), '--limit', 1);
      if (shell.current?.engine === 'vector' && prefix === undefined) return scanVectors(shell, limit);
      return scanKeys(shell, prefix, limit);
    },
  },
];

/** One more than is shown is asked for, to tell whether there is more. */
async function scanKeys(
  { db, keySpace: space }: Shell,
  prefix: string | undefined,
  limit: number,
): Promise<Reply> {
  const options = { space, limit: limit + 1 };
  const scan = db.scan(prefix === undefined ? options : { ...options, prefix });
  const entries: Entry[] = await Array.fromAsync(scan);
  const shownEntries = entries.slice(0, limit);
  return {
    value: shownEntries.map(({ key, value }) => ({ key, value: valueJson(value) })),
    text: withMore(
      table(
        ['key', 'value'],
        shownEntries.map(({ key, value }) => [keyText(key), cut(valueText(value))]),
      ),
      entries.length > limit,
    ),
  };
}

async function scanVectors({ db, keySpace: space }: Shell, limit: number): Promise<Reply> {
  const entries = await Array.fromAsync(db.scanVectors({ space, limit: limit + 1 }));
  const shownEntries = entries.slice(0, limit);
  return {
    value: shownEntries.map(({ id, vector }) => ({ id, vector: vectorNumbers(vector) })),
    text: withMore(
      table(
        ['id', 'vector'],
        shownEntries.map(({ id, vector }) => [id, cut(vectorText(vector))]),
      ),
      entries.length > limit,
    ),
  };
}

function withMore(text: string, more: boolean): string {
  return more ? `${text}\n(more; SCAN --limit n shows n of them)` : text;
}

/** In a table; `--json` gives everything. */
function cut(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 79)}…`;
}

export function deleted(found: boolean): Reply {
  return found ? ok : { value: null, text: '(not found)' };
}

function oneOrZero(is: boolean): Reply {
  return { value: is ? 1 : 0, text: is ? '1' : '0' };
}
