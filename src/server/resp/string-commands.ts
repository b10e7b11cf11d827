/** The commands on keys: those of Redis' strings, their times to live, and walks over a space. */

import type { ScanStep } from '../../api/calls.ts';
import type { Entry, Value } from '../../api/database.ts';
import { unpackValues } from '../../base/packed-values.ts';
import { globOf } from './glob.ts';
import {
  integerWord,
  keyIn,
  type RespCommand,
  type RespContext,
  spaceOf,
  syntaxError,
  textIn,
  upper,
  valueIn,
} from './resp-command.ts';
import { ok, type Reply, RespError, Status } from './resp-writer.ts';

type Words = readonly Buffer[];

/** How often a write whose condition was overtaken by somebody else's write is tried again. */
const attemptsMax = 100;

async function putWhere(
  { client }: RespContext,
  args: { space: string; key: string; value: Value },
  /** What to write, from what is there; nothing: leave it. */
  decide: (found: Value | undefined) => Promise<{ ttlMs?: number } | undefined>,
): Promise<{ stored: boolean; found: Value | undefined }> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const found = await client.call('get', { space: args.space, key: args.key });
    const decided = await decide(found);
    if (decided === undefined) return { stored: false, found };
    if (await client.call('putIf', { ...args, ...decided, expected: found })) return { stored: true, found };
  }
  throw new RespError('ERR the key is written by others all the time; try again');
}

interface SetOptions {
  ttlMs?: number;
  /** A time that has passed already: what is set is gone at once. */
  isPast?: boolean;
  when?: 'NX' | 'XX';
  keepTtl?: boolean;
  get?: boolean;
}

function setOptionsIn(words: Words): SetOptions {
  const options: SetOptions = {};
  for (let i = 3; i < words.length; i++) {
    const word = upper(words[i]);
    if ((word === 'NX' || word === 'XX') && options.when === undefined) options.when = word;
    else if (word === 'GET') options.get = true;
    else if (word === 'KEEPTTL' && options.ttlMs === undefined) options.keepTtl = true;
    else if (/^(EX|PX)(AT)?$/.test(word) && options.ttlMs === undefined && !options.keepTtl) {
      const given = integerWord(words[++i]);
      if (given <= 0n) throw new RespError("ERR invalid expire time in 'set' command");
      const ms = Number(given) * (word.startsWith('EX') ? 1000 : 1);
      options.ttlMs = word.endsWith('AT') ? ms - Date.now() : ms;
      if (options.ttlMs <= 0) options.isPast = true;
    } else throw syntaxError();
  }
  return options;
}

function set(context: RespContext, words: Words): Reply | Promise<Reply> {
  const space = spaceOf(context);
  const key = keyIn(words[1]);
  const value = valueIn(words[2] ?? Buffer.alloc(0));
  if (words.length === 3)
    return (context.client.call('put', { space, key, value }) as Promise<undefined>).then(() => ok);
  return setWith(context, { space, key, value }, setOptionsIn(words));
}

/** With most options a SET reads first. */
function isPlainSet(words: Words): boolean {
  return words.length === 3 || (words.length === 5 && ['EX', 'PX'].includes(upper(words[3])));
}

async function setWith(
  context: RespContext,
  args: { space: string; key: string; value: Value },
  { ttlMs, isPast, when, keepTtl, get }: SetOptions,
): Promise<Reply> {
  const { client } = context;
  const { space, key } = args;
  const given = ttlMs === undefined || isPast ? {} : { ttlMs };
  if (when === undefined && !keepTtl && !get && !isPast) {
    await client.call('put', { ...args, ...given });
    return ok;
  }
  if (when === 'NX' && !get && !isPast)
    return (await client.call('putIf', { ...args, ...given, expected: undefined })) ? ok : undefined;
  const { stored, found } = await putWhere(context, args, async (there) => {
    if (when !== undefined && (when === 'XX') !== (there !== undefined)) return undefined;
    if (!keepTtl) return given;
    const left = await client.call('ttl', { space, key });
    return left === undefined || left === Number.POSITIVE_INFINITY ? {} : { ttlMs: Math.max(1, left) };
  });
  if (stored && isPast) await client.call('delete', { space, key });
  if (get) return found;
  return stored ? ok : undefined;
}

function increment(context: RespContext, key: Buffer | undefined, by: bigint): Promise<Reply> {
  const args = { space: spaceOf(context), key: keyIn(key), by };
  return context.client.call('increment', args) as Promise<number | bigint>;
}

function negated(word: Buffer | undefined): bigint {
  const by = -integerWord(word);
  if (BigInt.asIntN(64, by) !== by) throw new RespError('ERR decrement would overflow');
  return by;
}

async function deleteKeys(context: RespContext, words: Words): Promise<Reply> {
  const space = spaceOf(context);
  // A key that is named twice is deleted once.
  const keys = [...new Set(words.slice(1).map(keyIn))];
  const [key = ''] = keys;
  if (keys.length > 1) return context.client.call('deleteMany', { space, keys });
  return (await context.client.call('delete', { space, key })) ? 1 : 0;
}

async function mset(context: RespContext, words: Words): Promise<Reply> {
  if (words.length % 2 === 0) throw new RespError("ERR wrong number of arguments for 'mset' command");
  const entries = new Map<string, Value>();
  for (let i = 1; i < words.length; i += 2)
    entries.set(keyIn(words[i]), valueIn(words[i + 1] ?? Buffer.alloc(0)));
  const list = [...entries].map(([key, value]) => ({ key, value }));
  await context.client.call('putMany', { space: spaceOf(context), entries: list });
  return ok;
}

async function mget(context: RespContext, words: Words): Promise<Reply> {
  const keys = words.slice(1).map(keyIn);
  return unpackValues(await context.client.call('getMany', { space: spaceOf(context), keys }));
}

async function exists(context: RespContext, words: Words): Promise<Reply> {
  const space = spaceOf(context);
  let count = 0;
  for (const key of words.slice(1).map(keyIn))
    if (await context.client.call('exists', { space, key })) count++;
  return count;
}

/** @param unitMs of the number given; @param at whether it is a point in time */
function expireCommand(unitMs: number, at: boolean) {
  return async (context: RespContext, words: Words): Promise<Reply> => {
    const { client } = context;
    const [space, key] = [spaceOf(context), keyIn(words[1])];
    const given = Number(integerWord(words[2])) * unitMs;
    const ttlMs = at ? given - Date.now() : given;
    const conditions = words.slice(3).map(upper);
    for (const condition of conditions)
      if (!['NX', 'XX', 'GT', 'LT'].includes(condition))
        throw new RespError(`ERR Unsupported option ${condition}`);
    if (conditions.length > 0) {
      const left = await client.call('ttl', { space, key });
      if (left === undefined) return 0;
      const has = left !== Number.POSITIVE_INFINITY;
      const met = { NX: !has, XX: has, GT: ttlMs > left, LT: ttlMs < left };
      if (!conditions.every((condition) => met[condition as keyof typeof met])) return 0;
    }
    if (ttlMs <= 0) return (await client.call('delete', { space, key })) ? 1 : 0;
    return (await client.call('expire', { space, key, ttlMs })) ? 1 : 0;
  };
}

/** @param unitMs of the answer */
function ttlCommand(unitMs: number) {
  return async (context: RespContext, words: Words): Promise<Reply> => {
    const left = await context.client.call('ttl', { space: spaceOf(context), key: keyIn(words[1]) });
    if (left === undefined) return -2;
    if (left === Number.POSITIVE_INFINITY) return -1;
    return Math.max(0, unitMs === 1 ? Math.ceil(left) : Math.floor((left + unitMs / 2) / unitMs));
  };
}

async function persist(context: RespContext, words: Words): Promise<Reply> {
  const { client } = context;
  const [space, key] = [spaceOf(context), keyIn(words[1])];
  const left = await client.call('ttl', { space, key });
  if (left === undefined || left === Number.POSITIVE_INFINITY) return 0;
  return (await client.call('expire', { space, key, ttlMs: Number.POSITIVE_INFINITY })) ? 1 : 0;
}

async function keys(context: RespContext, words: Words): Promise<Reply> {
  const { prefix, fits } = globOf(textIn(words[1]));
  const found: string[] = [];
  const { client } = context;
  const scan = await client.call('scanOpen', {
    space: spaceOf(context),
    ...(prefix === '' ? {} : { prefix }),
  });
  for (let done = false; !done; ) {
    const step = (await client.call('scanNext', { scan })) as ScanStep<Entry>;
    done = step.done;
    for (const { key } of step.items) if (fits(key)) found.push(key);
  }
  return found;
}

const scanCountMax = 10_000;

/** Every key that is there from the first call to the last comes up once; in between nothing is held for the client. */
async function scan(context: RespContext, words: Words): Promise<Reply> {
  const { client, cursors } = context;
  const space = spaceOf(context);
  if (!/^\d{1,20}$/.test(textIn(words[1]))) throw new RespError('ERR invalid cursor');
  let limit = 10;
  let { prefix, fits } = globOf('*');
  let isStrings = true;
  for (let i = 2; i < words.length; i += 2) {
    const option = upper(words[i]);
    if (option === 'COUNT') limit = Math.min(scanCountMax, Number(integerWord(words[i + 1])));
    else if (option === 'MATCH') ({ prefix, fits } = globOf(textIn(words[i + 1])));
    else if (option === 'TYPE') isStrings = upper(words[i + 1]) === 'STRING';
    else throw syntaxError();
  }
  if (limit < 1) throw syntaxError();
  if (!isStrings) return ['0', []];
  const number = Number(textIn(words[1]));
  const cursor = number === 0 ? undefined : cursors.find(space, number);
  const opened = await client.call('scanOpen', {
    space,
    limit,
    ...(prefix === '' ? {} : { prefix }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const found: string[] = [];
  let seen = 0;
  let place: string | undefined;
  for (let done = false; !done; ) {
    const step = (await client.call('scanNext', { scan: opened })) as ScanStep<Entry>;
    done = step.done;
    seen += step.items.length;
    place = step.cursor ?? place;
    for (const { key } of step.items) if (fits(key)) found.push(key);
  }
  const isLast = seen < limit || place === undefined;
  return [isLast || place === undefined ? '0' : String(cursors.keep(space, place)), found];
}

const one: readonly [number, number, number] = [1, 1, 1];
const many: readonly [number, number, number] = [1, -1, 1];
const none: readonly [number, number, number] = [0, 0, 0];

function writes(
  name: string,
  arity: number,
  run: RespCommand['run'],
  keyWords = one,
  overlaps: RespCommand['overlaps'] = false,
): RespCommand {
  return { name, arity, flags: ['write'], keys: keyWords, overlaps, run };
}

function reads(name: string, arity: number, run: RespCommand['run'], keyWords = one): RespCommand {
  return { name, arity, flags: ['readonly'], keys: keyWords, overlaps: false, run };
}

const seconds = 1000;

export const stringCommands: readonly RespCommand[] = [
  reads('get', 2, (context, words) =>
    context.client.call('get', { space: spaceOf(context), key: keyIn(words[1]) }),
  ),
  writes('set', -3, set, one, isPlainSet),
  writes('setnx', 3, async (context, words) =>
    (await context.client.call('putIf', {
      space: spaceOf(context),
      key: keyIn(words[1]),
      value: valueIn(words[2] ?? Buffer.alloc(0)),
      expected: undefined,
    }))
      ? 1
      : 0,
  ),
  writes('setex', 4, (context, [name = Buffer.alloc(0), key = name, time = name, value = name]) =>
    set(context, [name, key, value, Buffer.from('EX'), time]),
  ),
  writes('psetex', 4, (context, [name = Buffer.alloc(0), key = name, time = name, value = name]) =>
    set(context, [name, key, value, Buffer.from('PX'), time]),
  ),
  reads('strlen', 2, async (context, words) => {
    const value = await context.client.call('get', { space: spaceOf(context), key: keyIn(words[1]) });
    return value === undefined ? 0 : typeof value === 'string' ? Buffer.byteLength(value) : value.length;
  }),
  reads('mget', -2, mget, many),
  writes('mset', -3, mset, [1, -1, 2], true),
  writes('del', -2, deleteKeys, many, true),
  writes('unlink', -2, deleteKeys, many, true),
  reads('exists', -2, exists, many),
  reads('type', 2, async (context, words) =>
    (await context.client.call('exists', { space: spaceOf(context), key: keyIn(words[1]) }))
      ? new Status('string')
      : new Status('none'),
  ),
  writes('incr', 2, (context, words) => increment(context, words[1], 1n), one, true),
  writes('decr', 2, (context, words) => increment(context, words[1], -1n), one, true),
  writes('incrby', 3, (context, words) => increment(context, words[1], integerWord(words[2])), one, true),
  writes('decrby', 3, (context, words) => increment(context, words[1], negated(words[2])), one, true),
  writes('expire', -3, expireCommand(seconds, false)),
  writes('pexpire', -3, expireCommand(1, false)),
  writes('expireat', -3, expireCommand(seconds, true)),
  writes('pexpireat', -3, expireCommand(1, true)),
  writes('persist', 2, persist),
  reads('ttl', 2, ttlCommand(seconds)),
  reads('pttl', 2, ttlCommand(1)),
  reads('keys', 2, keys, none),
  reads('scan', -2, scan, none),
  reads('dbsize', 1, (context) => context.client.call('size', { space: spaceOf(context) }), none),
  writes(
    'flushdb',
    -1,
    async (context) => {
      await context.client.call('clear', { space: spaceOf(context) });
      return ok;
    },
    none,
  ),
];
