/** Metadata of vectors: what comes back, what replaces what, what is refused. */

import type { Database, Metadata, MetadataField } from '../../../src/api/database.ts';
import { rejects, same } from '../../support/check.ts';
import type { Case, CaseContext } from '../case.ts';
import { all, untyped } from './spaces.ts';

export const fields: readonly MetadataField[] = [
  { name: 'category', type: 'string' },
  { name: 'year', type: 'int' },
  { name: 'price', type: 'float' },
  { name: 'sold', type: 'bool' },
  { name: 'tags', type: 'string[]' },
];

export async function withMetadata(t: CaseContext, indexType: 'Flat' | 'HNSW8' = 'Flat'): Promise<Database> {
  const db = await t.open();
  await db.createSpace('vec', 'vector', { dimension: 2, indexType, metadataFields: fields });
  await db.useSpace('vec');
  return db;
}

const full: Metadata = {
  category: 'books',
  year: 1999,
  price: 12.5,
  sold: false,
  tags: ['used', 'signed', 'used'],
  title: 'A name nobody indexed',
  sizes: [1, 2, { deep: [null, true, 'é😀'] }],
};

export const metadataCases: Case[] = [
  {
    name: 'metadata comes back as it was put: by id, from searches and from scans',
    async run(t) {
      const db = await withMetadata(t);
      await db.insertVector(1, [0, 0], { metadata: full });
      await db.insertVector(2, [1, 0]);
      await db.insertVectors([3, 4, 5], new Float32Array([2, 0, 3, 0, 4, 0]), {
        metadata: [{ year: -5 }, undefined, null],
      });
      await db.checkpoint();
      same(await db.getMetadata(1), full);
      same(
        [await db.getMetadata(2), await db.getMetadata(3), await db.getMetadata(4), await db.getMetadata(9)],
        [{}, { year: -5 }, {}, undefined],
      );
      same(await db.searchTopK([0, 0], 2, { includeMetadata: true }), [
        { id: 1, distance: 0, metadata: full },
        { id: 2, distance: 1, metadata: {} },
      ]);
      same(await db.searchTopK([0, 0], 1), [{ id: 1, distance: 0 }]);
      same(await db.rangeSearch([2, 0], 0.5, { includeMetadata: true, includeVectors: true }), [
        { id: 3, distance: 0, metadata: { year: -5 }, vector: new Float32Array([2, 0]) },
      ]);
      const scanned = await all(db.scanVectors({ limit: 2 }));
      same(scanned, [
        { id: 1, vector: new Float32Array([0, 0]), metadata: full },
        { id: 2, vector: new Float32Array([1, 0]) },
      ]);
      same((await db.describeSpace('vec')).metadataFields, fields);
      same((await db.listSpaces())[0]?.metadataFields, fields);
    },
  },
  {
    name: 'metadata of extreme values comes back bit for bit',
    async run(t) {
      const db = await withMetadata(t);
      const records: Metadata[] = [
        { year: 2 ** 53 - 1, price: Number.MAX_VALUE },
        { year: -(2 ** 53) + 1, price: Number.MIN_VALUE },
        { year: 2n ** 63n - 1n, price: -0 },
        { year: -(2n ** 63n), price: -1e-300 },
        { year: 2n ** 53n, price: 0.1 },
        { year: 2 ** 51, category: '' },
        { year: -(2 ** 51), category: '\0a\0' },
        { year: 0, category: 'x'.repeat(1024), tags: [] },
        { category: '😀'.repeat(256), tags: ['', '\0'] },
        { __proto__x: 1, constructor: 'c', toString: [1] },
        JSON.parse('{"__proto__": {"a": 1}}') as Metadata,
        { text: 't'.repeat(60_000) },
        { text: 't'.repeat(4090), more: 'm'.repeat(4096), category: 'parts' },
        { 'a name with blanks': 1, é: 2, '😀': 3, '\uffff': 4, Z: 5, '': undefined } as Metadata,
      ];
      for (const [i, metadata] of records.entries()) await db.insertVector(i, [i, 0], { metadata });
      await db.checkpoint();
      for (const [i, metadata] of records.entries()) {
        const back = await db.getMetadata(i);
        const { '': _, ...expected } = metadata as Record<string, unknown>;
        same(Object.entries(back as object).sort(), Object.entries(expected).sort(), `record ${i}`);
        same(Object.getPrototypeOf(back), Object.prototype, `record ${i} is a plain object`);
      }
      same(Object.is((await db.getMetadata(2))?.price, -0), true);
    },
  },
  {
    name: 'replacing a vector replaces its metadata; updateMetadata merges, clears with null, or replaces',
    async run(t) {
      const db = await withMetadata(t, 'HNSW8');
      await db.insertVector(1, [0, 0], { metadata: full });
      same(await db.updateMetadata(1, { year: 2000, title: null, tags: null, note: 'n' }), true);
      const { title: _t, tags: _g, ...rest } = full;
      same(await db.getMetadata(1), { ...rest, year: 2000, note: 'n' });
      same(await db.getVector(1), new Float32Array([0, 0]));
      same(await db.updateMetadata(1, {}), true);
      same(await db.getMetadata(1), { ...rest, year: 2000, note: 'n' });
      same(await db.updateMetadata(1, { category: 'x', year: null }, { replace: true }), true);
      same(await db.getMetadata(1), { category: 'x' });
      same(await db.updateMetadata(7, { year: 1 }), false);
      same(await db.countVectors({ where: 'category = x' }), 1);
      await db.insertVector(1, [1, 1]);
      same([await db.getMetadata(1), await db.countVectors({ where: 'category = x' })], [{}, 0]);
      await db.insertVector(1, [1, 1], { metadata: { category: 'y' } });
      same(await db.deleteVector(1), true);
      same([await db.getMetadata(1), await db.countVectors({ where: 'category = y' })], [undefined, 0]);
      // Both ways of writing at once: one after another, each whole.
      const updates = Array.from({ length: 200 }, (_, i) => db.updateMetadata(2, { [`f${i % 50}`]: i }));
      await Promise.all([db.insertVector(2, [0, 0]), ...updates]);
      const back = (await db.getMetadata(2)) ?? {};
      same(
        Object.values(back).every((value) => Number(value) >= 150 || Object.keys(back).length === 0),
        true,
      );
    },
  },
  {
    name: 'metadata survives reopening, through the log and through a checkpoint',
    reopens: true,
    async run(t) {
      const first = await withMetadata(t, 'HNSW8');
      await first.createSpace('texts', 'vector', { dimension: 1, ids: 'string', metadataFields: fields });
      const texts = first.space('texts');
      await first.insertVector(1, [0, 0], { metadata: full });
      await texts.insertVectors(['é', 'b'], new Float32Array([1, 2]), { metadata: [full, { year: 1 }] });
      await first.checkpoint();
      await first.insertVector(2, [1, 0], { metadata: { year: 7 } });
      await first.updateMetadata(1, { year: 8 });
      await texts.updateMetadata('é', { category: 'new' }, { replace: true });
      await first.close();
      const db = await t.open();
      same(await db.getMetadata(1, { space: 'vec' }), { ...full, year: 8 });
      same(await db.countVectors({ space: 'vec', where: 'year IN (7, 8)' }), 2);
      same(await db.getMetadata('é', { space: 'texts' }), { category: 'new' });
      same(
        (await all(db.scanVectors({ space: 'texts', where: 'year = 1' }))).map(({ id }) => id),
        ['b'],
      );
    },
  },
  {
    name: 'bad metadata is refused, names field and vector, and changes nothing',
    async run(t) {
      const db = await withMetadata(t);
      await db.insertVector(1, [0, 0], { metadata: { year: 1 } });
      const cycle: Record<string, unknown> = {};
      cycle.self = cycle;
      const bad: [unknown, RegExp][] = [
        ['text', /"text" for metadata/],
        [[], /an array of 0 for metadata/],
        [new Map(), /Map/],
        [{ category: 5 }, /5 for category .*string/],
        [{ category: 'x'.repeat(1025) }, /category.*1024 bytes/],
        [{ category: '\ud800' }, /surrogate in category/],
        [{ year: 1.5 }, /1.5 for year .*int/],
        [{ year: '2000' }, /"2000" for year/],
        [{ year: 2 ** 53 }, /for year .*safe integer/],
        [{ year: 2n ** 63n }, /for year/],
        [{ price: Number.NaN }, /NaN for price/],
        [{ price: 1n }, /1n for price/],
        [{ price: Number.POSITIVE_INFINITY }, /Infinity for price/],
        [{ sold: 1 }, /1 for sold .*true or false/],
        [{ tags: 'x' }, /"x" for tags .*array of strings/],
        [{ tags: ['a', 5] }, /5 for a text of tags/],
        [{ free: 1n }, /1n for free.*bigints/],
        [{ free: Number.NaN }, /NaN for free/],
        [{ free: [1, [Number.NaN]] }, /NaN for free of metadata.*\[1\]\[0\]/],
        [{ free: { a: () => 1 } }, /free of metadata.*\.a|plain data|could not be cloned/],
        [{ free: new Uint8Array(2) }, /Uint8Array|Buffer/],
        [{ free: new Date(0) }, /Date/],
        [cycle, /deeper than/],
        [{ '': 1 }, /name of 0 bytes/],
        [{ ['n'.repeat(256)]: 1 }, /name of 256 bytes/],
        [{ free: 'x'.repeat(65_536) }, /at most 65536/],
      ];
      for (const [metadata, message] of bad) {
        if (!isCloneable(metadata) && t.storage === 'indexeddb') continue;
        const options = { metadata: untyped(metadata) };
        await rejects(db.insertVector(1, [9, 9], options), 'INVALID_ARGUMENT', message);
        await rejects(db.updateMetadata(1, untyped(metadata)), 'INVALID_ARGUMENT', message);
        const packed = { metadata: [{ year: 5 }, untyped(metadata)] };
        const both = new Float32Array([1, 1, 2, 2]);
        await rejects(db.insertVectors([1, 2], both, packed), 'INVALID_ARGUMENT', message);
      }
      await rejects(
        db.insertVectors([1, 2], new Float32Array(4), { metadata: [{ year: 1 }, { year: 'x' }] }),
        'INVALID_ARGUMENT',
        /year of metadata\[1\]/,
      );
      for (const metadata of [[], [{}, {}, {}], {}, 'x'])
        await rejects(
          db.insertVectors([1, 2], new Float32Array(4), untyped({ metadata })),
          'INVALID_ARGUMENT',
          /metadata/,
        );
      await rejects(db.updateMetadata(1, {}, untyped({ replace: 1 })), 'INVALID_ARGUMENT', /replace/);
      await rejects(db.updateMetadata(untyped('x'), {}), 'INVALID_ARGUMENT', /ids: 'string'/);
      await rejects(db.getMetadata(untyped('x')), 'INVALID_ARGUMENT', /ids: 'string'/);
      await db.updateMetadata(1, { text: 'x'.repeat(40_000) });
      const more = { more: 'x'.repeat(40_000) };
      await rejects(db.updateMetadata(1, more), 'INVALID_ARGUMENT', /more than 65536/);
      same(await db.updateMetadata(1, { ...more, text: null }), true);
      same(Object.keys((await db.getMetadata(1)) ?? {}).sort(), ['more', 'year']);
      same([await db.countVectors(), await db.getVector(1)], [1, new Float32Array([0, 0])]);
    },
  },
  {
    name: 'bad metadataFields are refused',
    async run(t) {
      const db = await t.open();
      const bad: [unknown, RegExp][] = [
        [{ category: 'string' }, /array of \{ name, type \}/],
        ['category', /array/],
        [[null], /metadataFields\[0\]/],
        [[{ name: 'a' }], /metadataFields\[0\].type/],
        [[{ name: 'a', type: 'text' }], /"text".*string, int, float, bool, string\[\]/],
        [[{ name: '', type: 'int' }], /0 bytes/],
        [[{ name: 5, type: 'int' }], /metadataFields\[0\].name/],
        [[{ name: 'a', type: 'int', index: true }], /"index"/],
        [
          [
            { name: 'a', type: 'int' },
            { name: 'a', type: 'string' },
          ],
          /"a" twice/,
        ],
        [Array.from({ length: 65 }, (_, i) => ({ name: `f${i}`, type: 'int' })), /64/],
      ];
      for (const [metadataFields, message] of bad) {
        const options = { dimension: 2, metadataFields: untyped(metadataFields) };
        await rejects(db.createSpace('vec', 'vector', options), 'INVALID_ARGUMENT', message);
      }
      await rejects(
        db.createSpace('kv', 'key-value', untyped({ metadataFields: [] })),
        'INVALID_ARGUMENT',
        /metadataFields/,
      );
      same(await db.listSpaces(), []);
    },
  },
];

/** What cannot cross to a worker fails there, before anything is asked of the engine. */
function isCloneable(value: unknown): boolean {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}
