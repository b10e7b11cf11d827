/** Creating, choosing, describing and deleting spaces. */

import type { Database, SpaceInfo } from '../../../src/api/database.ts';
import { check, rejects, same } from '../../support/check.ts';
import type { Case } from '../case.ts';

/** For arguments that TypeScript would refuse and JavaScript callers pass all the same. */
export const untyped = (value: unknown): never => value as never;

export const spaceCases: Case[] = [
  {
    name: 'a new database has no spaces',
    async run(t) {
      const db = await t.open();
      same(await db.listSpaces(), []);
    },
  },
  {
    name: 'listSpaces and describeSpace say what createSpace was given, defaults filled in',
    async run(t) {
      const db = await t.open();
      await db.createSpace('kv', 'key-value');
      await db.createSpace('flat', 'vector', { dimension: 3 });
      await db.createSpace('graph', 'vector', {
        dimension: 4096,
        indexType: 'HNSW32',
        metric: 'COS',
        ids: 'string',
        efConstruction: 64,
        seed: 7,
        durability: { everyMs: 50 },
      });
      await db.createSpace('products', 'vector', {
        dimension: 1,
        metric: 'IP',
        durability: { everyOps: 9 },
      });
      const infos: SpaceInfo[] = [
        { name: 'kv', engine: 'key-value', durability: 'strict' },
        {
          name: 'flat',
          engine: 'vector',
          dimension: 3,
          indexType: 'Flat',
          metric: 'L2',
          ids: 'int',
          durability: 'strict',
        },
        {
          name: 'graph',
          engine: 'vector',
          dimension: 4096,
          indexType: 'HNSW32',
          metric: 'Cosine',
          ids: 'string',
          durability: { everyMs: 50 },
        },
        {
          name: 'products',
          engine: 'vector',
          dimension: 1,
          indexType: 'Flat',
          metric: 'InnerProduct',
          ids: 'int',
          durability: { everyOps: 9 },
        },
      ];
      same(await db.listSpaces(), infos);
      for (const info of infos) {
        const { count, memoryBytes, storedBytes, index, ...rest } = await db.describeSpace(info.name);
        same(rest, info);
        same(count, 0);
        check(memoryBytes > 0, `memoryBytes is ${memoryBytes}`);
        check(storedBytes >= 0, `storedBytes is ${storedBytes}`);
        same(index, info.engine === 'vector' ? { linked: 0, pending: 0 } : undefined);
      }
    },
  },
  {
    name: 'a taken name is refused and the space under it stays as it was',
    async run(t) {
      const db = await t.open();
      await db.createSpace('taken', 'key-value');
      await db.put('k', 'v', { space: 'taken' });
      await rejects(db.createSpace('taken', 'key-value'), 'SPACE_EXISTS', /taken/);
      await rejects(db.createSpace('taken', 'vector', { dimension: 2 }), 'SPACE_EXISTS', /taken/);
      same(await db.get('k', { space: 'taken' }), 'v');
      const twice = await Promise.allSettled([
        db.createSpace('race', 'key-value'),
        db.createSpace('race', 'key-value'),
      ]);
      same(
        twice.map(({ status }) => status),
        ['fulfilled', 'rejected'],
      );
    },
  },
  {
    name: 'names of spaces may be any well-formed text of 1 to 255 characters',
    async run(t) {
      const db = await t.open();
      const names = ['a', 'ünï/cödé 😀', ' ', '../x', '__proto__', 'constructor', 'n'.repeat(255), 'a\0b'];
      for (const [i, name] of names.entries()) {
        await db.createSpace(name, 'key-value');
        await db.put('who', String(i), { space: name });
      }
      for (const [i, name] of names.entries()) same(await db.get('who', { space: name }), String(i));
      same(
        (await db.listSpaces()).map(({ name }) => name),
        names,
      );
      for (const bad of ['', 'n'.repeat(256), '\ud800', 7, null, undefined, {}])
        await rejects(db.createSpace(untyped(bad), 'key-value'), 'INVALID_ARGUMENT', /name/);
      same((await db.listSpaces()).length, names.length);
    },
  },
  {
    name: 'createSpace refuses what it does not know and creates nothing',
    async run(t) {
      const db = await t.open();
      const bad: [unknown, unknown, RegExp][] = [
        ['graph', {}, /engine/],
        [undefined, {}, /engine/],
        ['vector', {}, /dimension/],
        ['vector', { dimension: 0 }, /dimension/],
        ['vector', { dimension: -3 }, /dimension/],
        ['vector', { dimension: 4097 }, /4096/],
        ['vector', { dimension: 2.5 }, /dimension/],
        ['vector', { dimension: '3' }, /dimension/],
        ['vector', { dimension: Number.NaN }, /dimension/],
        ['vector', { dimension: 3, indexType: 'hnsw' }, /HNSW16/],
        ['vector', { dimension: 3, indexType: 'HNSW' }, /HNSW16/],
        ['vector', { dimension: 3, indexType: 'HNSW1' }, /M of indexType/],
        ['vector', { dimension: 3, indexType: 'HNSW257' }, /256/],
        ['vector', { dimension: 3, indexType: 'IVF16,X' }, /indexType/],
        ['vector', { dimension: 3, metric: 'l1' }, /metric/],
        ['vector', { dimension: 3, metric: 'toString' }, /metric/],
        ['vector', { dimension: 3, ids: 'uuid' }, /ids/],
        ['vector', { dimension: 3, efConstruction: 7 }, /efConstruction/],
        ['vector', { dimension: 3, seed: -1 }, /seed/],
        ['vector', { dimension: 3, indextype: 'Flat' }, /indextype/],
        ['key-value', { dimension: 3 }, /dimension/],
        ['key-value', { durability: 'sometimes' }, /durability/],
        ['key-value', { durability: { everyOps: 0 } }, /everyOps/],
        ['key-value', { durability: { everyMs: -1 } }, /everyMs/],
        ['key-value', { durability: { everyOps: 1, everyMs: 1 } }, /durability/],
        ['key-value', { durability: {} }, /durability/],
      ];
      for (const [engine, options, message] of bad)
        await rejects(db.createSpace('bad', untyped(engine), untyped(options)), 'INVALID_ARGUMENT', message);
      same(await db.listSpaces(), []);
    },
  },
  {
    name: 'a call without a space says so; one on an unknown space names those there are',
    async run(t) {
      const db = await t.open();
      await rejects(db.get('k'), 'NO_SPACE_SELECTED', /useSpace/);
      await rejects(db.searchTopK([1]), 'NO_SPACE_SELECTED', /searchTopK/);
      await rejects(db.useSpace('nowhere'), 'SPACE_NOT_FOUND', /nowhere/);
      await db.createSpace('here', 'key-value');
      await rejects(db.put('k', 'v', { space: 'nowhere' }), 'SPACE_NOT_FOUND', /nowhere.*here/);
      await rejects(db.describeSpace('nowhere'), 'SPACE_NOT_FOUND');
      await rejects(db.deleteSpace('nowhere'), 'SPACE_NOT_FOUND');
      await rejects(db.get('k'), 'NO_SPACE_SELECTED');
      await rejects(db.useSpace(untyped(undefined)), 'SPACE_NOT_FOUND');
    },
  },
  {
    name: 'every data call on a space of the other engine is refused by name',
    async run(t) {
      const db = await t.open();
      await db.createSpace('kv', 'key-value');
      await db.createSpace('vec', 'vector', { dimension: 1 });
      const vec = db.space('vec');
      for (const call of [
        () => vec.put('k', 'v'),
        () => vec.get('k'),
        () => vec.delete('k'),
        () => all(vec.scan()),
      ])
        await rejects(call, 'WRONG_ENGINE', /key-value.*"vec" is a vector/);
      const kv = db.space('kv');
      for (const call of [
        () => kv.insertVector(1, [1]),
        () => kv.insertVectors([1], new Float32Array(1)),
        () => kv.getVector(1),
        () => kv.deleteVector(1),
        () => kv.countVectors(),
        () => all(kv.scanVectors()),
        () => kv.searchTopK([1]),
        () => kv.rangeSearch([1], 1),
        () => kv.waitForIndex(),
      ])
        await rejects(call, 'WRONG_ENGINE', /vector.*"kv" is a key-value/);
    },
  },
  {
    name: 'useSpace belongs to one Database object; { space } and handles go past it',
    async run(t) {
      const one = await t.open('one');
      const two = await t.open('two');
      for (const db of [one, two])
        for (const name of ['a', 'b']) {
          await db.createSpace(name, 'key-value');
          await db.put('where', name, { space: name });
        }
      await one.useSpace('a');
      same(await one.get('where'), 'a');
      await rejects(two.get('where'), 'NO_SPACE_SELECTED');
      const b = one.space('b');
      same(await b.get('where'), 'b');
      same(await b.get('where', { space: 'a' }), 'a');
      same(await one.get('where', { space: 'b' }), 'b');
      await one.useSpace('b');
      same(await one.get('where'), 'b');
      await rejects(one.useSpace('c'), 'SPACE_NOT_FOUND');
      same(await one.get('where'), 'b', 'the space in use after a failed useSpace');
      // A handle may be made before its space.
      const c = one.space('c');
      await rejects(c.get('where'), 'SPACE_NOT_FOUND');
      await one.createSpace('c', 'key-value');
      same(await c.get('where'), undefined);
    },
  },
  {
    name: 'a deleted space is gone, and one created under its name is empty',
    async run(t) {
      const db = await t.open();
      await db.createSpace('s', 'key-value');
      await db.createSpace('other', 'key-value');
      await db.put('k', 'other', { space: 'other' });
      await db.useSpace('s');
      await db.put('k', 'v');
      await db.checkpoint();
      await db.put('l', 'w');
      await db.deleteSpace('s');
      await rejects(db.get('k'), 'SPACE_NOT_FOUND');
      await rejects(db.put('k', 'v'), 'SPACE_NOT_FOUND');
      await db.createSpace('s', 'vector', { dimension: 2 });
      same(await db.countVectors(), 0);
      await db.insertVector(1, [1, 2]);
      await db.deleteSpace('s');
      await db.createSpace('s', 'key-value');
      same([await db.get('k'), await db.get('l'), (await all(db.scan())).length], [undefined, undefined, 0]);
      same(await db.get('k', { space: 'other' }), 'other');
    },
  },
  {
    name: 'writes under way while their space is deleted settle, and leave nothing behind',
    async run(t) {
      const db = await t.open();
      await db.createSpace('s', 'key-value');
      await db.put('first', 'x', { space: 's' });
      const writes = Array.from({ length: 50 }, (_, i) => db.put(`k${i}`, 'v', { space: 's' }));
      const deleting = db.deleteSpace('s');
      const late = Array.from({ length: 50 }, (_, i) => db.put(`l${i}`, 'v', { space: 's' }));
      const settled = await Promise.allSettled([...writes, ...late]);
      await deleting;
      for (const outcome of settled)
        if (outcome.status === 'rejected') same(outcome.reason.code, 'SPACE_NOT_FOUND');
      await db.createSpace('s', 'key-value');
      same(await all(db.scan({ space: 's' })), []);
    },
  },
  {
    name: 'spaces, their data and their index come back after closing and opening',
    reopens: true,
    async run(t) {
      let db = await t.open();
      await db.createSpace('kv', 'key-value');
      await db.createSpace('vec', 'vector', { dimension: 2, indexType: 'HNSW8', ids: 'string' });
      await db.put('k', 'v', { space: 'kv' });
      await db.insertVectors(['a', 'b'], new Float32Array([1, 2, 3, 4]), { space: 'vec' });
      await db.waitForIndex({ space: 'vec' });
      const infos = await db.listSpaces();
      await db.close();
      db = await t.open();
      same(await db.listSpaces(), infos);
      await rejects(db.get('k'), 'NO_SPACE_SELECTED');
      same(await db.get('k', { space: 'kv' }), 'v');
      same(await db.getVector('b', { space: 'vec' }), new Float32Array([3, 4]));
      same((await db.describeSpace('vec')).index, { linked: 2, pending: 0 });
    },
  },
  {
    name: 'deleteDatabase leaves an empty database to open, and may be called where there is none',
    reopens: true,
    async run(t) {
      await t.deleteDatabase();
      const db = await t.open();
      await db.createSpace('s', 'key-value');
      await db.put('k', 'v', { space: 's' });
      await db.close();
      await t.deleteDatabase();
      await t.deleteDatabase();
      same(await (await t.open()).listSpaces(), []);
    },
  },
  {
    name: 'more spaces than stay in memory all answer',
    async run(t) {
      const db = await t.open();
      const names = Array.from({ length: 24 }, (_, i) => `s${i}`);
      for (const name of names) {
        await db.createSpace(name, 'key-value', { durability: 'relaxed' });
        await db.put('k', name, { space: name });
      }
      for (const name of names) same(await db.get('k', { space: name }), name);
      const together = await Promise.all(names.map((name) => db.get('k', { space: name })));
      same(together, names);
      const { residentSpaces } = await db.stats();
      check(residentSpaces <= 24 && residentSpaces > 0, `${residentSpaces} spaces are resident`);
    },
  },
];

export async function all<Item>(scan: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of scan) items.push(item);
  return items;
}

/** A database with one space in use. */
export async function withKeyValue(open: () => Promise<Database>): Promise<Database> {
  const db = await open();
  await db.createSpace('kv', 'key-value');
  await db.useSpace('kv');
  return db;
}
