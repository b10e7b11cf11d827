/**
 * Redis or Valkey, one server or a Cluster, for key-value spaces. A space is a prefix of keys; which spaces there are stands in the
 * hash `shibumi:spaces`. What Redis does in one command or one transaction is atomic; in a Cluster that holds within a hash slot.
 */

import type { Cluster, Redis } from 'ioredis';
import type { ArgumentsOf, ScanArguments } from '../../api/calls.ts';
import type { Entry, PutEntry, SpaceDescription, SpaceInfo, UpstreamInfo } from '../../api/database.ts';
import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import { integerIn } from '../../base/arguments.ts';
import { ValuePacker } from '../../base/pack-values.ts';
import type { NewSpace } from '../../engine/space-catalog.ts';
import { increment } from '../../space/conditional.ts';
import { checkKey, deadlineOf } from '../../space/key-value-space.ts';
import { toPublicId } from '../../space/vector-ids.ts';
import { entriesOf } from './entries.ts';
import { sortedKeysIn } from './key-range.ts';
import { fromRedis, toRedis } from './redis-values.ts';
import { lost, spaceNotFound, type Upstream, type UpstreamCalls, unsupported } from './upstream.ts';

type Client = Redis | Cluster;

const registry = 'shibumi:spaces';
const connectTimeoutMs = 10_000;
/** A scan gathers the keys to sort them. */
const scannedKeysMax = 1_000_000;
const pageKeys = 256;

/** Compares and sets, in one step. Expected: '' (none) or '=' and the value. */
const putIfScript = `
local found = redis.call('GET', KEYS[1])
local met
if ARGV[2] == '' then met = not found else met = found and found == string.sub(ARGV[2], 2) end
if not met then return 0 end
if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[1]) else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3]) end
return 1`;

const clearScript = `
local cursor = '0'
repeat
  local step = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
  cursor = step[1]
  for i = 1, #step[2] do redis.call('UNLINK', step[2][i]) end
until cursor == '0'
return 1`;

/** @throws UNSUPPORTED without the package `ioredis`, BRIDGE_UNAVAILABLE */
export async function openRedis(url: URL): Promise<Upstream> {
  const { Cluster: RedisCluster, Redis: RedisClient } = await loadIoredis();
  const isCluster = url.protocol === 'redis-cluster:';
  const options = {
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
    connectTimeout: connectTimeoutMs,
    // A command that was sent is not sent again: it may have taken effect.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 3,
    stringNumbers: true,
    lazyConnect: true,
  };
  const host = url.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1';
  const port = url.port === '' ? 6379 : Number(url.port);
  const client: Client = isCluster
    ? new RedisCluster([{ host, port }], { redisOptions: options, lazyConnect: true })
    : new RedisClient({ ...options, host, port, db: Number(url.pathname.slice(1) || 0) });
  // Told by the calls that fail of it.
  client.on('error', () => {});
  const name = isCluster ? 'redis-cluster' : 'redis';
  try {
    await client.connect();
    await client.ping();
  } catch (error) {
    client.disconnect();
    throw lost(name, false, error);
  }
  return new RedisUpstream(name, client, isCluster);
}

async function loadIoredis(): Promise<typeof import('ioredis')> {
  try {
    return await import('ioredis');
  } catch (cause) {
    throw shibuDbError('UNSUPPORTED', 'The upstream redis needs the package ioredis: npm install ioredis', {
      cause,
    });
  }
}

class RedisUpstream implements Upstream {
  readonly info: UpstreamInfo;
  readonly calls: UpstreamCalls;
  readonly #client: Client;
  readonly #isCluster: boolean;
  readonly #spaces: Map<string, SpaceInfo> = new Map();

  constructor(name: string, client: Client, isCluster: boolean) {
    this.#client = client;
    this.#isCluster = isCluster;
    this.info = {
      name,
      durability: isCluster
        ? 'none: a failover drops what a replica had not got'
        : 'strict with appendfsync always; relaxed and everyMs from 1000 with appendonly; else none',
      atomicity: isCluster ? 'one key; many keys of one hash slot' : 'one call, also on many keys',
      order: 'keys by bytes, gathered first, up to a million; values of the moment they are read',
      ids: 'no vectors',
      metrics: 'no vectors',
      retries: 'reads; a write that was sent and not answered fails with OUTCOME_UNKNOWN',
    };
    this.calls = this.#makeCalls();
  }

  // --- spaces -----------------------------------------------------------------------------------------------------

  async listSpaces(): Promise<SpaceInfo[]> {
    const stored = await this.#read(() => this.#client.hgetall(registry));
    return Object.values(stored).map((text) => JSON.parse(text) as SpaceInfo);
  }

  async createSpace({ name, engine, durability }: NewSpace): Promise<void> {
    if (engine !== 'key-value')
      throw unsupported(this.info.name, 'createSpace', 'it keeps key-value spaces only, not vector spaces');
    await this.#checkDurability(durability);
    const info: SpaceInfo = { name, engine, durability };
    const isNew = await this.#write(() => this.#client.hsetnx(registry, name, JSON.stringify(info)));
    if (Number(isNew) === 0) throw shibuDbError('SPACE_EXISTS', `There is a space "${name}" already`);
    // Left over from one whose deletion was interrupted.
    await this.#write(() => this.#unlinkAll(name));
  }

  async deleteSpace(name: string): Promise<void> {
    this.#spaces.delete(name);
    const removed = await this.#write(() => this.#client.hdel(registry, name));
    if (Number(removed) === 0) throw spaceNotFound(this.info.name, name);
    await this.#write(() => this.#unlinkAll(name));
  }

  async describeSpace(name: string): Promise<SpaceDescription> {
    const text = await this.#read(() => this.#client.hget(registry, name));
    if (text === null) {
      this.#spaces.delete(name);
      throw spaceNotFound(this.info.name, name);
    }
    const info = JSON.parse(text) as SpaceInfo;
    this.#spaces.set(name, info);
    const count = await this.#read(() => this.#count(name));
    return { ...info, count, memoryBytes: 0, storedBytes: 0, upstream: this.info };
  }

  async #checkDurability(durability: SpaceInfo['durability']): Promise<void> {
    if (durability === 'none') return;
    const refuse = (why: string): never => {
      throw unsupported(this.info.name, 'createSpace', `durability ${JSON.stringify(durability)} ${why}`);
    };
    if (this.#isCluster) refuse('is not true where a failover drops acknowledged writes; none is');
    const setting = await this.#setting();
    if (setting.appendonly !== 'yes') refuse('needs appendonly, which is off');
    if (setting.appendfsync === 'always') return;
    const isEverySecond = setting.appendfsync === 'everysec';
    const everyMs = typeof durability === 'object' && 'everyMs' in durability ? durability.everyMs : 0;
    if (durability !== 'relaxed' && !(isEverySecond && everyMs >= 1000))
      refuse(`is not true with appendfsync ${setting.appendfsync}; relaxed is`);
  }

  async #setting(): Promise<Record<string, string | undefined>> {
    try {
      const flat = (await this.#client.call('CONFIG', 'GET', 'append*')) as string[];
      return Object.fromEntries(flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1]]] : [])));
    } catch {
      // Managed servers do not tell.
      return {};
    }
  }

  /** The prefix of a space's keys: a name with a colon in it does not look into another space. */
  async #prefixOf(space: string): Promise<string> {
    if (!this.#spaces.has(space)) await this.describeSpace(space);
    return prefixOf(space);
  }

  // --- calls ------------------------------------------------------------------------------------------------------

  #makeCalls(): UpstreamCalls {
    const keyOf = async (space: string, key: string): Promise<string> =>
      (await this.#prefixOf(space)) + checkKey(key);
    const client = this.#client;
    return {
      get: async ({ key }, space) => {
        const at = await keyOf(space, key);
        const found = await this.#read(() => client.getBuffer(at));
        return found === null ? undefined : fromRedis(found);
      },
      put: async ({ key, value, ttlMs }, space) => {
        const [at, bytes, ms] = [await keyOf(space, key), toRedis(value), ttlOf(ttlMs)];
        await this.#write(() => (ms === undefined ? client.set(at, bytes) : client.set(at, bytes, 'PX', ms)));
        return undefined;
      },
      delete: async ({ key }, space) => {
        const at = await keyOf(space, key);
        return Number(await this.#write(() => client.unlink(at))) > 0;
      },
      exists: async ({ key }, space) => {
        const at = await keyOf(space, key);
        return Number(await this.#read(() => client.exists(at))) > 0;
      },
      size: async (_, space) => {
        await this.#prefixOf(space);
        return this.#read(() => this.#count(space));
      },
      clear: async (_, space) => {
        if (this.#isCluster)
          throw unsupported(this.info.name, 'clear', 'it cannot delete keys of many nodes at once');
        const prefix = await this.#prefixOf(space);
        await this.#write(() => client.eval(clearScript, 0, globOf(prefix)));
        return undefined;
      },
      increment: async ({ key, by }, space) => {
        // Checks both.
        increment(key, by);
        const at = await keyOf(space, key);
        const sum = await this.#write(() => client.call('INCRBY', at, String(by)));
        return toPublicId(BigInt(String(sum)));
      },
      putIf: async ({ key, value, expected, ttlMs }, space) => {
        const [at, bytes, ms] = [await keyOf(space, key), toRedis(value), ttlOf(ttlMs)];
        const condition = expected === undefined ? '' : Buffer.concat([Buffer.from('='), toRedis(expected)]);
        const stored = await this.#write(() => client.eval(putIfScript, 1, at, bytes, condition, ms ?? ''));
        return Number(stored) === 1;
      },
      expire: async ({ key, ttlMs }, space) => {
        const at = await keyOf(space, key);
        const ms = ttlOf(ttlMs);
        if (ms !== undefined) return Number(await this.#write(() => client.pexpire(at, ms))) === 1;
        const persisted = Number(await this.#write(() => client.persist(at))) === 1;
        return persisted || Number(await this.#read(() => client.exists(at))) > 0;
      },
      ttl: async ({ key }, space) => {
        const at = await keyOf(space, key);
        const left = Number(await this.#read(() => client.pttl(at)));
        return left === -2 ? undefined : left === -1 ? Number.POSITIVE_INFINITY : left;
      },
      putMany: async ({ entries }, space) => {
        await this.#putMany(await this.#prefixOf(space), entriesOf(entries));
        return undefined;
      },
      getMany: async ({ keys }, space) => this.#getMany(await this.#prefixOf(space), keys),
      getEach: async ({ keys }, space) => {
        const prefix = await this.#prefixOf(space);
        const found = await this.#read(() =>
          Promise.all(keys.map((key) => client.getBuffer(prefix + checkKey(key)))),
        );
        return packed(found);
      },
      putEach: async (columns, space) => {
        const prefix = await this.#prefixOf(space);
        const all = entriesOf(columns).map(
          ({ key, value }) => [prefix + checkKey(key), toRedis(value)] as const,
        );
        await this.#write(() => Promise.all(all.map(([key, value]) => client.set(key, value))));
        return undefined;
      },
      deleteMany: async ({ keys }, space) => {
        const prefix = await this.#prefixOf(space);
        const all = [...new Set(keys)].map((key) => prefix + checkKey(key));
        if (all.length === 0) return 0;
        return Number(await this.#write(() => client.unlink(...all), 'deleteMany'));
      },
    };
  }

  async #putMany(prefix: string, entries: readonly PutEntry[]): Promise<void> {
    const all = entries.map(({ key, value, ttlMs }) => ({
      at: prefix + checkKey(key),
      bytes: toRedis(value),
      ms: ttlOf(ttlMs),
    }));
    if (all.length === 0) return;
    await this.#write(async () => {
      if (all.every(({ ms }) => ms === undefined))
        await this.#client.mset(all.flatMap(({ at, bytes }) => [at, bytes]));
      else {
        const transaction = this.#client.multi();
        for (const { at, bytes, ms } of all)
          if (ms === undefined) transaction.set(at, bytes);
          else transaction.set(at, bytes, 'PX', ms);
        await transaction.exec();
      }
    }, 'putMany');
  }

  async #getMany(prefix: string, keys: ArgumentsOf<'getMany'>['keys']): Promise<ReturnType<typeof packed>> {
    const all = keys.map((key) => prefix + checkKey(key));
    if (all.length === 0) return packed([]);
    return packed(await this.#read(() => this.#client.mgetBuffer(...all), 'getMany'));
  }

  // --- walks ------------------------------------------------------------------------------------------------------

  async *scan(space: string, { limit, ...range }: ScanArguments): AsyncGenerator<Entry[], void> {
    if (limit !== undefined) integerIn(limit, 0, Number.MAX_SAFE_INTEGER, 'limit');
    const prefix = await this.#prefixOf(space);
    const keys = sortedKeysIn(await this.#read(() => this.#keys(prefix)), range);
    let left = limit ?? Number.POSITIVE_INFINITY;
    for (let i = 0; i < keys.length && left > 0; i += pageKeys) {
      const page = keys.slice(i, i + pageKeys);
      const found = await this.#read(() =>
        Promise.all(page.map((key) => this.#client.getBuffer(prefix + key))),
      );
      const entries = page.flatMap((key, at) => {
        const value = found[at];
        // It may have gone meanwhile.
        return value === undefined || value === null ? [] : [{ key, value: fromRedis(value) }];
      });
      const taken = entries.slice(0, left);
      left -= taken.length;
      if (taken.length > 0) yield taken;
    }
  }

  async #keys(prefix: string): Promise<string[]> {
    const keys: string[] = [];
    await this.#walk(prefix, (found) => {
      for (const key of found) keys.push(key.slice(prefix.length));
      if (keys.length > scannedKeysMax)
        throw unsupported(this.info.name, 'scan', `there are more than ${scannedKeysMax} keys to sort`);
    });
    // SCAN may give a key twice.
    return [...new Set(keys)];
  }

  async #count(space: string): Promise<number> {
    const seen = new Set<string>();
    await this.#walk(prefixOf(space), (keys) => {
      for (const key of keys) seen.add(key);
    });
    return seen.size;
  }

  async #unlinkAll(space: string): Promise<void> {
    await this.#walk(prefixOf(space), async (keys) => {
      await Promise.all(keys.map((key) => this.#client.unlink(key)));
    });
  }

  async #walk(prefix: string, visit: (keys: string[]) => Promise<void> | void): Promise<void> {
    const nodes = this.#isCluster ? (this.#client as Cluster).nodes('master') : [this.#client as Redis];
    for (const node of nodes)
      for await (const keys of node.scanStream({ match: globOf(prefix), count: 1000 }))
        await visit(keys as string[]);
  }

  async close(): Promise<void> {
    this.#client.disconnect();
  }

  // --- errors -----------------------------------------------------------------------------------------------------

  #read<Result>(run: () => Promise<Result>, call = 'this'): Promise<Result> {
    return run().catch((error: unknown) => this.#fail(error, false, call));
  }

  #write<Result>(run: () => Promise<Result>, call = 'this'): Promise<Result> {
    return run().catch((error: unknown) => this.#fail(error, true, call));
  }

  #fail(error: unknown, changes: boolean, call: string): never {
    if (isShibuDbError(error)) throw error;
    const message = error instanceof Error ? error.message : String(error);
    if (/CROSSSLOT|same slot/i.test(message))
      throw unsupported(
        this.info.name,
        call,
        'the keys lie in several hash slots, over which nothing is atomic',
      );
    if (/not an integer/.test(message))
      throw shibuDbError('NOT_A_NUMBER', 'Got no integer of 64 bits under the key');
    if (/would overflow/.test(message))
      throw shibuDbError('OVERFLOW', 'The sum does not fit 64 bits; nothing was changed');
    if (/WRONGTYPE/.test(message))
      throw shibuDbError('INVALID_ARGUMENT', 'Under the key is something of Redis that is no string');
    if (/^OOM/.test(message))
      throw shibuDbError('OUT_OF_MEMORY', `The upstream ${this.info.name} is full: ${message}`);
    // Redis refused it: nothing was done.
    const isRefused = error instanceof Error && error.name === 'ReplyError';
    throw lost(this.info.name, changes && !isRefused, error);
  }
}

function prefixOf(space: string): string {
  return `${encodeURIComponent(space)}:`;
}

function globOf(prefix: string): string {
  return `${prefix.replace(/[*?[\]\\^]/g, '\\$&')}*`;
}

/** Whole milliseconds, at least one. */
function ttlOf(ttlMs: unknown): number | undefined {
  return deadlineOf(ttlMs, 0);
}

function packed(found: readonly (Buffer | null)[]): ReturnType<ValuePacker['values']> {
  const packer = new ValuePacker();
  for (const bytes of found) packer.add(bytes === null ? undefined : fromRedis(bytes));
  return packer.values();
}
