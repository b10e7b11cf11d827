/** The script of the sharding tests: shards, and an object that does to them what a test asks for. */

import { DurableObject } from 'cloudflare:workers';
import relaxed from 'shibumi-relaxed.wasm';
import {
  connectObject,
  connectSharded,
  type Database,
  type EdgeOptions,
  isShibuDbError,
  type ObjectStub,
  PartialResultError,
  type SearchHit,
  type ShardedDatabase,
  ShibumiObject,
} from '../../src/edge.ts';
import { Random } from '../support/random.ts';

interface Namespace<Stub> {
  idFromName(name: string): unknown;
  get(id: unknown): Stub;
}

type ShardStub = ObjectStub & {
  setFailing(failing: boolean): Promise<void>;
  stored(space: string): Promise<Record<string, unknown> | undefined>;
};

interface Env {
  readonly SHARDS: Namespace<ShardStub>;
  readonly DRIVERS: Namespace<Driver>;
}

const credentials = { username: 'admin', password: 'a long enough password' };
const dimension = 16;

export class Shard extends ShibumiObject<Env> {
  #failing = false;

  protected override options(): EdgeOptions {
    return { wasm: relaxed, admin: credentials, memoryBytesMax: 110_000_000 };
  }

  protected override peer(name: string): ObjectStub {
    return this.env.SHARDS.get(this.env.SHARDS.idFromName(name));
  }

  /** What is stored of a space's options. */
  async stored(space: string): Promise<Record<string, unknown> | undefined> {
    const [row] = this.ctx.storage.sql
      .exec("SELECT bytes FROM shibumi_state WHERE name = 'catalog'")
      .toArray();
    const text = new TextDecoder().decode(row?.bytes as ArrayBuffer);
    const { spaces } = JSON.parse(text.slice(text.indexOf('{"nextId"'))) as { spaces: { name: string }[] };
    return spaces.find(({ name }) => name === space);
  }

  async setFailing(failing: boolean): Promise<void> {
    this.#failing = failing;
  }

  override async openSession(): Promise<Awaited<ReturnType<ShibumiObject<Env>['openSession']>>> {
    if (this.#failing) throw new Error('this shard is down');
    return super.openSession();
  }
}

export class Driver extends DurableObject<Env> {
  async run(scenario: keyof Scenarios): Promise<unknown> {
    return scenarios[scenario](this.env);
  }
}

const names = (prefix: string, from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `${prefix}${from + i}`);

function sharded(env: Env, shards: string[]): ShardedDatabase {
  return connectSharded({
    stub: (name) => env.SHARDS.get(env.SHARDS.idFromName(name)),
    shards,
    ...credentials,
  });
}

/** A shard by itself. Signing in costs a password hash: once is enough. */
const single = new Map<string, Promise<Database>>();
function shardAlone(env: Env, name: string): Promise<Database> {
  const db =
    single.get(name) ?? connectObject(() => env.SHARDS.get(env.SHARDS.idFromName(name)), credentials);
  single.set(name, db);
  return db;
}

async function counts(env: Env, shards: readonly string[], space: string): Promise<number[]> {
  return Promise.all(
    shards.map(async (name) => {
      const db = await shardAlone(env, name);
      const there = (await db.listSpaces()).find((one) => one.name === space);
      if (there === undefined) return 0;
      return there.engine === 'vector' ? db.countVectors({ space }) : db.size({ space });
    }),
  );
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    return isShibuDbError(error) ? error.code : String(error);
  }
}

/** Whether two databases give the same for the same questions: ids, distances, order. */
async function differences(one: Database, other: Database, space: string, seed: number): Promise<string[]> {
  const found: string[] = [];
  const random = new Random(seed);
  const told = (hits: SearchHit[]): string => hits.map(({ id, distance }) => `${id}:${distance}`).join(' ');
  for (let i = 0; i < 30; i++) {
    const query = random.vectors(dimension);
    const [a, b] = [await one.searchTopK(query, 10, { space }), await other.searchTopK(query, 10, { space })];
    if (told(a) !== told(b)) found.push(`top ${told(a)} and ${told(b)}`);
    const radius = a[4]?.distance ?? 1;
    const [c, d] = [
      await one.rangeSearch(query, radius, { space }),
      await other.rangeSearch(query, radius, { space }),
    ];
    if (told(c) !== told(d)) found.push(`range ${told(c)} and ${told(d)}`);
  }
  const queries = random.vectors(5 * dimension);
  const lists = (await one.searchTopKBatch(queries, 7, { space })).map(told);
  const others = (await other.searchTopKBatch(queries, 7, { space })).map(told);
  if (lists.length !== 5 || lists.join('/') !== others.join('/')) found.push(`batch ${lists} and ${others}`);
  return found;
}

async function allOf<Item>(scan: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of scan) items.push(item);
  return items;
}

const scenarios = {
  /** Eight shards and one object, the same data: the same answers. */
  async equal(env: Env) {
    const shards = names('equal', 0, 8);
    const result: Record<'InnerProduct' | 'L2', string[]> = { InnerProduct: [], L2: [] };
    await using db = sharded(env, shards);
    await using single = await connectObject(
      () => env.SHARDS.get(env.SHARDS.idFromName('single')),
      credentials,
    );
    for (const metric of ['InnerProduct', 'L2'] as const) {
      for (const each of [db, single]) {
        await each.createSpace(metric, 'vector', { dimension, metric });
        const random = new Random(7);
        const ids = Array.from({ length: 2000 }, (_, i) => i - 1000);
        // Also copies: ties are broken by id across shards.
        const vectors = random.vectors(ids.length * dimension);
        for (let copy = 1; copy < 200; copy++) vectors.copyWithin(copy * 10 * dimension, 0, dimension);
        await each.insertVectors(ids, vectors, { space: metric });
        await each.insertVector(5, new Random(8).vectors(dimension), { space: metric });
        await each.deleteVector(-1000, { space: metric });
      }
      result[metric] = await differences(db, single, metric, 9);
      // Nine objects share one isolate's memory here.
      if (metric !== 'L2') for (const each of [db, single]) await each.deleteSpace(metric);
    }
    // Everything within a radius, page by page, is what comes in one piece.
    const wide = { space: 'L2', limit: 1500 };
    const middle = new Random(10).vectors(dimension);
    const within = (await db.rangeSearch(middle, 1e9, wide)).map(({ id }) => id);
    const paged: unknown[] = [];
    let pages = 0;
    for await (const page of db.rangeSearchPages(middle, 1e9, { space: 'L2', pageSize: 400 })) {
      paged.push(...page.map(({ id }) => id));
      pages++;
    }
    if (paged.length !== 1999 || within.some((id, i) => id !== paged[i]))
      result.L2.push(`${paged.length} hits in pages`);
    const at = { space: 'L2' };
    const query = new Random(8).vectors(dimension);
    return {
      ...result,
      pages,
      count: await db.countVectors(at),
      described: (await db.describeSpace('L2')).count,
      per: await counts(env, shards, 'L2'),
      replaced: (await db.searchTopK(query, 1, at))[0]?.id,
      gone: (await db.getVector(-1000, at)) === undefined,
      deletedTwice: await db.deleteVector(-1000, at),
      there: (await db.getVector(5, at))?.[0] === query[0],
      codes: [
        await codeOf(db.createSpace('kv', 'graph' as 'key-value')),
        await codeOf(db.createSpace('L2', 'vector', { dimension })),
        await codeOf(db.searchTopK([1, 2], 1, at)),
        await codeOf(db.searchTopK(query, 1, { space: 'none' })),
        await codeOf(db.searchTopK(query, 1)),
        await codeOf(db.put('a', 'b', at)),
        // Past the map: a shard refuses it.
        await codeOf((await shardAlone(env, 'equal3')).insertVector(1, query, at)),
      ],
    };
  },

  /** Two shards become four while others write, delete and search. */
  async grow(env: Env) {
    const before = names('grow', 0, 2);
    const after = names('grow', 0, 4);
    await using db = sharded(env, before);
    const space = 'v';
    await db.createSpace(space, 'vector', { dimension });
    const model = new Map<number, Float32Array>();
    const random = new Random(11);
    const fill = Array.from({ length: 6000 }, (_, i) => i);
    const vectors = random.vectors(fill.length * dimension);
    await db.insertVectors(fill, vectors, { space });
    for (const id of fill) model.set(id, vectors.slice(id * dimension, (id + 1) * dimension));
    const countsBefore = await counts(env, before, space);

    let growing = true;
    const missing: string[] = [];
    let written = 0;
    let searched = 0;
    // Another caller, who learns of the change only by being refused.
    await using other = sharded(env, before);
    const writer = async (from: number): Promise<void> => {
      const mine = new Random(100 + from);
      while (growing || written < 60) {
        // Each writer has ids of its own, so that the model is exact.
        const id = mine.below(2000) * 4 + from;
        if (mine.below(4) === 0) {
          const had = model.delete(id);
          if ((await other.deleteVector(id, { space })) !== had)
            missing.push(`deleteVector(${id}) said it was not ${had}`);
        } else {
          const vector = mine.vectors(dimension);
          await other.insertVector(id, vector, { space });
          model.set(id, vector);
        }
        written++;
      }
    };
    const reader = async (): Promise<void> => {
      const mine = new Random(500);
      while (growing || searched < 30) {
        // Ids of the fourth part are never written: they must be found all the time.
        const id = mine.below(1500) * 4 + 3;
        const vector = model.get(id) as Float32Array;
        const [hit] = await other.searchTopK(vector, 1, { space });
        if (hit?.id !== id) missing.push(`search for ${id} found ${hit?.id}`);
        if ((await other.getVector(id, { space })) === undefined) missing.push(`getVector(${id})`);
        searched++;
      }
    };
    const others = Promise.all([writer(0), writer(1), writer(2), reader()]);
    let progress = 0;
    // Stopped in the middle, and taken up again by somebody else.
    const controller = new AbortController();
    const stopped = await codeOf(
      db.addShards(space, names('grow', 2, 4), {
        signal: controller.signal,
        onProgress: ({ done }) => {
          progress = done;
          if (done > 500) controller.abort();
        },
      }),
    );
    await using third = sharded(env, before);
    await third.addShards(space, []);
    growing = false;
    await others;

    await using single = await connectObject(
      () => env.SHARDS.get(env.SHARDS.idFromName('grown')),
      credentials,
    );
    await single.createSpace(space, 'vector', { dimension });
    const all = new Float32Array(model.size * dimension);
    for (const [row, vector] of [...model.values()].entries()) all.set(vector, row * dimension);
    await single.insertVectors([...model.keys()], all, { space });
    return {
      missing,
      written,
      searched,
      stopped,
      progress,
      shards: await db.shardsOf(space),
      count: await third.countVectors({ space }),
      expected: model.size,
      countsBefore,
      countsAfter: await counts(env, after, space),
      differences: await differences(third, single, space, 13),
    };
  },

  /** Metadata and filters over three shards and one object; then two more shards come. */
  async filters(env: Env) {
    const shards = names('filters', 0, 3);
    await using db = sharded(env, shards);
    await using single = await connectObject(
      () => env.SHARDS.get(env.SHARDS.idFromName('filtered')),
      credentials,
    );
    const space = 'v';
    const at = { space };
    const metadataFields = [{ name: 'year', type: 'int' } as const];
    const ids = Array.from({ length: 1500 }, (_, i) => i - 700);
    for (const each of [db, single]) {
      await each.createSpace(space, 'vector', { dimension, metadataFields });
      const metadata = ids.map((id) => (id % 3 === 0 ? null : { year: 2000 + (Math.abs(id) % 20), id }));
      await each.insertVectors(ids, new Random(21).vectors(ids.length * dimension), { space, metadata });
    }
    const where = 'year BETWEEN 2003 AND 2008';
    const compare = async (): Promise<Record<string, unknown>> => {
      const told: Record<string, unknown>[] = [];
      for (const each of [db, single]) {
        const scanned: unknown[] = [];
        for await (const { id, metadata } of each.scanVectors({ space, where, limit: 300 }))
          scanned.push([id, metadata]);
        const options = { space, where, includeMetadata: true };
        told.push({
          top: await each.searchTopK(new Random(22).vectors(dimension), 20, options),
          range: await each.rangeSearch(new Random(23).vectors(dimension), 1.5, options),
          count: await each.countVectors({ space, where }),
          scanned,
          metadata: await each.getMetadata(7, at),
        });
      }
      const [a = {}, b = {}] = told;
      const same = Object.keys(a).filter((key) => JSON.stringify(a[key]) === JSON.stringify(b[key]));
      return { same, count: a.count, scanned: (a.scanned as unknown[]).length };
    };
    const before = await compare();
    const updated: unknown[] = [];
    for (const each of [db, single]) {
      updated.push(await each.updateMetadata(7, { year: 2005, note: 'changed' }, at));
      updated.push(await each.updateMetadata(99_999, { year: 2005 }, at));
      updated.push(await each.deleteVectors({ where: 'year = 2004' }, at));
      updated.push(await each.deleteVectors([1, 2, 99_999], at));
    }
    const changed = await compare();
    await db.addShards(space, names('filters', 3, 5));
    const grown = await compare();
    const all: number[] = [];
    for await (const { id } of db.scanVectors(at)) all.push(id as number);
    return {
      before,
      updated,
      changed,
      grown,
      ordered: all.every((id, i) => i === 0 || (all[i - 1] as number) < id),
      scanned: all.length,
      counted: await single.countVectors(at),
      unknownField: await codeOf(
        db.searchTopK(new Random(1).vectors(dimension), 1, { space, where: 'no = 1' }),
      ),
    };
  },

  /** A space with options that only its creation tells gets a shard. */
  async options(env: Env) {
    await using db = sharded(env, ['options0']);
    await db.createSpace('v', 'vector', {
      dimension,
      metric: 'Lp',
      p: 1.5,
      ids: 'string',
      indexType: 'HNSW8',
      seed: 77,
      efConstruction: 40,
      metadataFields: [{ name: 'year', type: 'int' }],
      durability: { everyMs: 500 },
    });
    await db.addShards('v', ['options1']);
    const [first, came] = await Promise.all(
      ['options0', 'options1'].map((name) => env.SHARDS.get(env.SHARDS.idFromName(name)).stored('v')),
    );
    await db.createSpace('codes', 'vector', { dimension, indexType: 'SQ8', originals: 'storage' });
    await db.addShards('codes', ['options1']);
    const alone = await shardAlone(env, 'options1');
    const listed = (await alone.listSpaces()).find(({ name }) => name === 'codes')?.originals;
    return { first, came, listed };
  },

  /** The same calls on keys over three shards and on one object; then two more shards come. */
  async keys(env: Env) {
    const shards = names('keys', 0, 3);
    const space = 'kv';
    const at = { space };
    await using db = sharded(env, shards);
    await using single = await connectObject(
      () => env.SHARDS.get(env.SHARDS.idFromName('keyed')),
      credentials,
    );
    for (const each of [db, single]) await each.createSpace(space, 'key-value');
    const found: string[] = [];
    const compare = async (what: string, ask: (each: Database) => Promise<unknown>): Promise<void> => {
      const [a, b] = [JSON.stringify(await ask(db)), JSON.stringify(await ask(single))];
      if (a !== b) found.push(`${what}: ${a} and ${b}`);
    };
    const drawn = async (seed: number): Promise<void> => {
      const random = new Random(seed);
      for (let i = 0; i < 300; i++) {
        const key = `${['a', 'ü', '𝄞'][random.below(3)]}${random.below(120)}`;
        const what = `${i} ${key}`;
        const number = `n${random.below(10)}`;
        switch (random.below(8)) {
          case 0:
            await compare(`delete ${what}`, (each) => each.delete(key, at));
            break;
          case 1:
            await compare(`increment ${what}`, (each) => each.increment(number, 3, at));
            break;
          case 2:
            await compare(`putIf ${what}`, (each) => each.putIf(key, 'if', undefined, at));
            break;
          case 3:
            await compare(`exists ${what}`, (each) => each.exists(key, at));
            break;
          default:
            await compare(`put ${what}`, (each) => each.put(key, `${i}`, at));
        }
        await compare(`get ${what}`, (each) => each.get(key, at));
      }
    };
    const entries = async (each: Database, options: object): Promise<unknown[]> => {
      const all: unknown[] = [];
      for await (const { key, value } of each.scan({ space, ...options })) all.push([key, String(value)]);
      return all;
    };
    const scans = async (): Promise<void> => {
      for (const options of [
        {},
        { reverse: true },
        { prefix: 'ü' },
        { start: 'a5', end: 'ü3' },
        { limit: 17 },
      ])
        await compare(`scan ${JSON.stringify(options)}`, (each) => entries(each, options));
      await compare('scan from a cursor', async (each) => {
        const first = each.scan({ space, limit: 25 });
        for await (const _ of first);
        return entries(each, { cursor: first.cursor });
      });
      await compare('size', (each) => each.size(at));
    };
    await drawn(31);
    await scans();
    const tags = ['{t}1', '{t}2', '{t}3'];
    await db.putMany(
      [
        { key: '{t}1', value: '1' },
        { key: '{t}2', value: '2', ttlMs: 60_000 },
        { key: '{t}3', value: '3' },
      ],
      at,
    );
    const put = await db.getMany(tags, at);
    const deleted = await db.deleteMany(['{t}2', '{t}4'], at);
    const values = await db.getMany(tags, at);
    await db.deleteMany(tags, at);
    const across = [
      await codeOf(
        db.putMany(
          [
            { key: 'a', value: '' },
            { key: 'b', value: '' },
          ],
          at,
        ),
      ),
      await codeOf(db.deleteMany(['a', 'b'], at)),
      await codeOf(
        db.putMany(
          [
            { key: 'a', value: '', ttlMs: 5 },
            { key: 'b', value: '' },
          ],
          at,
        ),
      ),
    ];
    const read = await codeOf(db.getMany(['a', 'b'], at));
    // Times to live travel with their keys.
    for (let i = 0; i < 40; i++) await db.put(`ttl${i}`, 'x', { space, ttlMs: i % 2 === 0 ? 60_000 : 200 });
    await db.addShards(space, names('keys', 3, 5));
    await new Promise((resolve) => setTimeout(resolve, 400));
    const lefts: (number | undefined)[] = [];
    for (let i = 0; i < 40; i++) lefts.push(await db.ttl(`ttl${i}`, at));
    const short = lefts.filter((left, i) => (left === undefined) !== (i % 2 === 1));
    if (short.length > 0) found.push(`times to live: ${lefts}`);
    for (let i = 0; i < 40; i += 2) await db.delete(`ttl${i}`, at);
    await scans();
    await drawn(32);
    await scans();
    const perShard = await counts(env, names('keys', 0, 5), space);
    const alone = await shardAlone(env, 'keys4');
    const codes = [
      await codeOf(db.put(7 as never, 'x', at)),
      await codeOf(alone.put('a', 'x', at)),
      await codeOf(db.put('a1', 'no number', at).then(() => db.increment('a1', 1, at))),
      await codeOf(db.searchTopK([1], 1, at)),
      await codeOf(db.getStream('a1', at)),
      await codeOf(db.putStream('a1', new Blob(['x']), at)),
    ];
    const expiring = Math.min(...lefts.filter((left) => left !== undefined));
    const { count } = await db.describeSpace(space);
    await db.clear(at);
    return {
      differences: found,
      tagged: [put, deleted, values],
      many: { across, read },
      expiring,
      stays: count > 0,
      counts: perShard,
      codes,
      cleared: [await db.size(at), (await entries(db, {})).length],
    };
  },

  /** Two shards with keys become four while others put, count up, delete and read. */
  async growKeys(env: Env) {
    const before = names('growKeys', 0, 2);
    const space = 'kv';
    const at = { space };
    await using db = sharded(env, before);
    await db.createSpace(space, 'key-value', { durability: 'none' });
    const model = new Map<string, string>();
    const fill = Array.from({ length: 3000 }, (_, i) => `key${i}`);
    // Long ones: what moves takes many batches.
    const untouched = (key: string): string => `${key}!`.padEnd(2500, '.');
    for (let from = 0; from < fill.length; from += 100)
      await Promise.all(fill.slice(from, from + 100).map((key) => db.put(key, untouched(key), at)));
    for (const key of fill) model.set(key, untouched(key));
    await using other = sharded(env, before);
    const wrong: string[] = [];
    let growing = true;
    let calls = 0;
    const counted = new Map<string, number>();
    const counter = async (seed: number): Promise<void> => {
      const mine = new Random(seed);
      while (growing || calls < 200) {
        // Several count up the same keys: each call must find what the last one left, wherever that is.
        const key = `count${mine.below(60)}`;
        counted.set(key, (counted.get(key) ?? 0) + 1);
        await other.increment(key, 1, at);
        calls++;
      }
    };
    const writer = async (part: number): Promise<void> => {
      const mine = new Random(900 + part);
      while (growing || calls < 200) {
        // Each writer has keys of its own, so that the model is exact.
        const key = `key${mine.below(1000) * 3 + part}`;
        const had = model.get(key);
        const value = `${part}-${calls++}`;
        const kind = mine.below(4);
        if (kind === 0) {
          model.delete(key);
          if ((await other.delete(key, at)) !== (had !== undefined)) wrong.push(`delete ${key} of ${had}`);
        } else if (kind === 1) {
          model.set(key, value);
          if (!(await other.putIf(key, value, had, at))) wrong.push(`putIf ${key} was not ${had}`);
        } else {
          model.set(key, value);
          await other.put(key, value, at);
        }
        const now = await other.get(key, at);
        if (now !== model.get(key)) wrong.push(`get ${key} is ${now}, not ${model.get(key)}`);
      }
    };
    const reader = async (): Promise<void> => {
      const mine = new Random(77);
      while (growing || calls < 200) {
        // The third part is never written.
        const key = `key${mine.below(1000) * 3 + 2}`;
        const value = await other.get(key, at);
        if (value !== untouched(key)) wrong.push(`read ${key}: ${value}`);
        const [entry] = await allOf(other.scan({ space, start: key, limit: 1 }));
        if (entry?.key !== key || entry.value !== untouched(key))
          wrong.push(`scan from ${key}: ${entry?.key}`);
        calls++;
      }
    };
    const others = Promise.all([counter(1), counter(2), writer(0), writer(1), reader()]);
    const controller = new AbortController();
    const stopped = await codeOf(
      db.addShards(space, names('growKeys', 2, 4), {
        signal: controller.signal,
        onProgress: ({ done }) => {
          if (done > 100) controller.abort();
        },
      }),
    );
    await using third = sharded(env, before);
    await third.addShards(space, []);
    growing = false;
    await others;
    const left = new Map<string, string>();
    let last = '';
    for await (const { key, value } of third.scan(at)) {
      if (key <= last) wrong.push(`${key} came after ${last}`);
      last = key;
      left.set(key, String(value));
    }
    for (const [key, times] of counted) model.set(key, String(times));
    for (const [key, value] of model)
      if (left.get(key) !== value) wrong.push(`${key} is ${left.get(key)}, not ${value}`);
    for (const key of left.keys()) if (!model.has(key)) wrong.push(`${key} is there again`);
    return {
      wrong,
      stopped,
      calls,
      size: await third.size(at),
      expected: model.size,
      counts: await counts(env, names('growKeys', 0, 4), space),
    };
  },

  /** One shard of four is down. */
  async partial(env: Env) {
    const shards = names('partial', 0, 4);
    const space = 'v';
    const setUp = sharded(env, shards);
    await setUp.createSpace(space, 'vector', { dimension });
    const ids = Array.from({ length: 400 }, (_, i) => i);
    await setUp.insertVectors(ids, new Random(3).vectors(ids.length * dimension), { space });
    const query = new Random(4).vectors(dimension);
    const whole = await setUp.searchTopK(query, 400, { space });
    await setUp.close();
    const down = env.SHARDS.get(env.SHARDS.idFromName('partial2'));
    await down.setFailing(true);
    await using db = sharded(env, shards);
    let hits: number | undefined;
    let code = 'none';
    try {
      await db.searchTopK(query, 400, { space });
    } catch (error) {
      if (error instanceof PartialResultError) hits = error.hits.length;
      code = isShibuDbError(error) ? error.code : String(error);
    }
    const allowed = await db.searchTopK(query, 400, { space, allowPartial: true });
    const batch = await db.searchTopKBatch(Float32Array.of(...query, ...query), 400, { space }).then(
      () => undefined,
      (error: PartialResultError<unknown[]>) => [error.code, error.hits.map((list) => list.length)],
    );
    const lost = await codeOf(db.countVectors({ space }));
    await down.setFailing(false);
    const again = await db.searchTopK(query, 400, { space });
    return { whole: whole.length, code, hits, allowed: allowed.length, batch, lost, again: again.length };
  },
};

/** What each of them tells, as JSON. */
export type Scenarios = typeof scenarios;

export default {
  async fetch(request: Request, { DRIVERS }: Env): Promise<Response> {
    const scenario = new URL(request.url).pathname.slice(1) as keyof Scenarios;
    return Response.json(await DRIVERS.get(DRIVERS.idFromName(scenario)).run(scenario));
  },
};
