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

type ShardStub = ObjectStub & { setFailing(failing: boolean): Promise<void> };

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
      const there = (await db.listSpaces()).some((one) => one.name === space);
      return there ? db.countVectors({ space }) : 0;
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
  return found;
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
    const at = { space: 'L2' };
    const query = new Random(8).vectors(dimension);
    return {
      ...result,
      count: await db.countVectors(at),
      described: (await db.describeSpace('L2')).count,
      per: await counts(env, shards, 'L2'),
      replaced: (await db.searchTopK(query, 1, at))[0]?.id,
      gone: (await db.getVector(-1000, at)) === undefined,
      deletedTwice: await db.deleteVector(-1000, at),
      there: (await db.getVector(5, at))?.[0] === query[0],
      codes: [
        await codeOf(db.createSpace('kv', 'key-value')),
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
    const [, , lost] = await Promise.all([0, 0, codeOf(db.countVectors({ space }))]);
    await down.setFailing(false);
    const again = await db.searchTopK(query, 400, { space });
    return { whole: whole.length, code, hits, allowed: allowed.length, lost, again: again.length };
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
