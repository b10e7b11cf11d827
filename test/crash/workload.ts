/** A seeded workload over spaces of every kind, mirrored in a model, and the comparison of the two. */

import assert from 'node:assert/strict';
import type { Database, Value } from '../../src/api/database.ts';
import { isShibuDbError } from '../../src/api/errors.ts';
import { nextTask } from '../../src/base/next-task.ts';
import type { Random } from '../support/random.ts';
import { type Contents, type Crash, type Operation, SpaceModel, type SpaceSpec } from './model.ts';

const dimension = 3;

export const specs: readonly SpaceSpec[] = [
  { engine: 'key-value', durability: 'strict' },
  { engine: 'key-value', durability: 'relaxed' },
  { engine: 'key-value', durability: 'none' },
  { engine: 'key-value', durability: { everyOps: 3 } },
  { engine: 'vector', durability: 'strict', indexType: 'Flat', ids: 'int' },
  { engine: 'vector', durability: 'strict', indexType: 'HNSW4', ids: 'string' },
  { engine: 'vector', durability: 'relaxed', indexType: 'HNSW4', ids: 'int' },
];

/** A change of the catalog that may have been cut short. */
type CatalogChange = { kind: 'create' | 'delete' | 'clear'; name: string };

export class Workload {
  readonly #random: Random;
  readonly spaces: Map<string, SpaceModel> = new Map();
  #changing: CatalogChange | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Does so many things, some of them at once. Goes on when calls fail; the model knows. */
  async run(db: Database, turns: number, stopped: () => boolean): Promise<void> {
    for (let turn = 0; turn < turns && !stopped(); turn++) {
      const roll = this.#random.unit();
      if (this.spaces.size < 2 || roll < 0.06) await this.#create(db);
      else if (roll < 0.08) await this.#change(db, 'delete');
      else if (roll < 0.1) await this.#change(db, 'clear');
      else if (roll < 0.2)
        await Promise.all([this.#writes(db), outcomeOf(db.checkpoint()), this.#writes(db)]);
      else if (roll < 0.3) await nextTask();
      else await this.#writes(db);
    }
  }

  async #writes(db: Database): Promise<void> {
    const calls = Array.from({ length: 1 + this.#random.below(6) }, () => this.#write(db));
    await Promise.all(calls);
  }

  async #create(db: Database): Promise<void> {
    const name = `s${this.#random.below(5)}`;
    if (this.spaces.has(name)) return;
    const spec = this.#random.pick(specs);
    this.#changing = { kind: 'create', name };
    const { engine, ...options } = spec;
    const created =
      engine === 'key-value'
        ? db.createSpace(name, engine, options)
        : db.createSpace(name, engine, { dimension, ...options });
    this.spaces.set(name, new SpaceModel(spec));
    const outcome = await outcomeOf(created);
    if (outcome === 'failed') this.spaces.delete(name);
    if (outcome !== 'open') this.#changing = undefined;
  }

  async #change(db: Database, kind: 'delete' | 'clear'): Promise<void> {
    const name = this.#random.pick([...this.spaces.keys()]);
    const model = this.spaces.get(name) as SpaceModel;
    if (kind === 'clear' && model.spec.engine === 'vector') return;
    this.#changing = { kind, name };
    const outcome = await outcomeOf(kind === 'delete' ? db.deleteSpace(name) : db.clear({ space: name }));
    if (outcome === 'acknowledged') {
      if (kind === 'delete') this.spaces.delete(name);
      else this.spaces.set(name, new SpaceModel(model.spec));
    }
    if (outcome !== 'open') this.#changing = undefined;
  }

  async #write(db: Database): Promise<void> {
    const [name, model] = this.#random.pick([...this.spaces]);
    const { engine } = model.spec;
    const [apply, call] =
      engine === 'key-value' ? this.#keyValueWrite(db, name) : this.#vectorWrite(db, name, model.spec);
    const operation = model.submit(apply);
    operation.outcome = await outcomeOf(call());
  }

  #keyValueWrite(db: Database, name: string): [Operation['apply'], () => Promise<unknown>] {
    const random = this.#random;
    const space = db.space(name);
    const key = `k${random.below(12)}`;
    const other = `k${random.below(12)}`;
    const value = this.#value();
    switch (random.below(6)) {
      case 0:
        return [(contents) => contents.delete(key), () => space.delete(key)];
      case 1:
        return [
          (contents) => contents.set(key, shownValue(value)).set(other, shownValue('pair')),
          () =>
            space.putMany([
              { key, value },
              { key: other, value: 'pair' },
            ]),
        ];
      case 2:
        return [
          (contents) => [key, other].map((one) => contents.delete(one)),
          () => space.deleteMany([key, other]),
        ];
      case 3: {
        // Counters have keys of their own: an increment of other text is an error.
        const counter = `n${random.below(3)}`;
        return [
          (contents) => contents.set(counter, `t${Number(contents.get(counter)?.slice(1) ?? 0) + 2}`),
          () => space.increment(counter, 2),
        ];
      }
      default:
        return [(contents) => contents.set(key, shownValue(value)), () => space.put(key, value)];
    }
  }

  #value(): Value {
    const random = this.#random;
    const length = random.unit() < 0.01 ? 300_000 : random.below(400);
    return random.unit() < 0.5 ? random.bytes(length) : 'v'.repeat(length) + random.bits();
  }

  #vectorWrite(db: Database, name: string, { ids }: SpaceSpec): [Operation['apply'], () => Promise<unknown>] {
    const random = this.#random;
    const space = db.space(name);
    const id = (): number | string => (ids === 'string' ? `id ${random.below(40)}` : random.below(40) - 20);
    const one = id();
    const roll = random.below(5);
    if (roll === 0) return [(contents) => contents.delete(String(one)), () => space.deleteVector(one)];
    const several = roll === 1 ? [one, id(), id(), id()] : [one];
    const vectors = random.vectors(several.length * dimension);
    return [
      (contents) => {
        for (const [i, each] of several.entries())
          contents.set(String(each), vectors.slice(i * dimension, (i + 1) * dimension).join());
      },
      () => (roll === 1 ? space.insertVectors(several, vectors) : space.insertVector(one, vectors)),
    ];
  }

  /** Compares what a database holds with what it may hold, and goes on from there. */
  async compare(db: Database, crash: Crash): Promise<void> {
    const found = new Set((await db.listSpaces()).map(({ name }) => name));
    const change = this.#changing;
    this.#changing = undefined;
    for (const name of found) assert.ok(this.spaces.has(name), `space ${name} is back`);
    for (const [name, model] of [...this.spaces]) {
      const doubtful = change?.name === name ? change.kind : undefined;
      if (!found.has(name)) {
        assert.ok(doubtful === 'create' || doubtful === 'delete', `space ${name} is gone`);
        this.spaces.delete(name);
        continue;
      }
      const contents = await readSpace(db, name, model.spec);
      const allowed = model.allows(contents, crash) || (doubtful === 'clear' && contents.size === 0);
      assert.ok(
        allowed,
        `space ${name} (${JSON.stringify(model.spec)}) holds ${describe(contents)}; all of it would be ${describe(model.contents())}`,
      );
      // What an open database shows may still be taken back by a crash, as far as its durability says.
      if (crash !== 'none') model.settle(contents);
    }
  }
}

async function readSpace(db: Database, name: string, spec: SpaceSpec): Promise<Contents> {
  const contents: Contents = new Map();
  if (spec.engine === 'key-value') {
    for await (const { key, value } of db.scan({ space: name })) contents.set(key, shownValue(value));
    assert.equal(await db.size({ space: name }), contents.size);
    return contents;
  }
  for await (const { id, vector } of db.scanVectors({ space: name })) contents.set(String(id), vector.join());
  assert.equal(await db.countVectors({ space: name }), contents.size);
  // Whatever the index knows and does not know yet, every vector finds itself.
  for (const [id, vector] of contents) {
    const [hit] = await db.searchTopK(vector.split(',').map(Number), 1, { space: name, efSearch: 200 });
    assert.ok(hit !== undefined && contents.get(String(hit.id)) === vector, `${id} finds ${hit?.id}`);
  }
  return contents;
}

function shownValue(value: Value): string {
  if (typeof value === 'string') return `t${value}`;
  return `b${Buffer.from(value).toString('latin1')}`;
}

function describe(contents: Contents): string {
  return JSON.stringify(
    [...contents].map(([key, value]) => `${key}=${value.slice(0, 12)} (${value.length})`),
  );
}

/** `open`: it is not known whether it took effect. */
async function outcomeOf(call: Promise<unknown>): Promise<Operation['outcome']> {
  try {
    await call;
    return 'acknowledged';
  } catch (error) {
    if (!isShibuDbError(error)) throw error;
    if (error.code === 'QUOTA_EXCEEDED') return 'failed';
    assert.ok(error.code === 'STORAGE_FAILED' || error.code === 'CLOSED', `${error.code}: ${error.stack}`);
    return 'open';
  }
}
