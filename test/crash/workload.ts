/**
 * A seeded workload over spaces of every kind, mirrored in a model: writes, some of them at once, reads that have to answer as
 * the model does, changes of the catalog, checkpoints, pauses, and now and then almost everything deleted, so that there is
 * something to compact. And the comparison of a whole database with the model.
 */

import assert from 'node:assert/strict';
import type { Database, Value } from '../../src/api/database.ts';
import { type ErrorCode, isShibuDbError } from '../../src/api/errors.ts';
import type { Random } from '../support/random.ts';
import type { Trace } from './faults.ts';
import {
  type Contents,
  type Crash,
  type Operation,
  type Outcome,
  SpaceModel,
  type SpaceSpec,
} from './model.ts';
import type { VirtualTime } from './virtual-time.ts';

const dimension = 3;

export const specs: readonly SpaceSpec[] = [
  { engine: 'key-value', durability: 'strict' },
  { engine: 'key-value', durability: 'relaxed' },
  { engine: 'key-value', durability: 'none' },
  { engine: 'key-value', durability: { everyOps: 3 } },
  { engine: 'key-value', durability: { everyMs: 50 } },
  { engine: 'vector', durability: 'strict', indexType: 'Flat', ids: 'int' },
  { engine: 'vector', durability: 'strict', indexType: 'HNSW4', ids: 'string' },
  { engine: 'vector', durability: 'relaxed', indexType: 'HNSW4', ids: 'int' },
  { engine: 'vector', durability: 'strict', indexType: 'SQ8', ids: 'int', originals: 'storage' },
  { engine: 'vector', durability: 'relaxed', indexType: 'HNSW4,SQ8', ids: 'string', originals: 'storage' },
];

/** A change of the catalog that may have been cut short. */
type CatalogChange = { kind: 'create' | 'delete' | 'clear'; name: string };

export class Workload {
  readonly #random: Random;
  readonly #time: VirtualTime;
  readonly #trace: Trace;
  readonly spaces: Map<string, SpaceModel> = new Map();
  /** Under way, or in doubt until spaces are looked for again; no other is begun beside it. */
  #changing: CatalogChange | undefined;
  /** Calls whose outcome the model knows or has checked. */
  operations = 0;
  /** Writes that failed without saying whether they are stored. */
  unknown = 0;
  /** Whether the process that calls are made to was stopped. */
  isStopped: () => boolean = () => false;
  /** Whether there was no room for something it wrote. */
  wasFull: () => boolean = () => false;
  hasFailed: () => boolean = () => false;

  constructor(random: Random, time: VirtualTime, trace: Trace) {
    this.#random = random;
    this.#time = time;
    this.#trace = trace;
  }

  /** Does so many things, some of them at once. Goes on when calls fail; the model knows. */
  async run(db: Database, turns: number, over: () => boolean): Promise<void> {
    for (let turn = 0; turn < turns && !over(); turn++) {
      if (![...this.spaces.values()].some(({ spec }) => spec.engine === 'key-value')) {
        await this.#create(db, 'key-value');
        continue;
      }
      if (![...this.spaces.values()].some(({ spec }) => spec.engine === 'vector')) {
        await this.#create(db, 'vector');
        continue;
      }
      const roll = this.#random.unit();
      if (roll < 0.02) await this.#create(db, this.#random.pick(['key-value', 'vector']));
      else if (roll < 0.05) await this.#change(db, 'delete');
      else if (roll < 0.07) await this.#change(db, 'clear');
      else if (roll < 0.15) await Promise.all([this.writes(db), this.#checkpoint(db), this.writes(db)]);
      else if (roll < 0.25) await this.#time.sleep(this.#random.below(3000));
      else if (roll < 0.3) await this.empty(db);
      else if (roll < 0.4) await this.#reads(db);
      else await this.writes(db);
    }
  }

  async writes(db: Database): Promise<void> {
    if (this.spaces.size === 0) return;
    const calls = Array.from({ length: 1 + this.#random.below(6) }, () => this.#write(db));
    await Promise.all(calls);
  }

  async #checkpoint(db: Database): Promise<void> {
    this.operations++;
    this.#trace('  checkpoint');
    this.#trace(`  checkpoint: ${await this.#outcomeOf(db.checkpoint())}`);
  }

  async #create(db: Database, engine: SpaceSpec['engine']): Promise<void> {
    const name = `s${this.#random.below(3)}`;
    if (this.spaces.has(name) || this.#changing !== undefined) return;
    const spec = this.#random.pick(specs.filter((one) => one.engine === engine));
    this.operations++;
    this.#trace(`  create ${name} ${JSON.stringify(spec)}`);
    this.#changing = { kind: 'create', name };
    const { engine: _, ...options } = spec;
    const created =
      engine === 'key-value'
        ? db.createSpace(name, engine, options)
        : db.createSpace(name, engine, { dimension, ...options });
    const outcome = await this.#outcomeOf(created);
    this.#trace(`  create ${name}: ${outcome}`);
    // Where it is not known, nobody writes to it before it has been looked for.
    if (outcome === 'acknowledged') this.spaces.set(name, new SpaceModel(spec));
    if (outcome === 'unknown' || outcome === 'refused') this.#doubtful = new SpaceModel(spec);
    else this.#changing = undefined;
  }

  #doubtful: SpaceModel | undefined;

  async #change(db: Database, kind: 'delete' | 'clear'): Promise<void> {
    if (this.#changing !== undefined) return;
    const name = this.#random.pick([...this.spaces.keys()]);
    const model = this.spaces.get(name) as SpaceModel;
    if (kind === 'clear' && model.spec.engine === 'vector') return;
    this.operations++;
    this.#trace(`  ${kind} ${name}`);
    this.#changing = { kind, name };
    const outcome = await this.#outcomeOf(
      kind === 'delete' ? db.deleteSpace(name) : db.clear({ space: name }),
    );
    this.#trace(`  ${kind} ${name}: ${outcome}`);
    if (outcome === 'acknowledged') {
      if (kind === 'delete') this.spaces.delete(name);
      else this.spaces.set(name, new SpaceModel(model.spec));
    }
    if (outcome === 'acknowledged' || outcome === 'failed') this.#changing = undefined;
  }

  async #write(db: Database): Promise<void> {
    const [name, model] = this.#random.pick([...this.spaces]);
    const { engine } = model.spec;
    const [apply, call, what] =
      engine === 'key-value' ? this.#keyValueWrite(db, name) : this.#vectorWrite(db, name, model.spec);
    await this.#submit(name, model, apply, call, what);
  }

  async #submit(
    name: string,
    model: SpaceModel,
    apply: Operation['apply'],
    call: () => Promise<unknown>,
    what: string,
  ): Promise<void> {
    const number = ++this.operations;
    this.#trace(`  ${number} ${name} ${what}`);
    const { wasFull, hasFailed } = this;
    const operation = model.submit(apply, () => !what.startsWith('delete') && wasFull(), hasFailed);
    const outcome = await this.#outcomeOf(call());
    this.#trace(`  ${number} ${outcome}`);
    model.settle(operation, outcome);
  }

  /** Deletes most of what a space has. */
  async empty(db: Database, engine?: SpaceSpec['engine']): Promise<void> {
    const [name, model] = this.#random.pick(
      [...this.spaces].filter(([, { spec }]) => spec.engine === (engine ?? spec.engine)),
    );
    const kept = this.#random.unit() < 0.5 ? 0 : 3;
    const keys = [...model.contents().keys()].slice(kept);
    if (keys.length === 0) return;
    const space = db.space(name);
    const ids = model.spec.ids === 'string' ? keys : keys.map(Number);
    await this.#submit(
      name,
      model,
      (contents) => {
        for (const key of keys) contents.delete(key);
      },
      () =>
        model.spec.engine === 'key-value' ? space.deleteMany(keys) : space.deleteVectors(ids as number[]),
      `delete ${keys.length} of ${keys.length + kept}`,
    );
  }

  /** Empties a space of vectors, and gives what is to happen then its time. */
  async makeRoom(db: Database, over: () => boolean): Promise<void> {
    for (let i = 0; i < 2 && !over(); i++) await this.writes(db);
    if (over() || ![...this.spaces.values()].some(({ spec }) => spec.engine === 'vector')) return;
    await this.empty(db, 'vector');
    await this.#time.sleep(1000);
  }

  /** Reads that nothing else is under way with, so that there is one right answer. */
  async #reads(db: Database): Promise<void> {
    const [name, model] = this.#random.pick([...this.spaces]);
    const contents = model.contents();
    const space = db.space(name);
    this.#trace(`  read ${name}`);
    this.operations++;
    try {
      if (model.spec.engine === 'key-value') {
        const keys = Array.from({ length: 3 }, () => `k${this.#random.below(12)}`);
        const found = await space.getMany(keys);
        for (const [i, value] of found.entries())
          assert.equal(value && shownValue(value), contents.get(keys[i] as string), `${name}: ${keys[i]}`);
        return;
      }
      const query = this.#random.vectors(dimension);
      const [hit] = await space.searchTopK(query, 1, { efSearch: 200 });
      assert.equal(
        hit === undefined,
        contents.size === 0,
        `${name}: one of ${contents.size} vectors is found`,
      );
      const nearest = Math.min(...[...contents.values()].map((vector) => distance(query, vector)));
      if (hit !== undefined)
        assert.ok(hit.distance <= nearest + 1e-4, `${name}: nearest is at ${nearest}, found ${hit.distance}`);
    } catch (error) {
      if (!isShibuDbError(error)) throw error;
      this.#trace(`  read ${name}: ${error.code}`);
      assert.ok(isExpected(error.code), `${error.code}: ${error.stack}`);
    }
  }

  #keyValueWrite(db: Database, name: string): Write {
    const random = this.#random;
    const space = db.space(name);
    const key = `k${random.below(12)}`;
    const other = `k${random.below(12)}`;
    const value = this.#value();
    switch (random.below(6)) {
      case 0:
        return [(contents) => contents.delete(key), () => space.delete(key), `delete ${key}`];
      case 1:
        return [
          (contents) => contents.set(key, shownValue(value)).set(other, shownValue('pair')),
          () =>
            space.putMany([
              { key, value },
              { key: other, value: 'pair' },
            ]),
          `put ${key} and ${other}`,
        ];
      case 2:
        return [
          (contents) => [key, other].map((one) => contents.delete(one)),
          () => space.deleteMany([key, other]),
          `delete ${key} and ${other}`,
        ];
      case 3: {
        // Counters have keys of their own: an increment of other text is an error.
        const counter = `n${random.below(3)}`;
        return [
          (contents) => contents.set(counter, `t${Number(contents.get(counter)?.slice(1) ?? 0) + 2}`),
          () => space.increment(counter, 2),
          `increment ${counter}`,
        ];
      }
      default:
        return [
          (contents) => contents.set(key, shownValue(value)),
          () => space.put(key, value),
          `put ${key}, ${value.length} long`,
        ];
    }
  }

  #value(): Value {
    const random = this.#random;
    const length = random.unit() < 0.01 ? 300_000 : random.below(400);
    return random.unit() < 0.5 ? random.bytes(length) : 'v'.repeat(length) + random.bits();
  }

  #vectorWrite(db: Database, name: string, { ids }: SpaceSpec): Write {
    const random = this.#random;
    const space = db.space(name);
    const id = (): number | string => (ids === 'string' ? `id ${random.below(40)}` : random.below(40) - 20);
    const one = id();
    const roll = random.below(5);
    if (roll === 0)
      return [
        (contents) => contents.delete(String(one)),
        () => space.deleteVector(one),
        `delete vector ${one}`,
      ];
    const several = roll === 1 ? [one, id(), id(), id()] : [one];
    const vectors = random.vectors(several.length * dimension);
    return [
      (contents) => {
        for (const [i, each] of several.entries())
          contents.set(String(each), vectors.slice(i * dimension, (i + 1) * dimension).join());
      },
      () => (roll === 1 ? space.insertVectors(several, vectors) : space.insertVector(one, vectors)),
      `insert ${several.join(', ')}`,
    ];
  }

  /** Compares what a database holds with what it may hold, and goes on from there. */
  async compare(db: Database, crash: Crash): Promise<void> {
    this.#trace(`  compare, ${crash}`);
    const found = new Set((await db.listSpaces()).map(({ name }) => name));
    const change = this.#changing;
    const doubtful = this.#doubtful;
    for (const name of found) {
      if (this.spaces.has(name)) continue;
      assert.ok(change?.kind === 'create' && change.name === name, `space ${name} is back`);
      this.spaces.set(name, doubtful as SpaceModel);
    }
    for (const [name, model] of [...this.spaces]) {
      const changed = change?.name === name ? change.kind : undefined;
      if (!found.has(name)) {
        assert.equal(changed, 'delete', `space ${name} is gone`);
        this.spaces.delete(name);
        continue;
      }
      const contents = await this.#readSpace(db, name, model.spec);
      if (model.agrees(contents, crash)) continue;
      assert.ok(
        changed === 'clear' && contents.size === 0,
        `space ${name} (${JSON.stringify(model.spec)}) holds ${describe(contents)}; all of it would be ${describe(model.contents())}`,
      );
      this.spaces.set(name, new SpaceModel(model.spec));
    }
    // Not before: who is stopped on the way comes again.
    this.#changing = undefined;
    this.#doubtful = undefined;
  }

  /** A former owner that wakes up: it writes nothing, and what it still answers is true. */
  async accuse(former: Database): Promise<void> {
    for (let i = 0; i < 3; i++) await this.#reads(former);
    for (const [name, { spec }] of this.spaces) {
      const space = former.space(name);
      const write =
        spec.engine === 'key-value'
          ? space.put('k0', 'late')
          : space.insertVector(spec.ids === 'string' ? 'late' : 7, [1, 2, 3]);
      this.operations++;
      const outcome = await this.#outcomeOf(write);
      this.#trace(`  late write to ${name}: ${outcome}`);
      assert.equal(outcome, 'refused', `a former owner's write to ${name} is ${outcome}`);
    }
  }

  async #readSpace(db: Database, name: string, spec: SpaceSpec): Promise<Contents> {
    const contents: Contents = new Map();
    if (spec.engine === 'key-value') {
      for await (const { key, value } of db.scan({ space: name })) contents.set(key, shownValue(value));
      assert.equal(await db.size({ space: name }), contents.size);
      return contents;
    }
    for await (const { id, vector } of db.scanVectors({ space: name }))
      contents.set(String(id), vector.join());
    assert.equal(await db.countVectors({ space: name }), contents.size);
    // Whatever the index knows and does not know yet, a vector finds itself.
    for (const [id, vector] of contents) {
      if (this.#random.unit() < 0.7) continue;
      const [hit] = await db.searchTopK(vector.split(',').map(Number), 1, { space: name, efSearch: 200 });
      assert.ok(hit !== undefined && contents.get(String(hit.id)) === vector, `${id} finds ${hit?.id}`);
    }
    return contents;
  }

  /** `unknown`: the call does not say whether it is stored. */
  async #outcomeOf(call: Promise<unknown>): Promise<Outcome> {
    try {
      await call;
      return 'acknowledged';
    } catch (error) {
      if (!isShibuDbError(error)) throw error;
      if (error.code === 'QUOTA_EXCEEDED') return 'failed';
      assert.ok(isExpected(error.code), `${error.code}: ${error.stack}`);
      this.unknown++;
      return this.isStopped() ? 'unknown' : 'refused';
    }
  }
}

/** How a call applies to the model, how it is made, and how a trace tells of it. */
type Write = [Operation['apply'], () => Promise<unknown>, string];

/** What calls may answer when storage fails, the process stops, or another takes the database. */
function isExpected(code: ErrorCode): boolean {
  return ['STORAGE_FAILED', 'CLOSED', 'NOT_OWNER', 'OUTCOME_UNKNOWN'].includes(code);
}

function distance(query: Float32Array, vector: string): number {
  const components = vector.split(',');
  return query.reduce((sum, component, i) => sum + (component - Number(components[i])) ** 2, 0);
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
