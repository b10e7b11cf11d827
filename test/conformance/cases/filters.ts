/** `where` in all its forms: what it means, what it is refused for, and that every call that takes it obeys it. */

import type { Database, Filter, Metadata, Where } from '../../../src/api/database.ts';
import { check, rejects, same } from '../../support/check.ts';
import { randomFilter, randomMetadata } from '../../support/filter-oracle.ts';
import { Random } from '../../support/random.ts';
import type { Case } from '../case.ts';
import { withMetadata } from './metadata.ts';
import { all, untyped } from './spaces.ts';

function shownWhere(where: unknown): string {
  return JSON.stringify(where, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}

async function idsWhere(db: Database, where: Where): Promise<number[]> {
  const entries = await all(db.scanVectors({ where }));
  same(await db.countVectors({ where }), entries.length, `count of ${shownWhere(where)}`);
  return entries.map(({ id }) => Number(id));
}

/** Six vectors on a line, at x = id. */
async function withBooks(
  t: Parameters<Case['run']>[0],
  indexType: 'Flat' | 'HNSW8' = 'Flat',
): Promise<Database> {
  const db = await withMetadata(t, indexType);
  const metadata: (Metadata | undefined)[] = [
    { category: 'cat_0', year: 2010, price: 100, sold: true, tags: ['red', 'new'] },
    { category: 'cat_1', year: 2012, price: 499.5, sold: false, tags: ['red'] },
    { category: 'cat_2', year: 2014, price: 500, tags: [] },
    { category: 'AND', year: -3, price: -0.5, sold: true },
    { category: "it's a (test)", year: 2n ** 60n, tags: ['new', 'né'] },
    undefined,
  ];
  const xs = metadata.flatMap((_, i) => [i, 0]);
  await db.insertVectors([0, 1, 2, 3, 4, 5], new Float32Array(xs), { metadata });
  return db;
}

export const filterCases: Case[] = [
  {
    name: 'where: every operator, in text',
    async run(t) {
      const db = await withBooks(t);
      const cases: [string, number[]][] = [
        ['category=cat_0', [0]],
        ['category = "cat_0"', [0]],
        ["category = 'it''s a (test)'", [4]],
        ['category="AND"', [3]],
        ['`category` == cat_1', [1]],
        ['category != cat_0', [1, 2, 3, 4, 5]],
        ['category <> cat_0', [1, 2, 3, 4, 5]],
        ['year BETWEEN 2010 AND 2014', [0, 1, 2]],
        ['year between +2011 and 2014', [1, 2]],
        ['year NOT BETWEEN 2010 AND 2014', [3, 4, 5]],
        ['price<500 AND category IN (cat_0, cat_1)', [0, 1]],
        ['price<=500 AND NOT price<500', [2]],
        ['price > -1 and price < 0', [3]],
        ['price >= 4.995e2', [1, 2]],
        ['price = .5e3', [2]],
        ['year < 0', [3]],
        [`year > ${2n ** 60n - 1n}`, [4]],
        ['category >= cat_1', [1, 2, 4]],
        ['category > cat_1 AND category < d', [2]],
        ['sold = true', [0, 3]],
        ['sold = FALSE', [1]],
        ['sold != true', [1, 2, 4, 5]],
        ['sold IN (true, false)', [0, 1, 3]],
        ['tags = red', [0, 1]],
        ['tags = red AND tags = new', [0]],
        ['tags IN (new, red)', [0, 1, 4]],
        ['tags = né', [4]],
        ['tags != red', [2, 3, 4, 5]],
        ['category NOT IN (cat_0, cat_1)', [2, 3, 4, 5]],
        ['sold IS NULL', [2, 4, 5]],
        ['tags is not null', [0, 1, 4]],
        ['year = 2010 OR year = 2012 AND price < 100', [0]],
        ['(year = 2010 OR year = 2012) AND price < 101', [0]],
        ['NOT (year = 2010 OR NOT NOT sold = false)', [2, 3, 4, 5]],
        ['year BETWEEN 5 AND 4', []],
        ['category = nobody', []],
        ['category IS NULL OR category IS NOT NULL', [0, 1, 2, 3, 4, 5]],
      ];
      for (const [where, ids] of cases) same(await idsWhere(db, where), ids, where);
    },
  },
  {
    name: 'where: parameters are values, whatever is in them; objects mean the same',
    async run(t) {
      const db = await withBooks(t);
      const cases: [Where, number[]][] = [
        [{ text: 'category = ?', params: ["it's a (test)"] }, [4]],
        [{ text: 'category = ?', params: ["x' OR category != 'x"] }, []],
        [{ text: 'category=:c OR year = :y', params: { c: 'AND', y: 2n ** 60n } }, [3, 4]],
        [{ text: 'year = :y OR year = :y', params: { y: 2010 } }, [0]],
        [{ text: 'category IN (?, cat_1)', params: [['cat_0', 'AND']] }, [0, 1, 3]],
        [{ text: 'category IN (:all)', params: { all: [] } }, []],
        [{ text: 'sold = ? AND price BETWEEN ? AND ?', params: [true, -1, 100] }, [0, 3]],
        [{ text: 'year = 2010' }, [0]],
        [{ op: 'eq', field: 'category', value: 'cat_0' }, [0]],
        [{ op: 'not', filters: [{ op: 'eq', field: 'category', value: 'cat_0' }] }, [1, 2, 3, 4, 5]],
        [{ op: 'in', field: 'category', values: [] }, []],
        [{ op: 'between', field: 'price', values: [100, 499.5] }, [0, 1]],
        [{ op: 'exists', field: 'tags' }, [0, 1, 4]],
        [
          {
            op: 'and',
            filters: [
              { op: 'lt', field: 'price', value: 500 },
              {
                op: 'or',
                filters: [
                  { op: 'ne', field: 'sold', value: true },
                  { op: 'gte', field: 'year', value: 2010 },
                ],
              },
            ],
          },
          [0, 1],
        ],
      ];
      for (const [where, ids] of cases) same(await idsWhere(db, where), ids, shownWhere(where));
    },
  },
  {
    name: 'a where that is wrong is refused, and says at which character or part',
    async run(t) {
      const db = await withBooks(t);
      const bad: [unknown, RegExp, number?][] = [
        ['', /the end at character 1 of where, expected a field/, 0],
        ['   ', /the end at character 4/, 3],
        ['category', /the end at character 9 of where, expected =/, 8],
        ['category =', /the end at character 11 of where, expected a value/, 10],
        ['category = )', /"\)" at character 12/, 11],
        ["category = 'x", /' at character 12 of where, expected a closing '/, 11],
        ['category = x y', /"y" at character 14 of where, expected AND, OR or the end/, 13],
        ['category = x AND', /the end/, 16],
        ['(category = x', /the end at character 14 of where, expected \)/, 13],
        ['category = x)', /"\)" at character 13/, 12],
        ['category IN x', /"x" at character 13 of where, expected \(/, 12],
        ['category IN ()', /"\)" at character 14/, 13],
        ['category IN (x,)', /"\)" at character 16/, 15],
        ['category NOT = x', /"=" at character 14/, 13],
        ['year BETWEEN 1, 2', /"," at character 15 of where, expected AND/, 14],
        ['year IS 5', /"5" at character 9 of where, expected NULL/, 8],
        ['category = AND', /"AND" at character 12/, 11],
        ['= x', /"=" at character 1 of where, expected a field/, 0],
        ['category = ?', /\? at character 12 of where, expected where.params/, 11],
        ['year = x', /"x" for year \(int\) at character 8/],
        ['year = 1.5', /"1.5" for year \(int\)/],
        ["year = '5'", /the text "5" for year/],
        ['year = 9223372036854775808', /year/],
        ['price = 1e999', /price/],
        ['price = NaN', /price/],
        ['sold = yes', /"yes" for sold \(bool\).*true or false/],
        ['sold < true', /order.*"sold".*bool/],
        ['tags > a', /order.*"tags".*string\[\]/],
        ['colour = red', /the field "colour" at character 1 of where.*category, year, price, sold, tags/],
        ['title = x', /"title"/],
        [`${'('.repeat(200)}year = 1${')'.repeat(200)}`, /at most 100 levels/],
        [`category = ${'x'.repeat(70_000)}`, /at most 65536/],
        [`category = '${'x'.repeat(1025)}'`, /1024 bytes/],
        [5, /5 for where/],
        [null, /null for where/],
        [[], /where/],
        [{}, /where.op/],
        [{ op: 'like', field: 'category', value: 'x' }, /"like" for where.op/],
        [{ op: 'eq', field: 'category' }, /undefined for category/],
        [{ op: 'eq', field: 'category', value: 5 }, /5 for category \(string\) in where.value/],
        [{ op: 'eq', field: 'colour', value: 5 }, /"colour" in where/],
        [{ op: 'eq', field: 5, value: 5 }, /where.field/],
        [{ op: 'eq', field: 'category', value: 'x', values: [] }, /"values" in where/],
        [{ op: 'in', field: 'year', values: [1, 'x'] }, /"x" for year \(int\) in where.values\[1\]/],
        [{ op: 'in', field: 'year', values: 5 }, /where.values/],
        [{ op: 'between', field: 'year', values: [1] }, /number of where.values/],
        [{ op: 'and', filters: [] }, /number of where.filters/],
        [{ op: 'and', filters: { op: 'exists', field: 'year' } }, /where.filters/],
        [
          {
            op: 'not',
            filters: [
              { op: 'exists', field: 'year' },
              { op: 'exists', field: 'year' },
            ],
          },
          /filters/,
        ],
        [{ op: 'or', filters: [{ op: 'eq', field: 'year', value: 1.5 }] }, /where.filters\[0\].value/],
        [{ text: 5 }, /where.text/],
        [{ text: 'year = ?', params: [] }, /0 parameters/],
        [{ text: 'year = ?', params: { a: 1 } }, /array/],
        [{ text: 'year = :a', params: [1] }, /object/],
        [{ text: 'year = :a', params: { b: 1 } }, /"a"/],
        [{ text: 'year = 1', params: [1] }, /1 where.params/],
        [{ text: 'year = 1', params: { b: 1 } }, /params.b/],
        [{ text: 'year = ?', params: [[1]] }, /for year/],
        [{ text: 'year = 1', params: 5 }, /where.params/],
        [{ text: 'year = 1', parameters: [] }, /"parameters"/],
      ];
      // All at once: one after another they are hundreds of ways to a worker and back.
      const checks = bad.map(async ([where, message, position]) => {
        const options = { where: untyped(where) };
        const error = await rejects(db.countVectors(options), 'INVALID_ARGUMENT', message);
        if (position !== undefined) same(error.details?.position, position, String(where));
        for (const call of [
          () => db.searchTopK([0, 0], 1, options),
          () => db.rangeSearch([0, 0], 1, options),
          () => db.deleteVectors(options),
          () => all(db.scanVectors(options)),
        ])
          await rejects(call, 'INVALID_ARGUMENT', message);
      });
      await Promise.all(checks);
      await db.createSpace('plain', 'vector', { dimension: 2 });
      await rejects(
        db.searchTopK([0, 0], 1, { space: 'plain', where: 'year = 1' }),
        'INVALID_ARGUMENT',
        /"year".*has no metadataFields/,
      );
      let deep: Filter = { op: 'exists', field: 'year' };
      for (let i = 0; i < 150; i++) deep = { op: 'not', filters: [deep] };
      // Over a bridge its own bound is met first.
      const tooDeep = /at most 100 levels|deeper than 32 levels/;
      await rejects(db.countVectors({ where: deep }), 'INVALID_ARGUMENT', tooDeep);
      same(await db.countVectors(), 6);
    },
  },
  ...(['Flat', 'HNSW8'] as const).map(
    (indexType): Case => ({
      name: `${indexType}: searches, scans and deletes obey where`,
      async run(t) {
        const db = await withBooks(t, indexType);
        await db.waitForIndex();
        const where = 'tags = new OR price < 0';
        same(await db.searchTopK([1, 0], 10, { where }), [
          { id: 0, distance: 1 },
          { id: 3, distance: 4 },
          { id: 4, distance: 9 },
        ]);
        same(await db.searchTopK([1, 0], 1, { where, includeMetadata: true }), [
          { id: 0, distance: 1, metadata: (await db.getMetadata(0)) as Metadata },
        ]);
        same(await db.searchTopK([1, 0], 3, { where: 'category = none' }), []);
        same(await db.rangeSearch([1, 0], 5, { where }), [
          { id: 0, distance: 1 },
          { id: 3, distance: 4 },
        ]);
        same(
          (await all(db.scanVectors({ where, limit: 2 }))).map(({ id }) => id),
          [0, 3],
        );
        // Not linked yet, and changed since: a filter sees what was acknowledged.
        await db.insertVector(9, [1, 0], { metadata: { tags: ['new'] } });
        same((await db.searchTopK([1, 0], 1, { where }))[0], { id: 9, distance: 0 });
        await db.updateMetadata(9, { tags: [] });
        same((await db.searchTopK([1, 0], 1, { where }))[0], { id: 0, distance: 1 });
        same(await db.deleteVectors({ where }), 3);
        same(await db.deleteVectors({ where }), 0);
        same(await db.searchTopK([1, 0], 10, { where }), []);
        same(
          (await all(db.scanVectors())).map(({ id }) => id),
          [1, 2, 5, 9],
        );
        same(await db.deleteVectors([1, 77, 9, 1]), 2);
        same(await db.deleteVectors(new BigInt64Array([2n])), 1);
        same(await db.deleteVectors([]), 0);
        for (const which of [5, 'x', null, undefined, {}, [1, 'x'], [1.5], new Int32Array(1)])
          await rejects(db.deleteVectors(untyped(which)), 'INVALID_ARGUMENT');
        same(
          (await all(db.scanVectors())).map(({ id }) => id),
          [5],
        );
      },
    }),
  ),
  {
    name: 'a random run of filters in every form agrees with a look at each vector',
    async run(t) {
      const db = await withMetadata(t, 'HNSW8');
      const random = new Random(21);
      const model = new Map<number, Metadata>();
      for (let round = 0; round < 25; round++) {
        const writes: Promise<unknown>[] = [];
        for (let i = 0; i < 25; i++) {
          const id = random.below(300);
          const metadata = randomMetadata(random);
          const roll = random.below(10);
          if (roll < 6) {
            model.set(id, metadata);
            writes.push(db.insertVector(id, random.vectors(2), { metadata }));
          } else if (roll < 8) {
            const there = model.get(id);
            if (there !== undefined) model.set(id, { ...there, ...metadata });
            writes.push(db.updateMetadata(id, metadata).then((found) => same(found, there !== undefined)));
          } else {
            model.delete(id);
            writes.push(db.deleteVector(id));
          }
        }
        await Promise.all(writes);
        if (round % 8 === 5) await db.checkpoint();
        for (let i = 0; i < 8; i++) {
          const filter = randomFilter(random);
          const expected = [...model]
            .filter(([, metadata]) => filter.holds(metadata))
            .map(([id]) => id)
            .sort((a, b) => a - b);
          for (const where of filter.forms) same(await idsWhere(db, where), expected, shownWhere(where));
          const where = filter.forms[0] as Where;
          const hits = await db.searchTopK(random.vectors(2), 10, { where, includeMetadata: true });
          same(hits.length, Math.min(10, expected.length), shownWhere(where));
          for (const { id, metadata } of hits)
            check(filter.holds(metadata ?? {}), `hit ${id} of ${shownWhere(where)}`);
        }
        if (round % 6 === 4) {
          const filter = randomFilter(random);
          const gone = [...model].filter(([, metadata]) => filter.holds(metadata)).map(([id]) => id);
          // What is written before and after in the same turn is before and after.
          const before = db.insertVector(1000, [0, 0], { metadata: model.get(gone[0] ?? -1) ?? {} });
          const deleted = db.deleteVectors({ where: filter.forms[3] as Where });
          const after = db.insertVector(1001, [0, 0], { metadata: model.get(gone[0] ?? -1) ?? {} });
          await Promise.all([before, after]);
          const one = filter.holds(model.get(gone[0] ?? -1) ?? {}) ? 1 : 0;
          same(await deleted, gone.length + one, 'deleted');
          for (const id of gone) model.delete(id);
          same(await db.getVector(1000), one === 1 ? undefined : new Float32Array(2));
          same(await db.deleteVectors([1000, 1001]), 2 - one);
        }
      }
    },
  },
];
