// Searches over pgvector's indexes: batches, pages of a range, lists, and filters that few vectors meet.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database, SearchHit } from '../../src/api/database.ts';
import { Random } from '../support/random.ts';
import { bridged, refused } from './bridged.ts';
import { noPglite, startPglite } from './pglite.ts';

const options = { skip: noPglite, timeout: 110_000 };
const metrics = ['L2', 'InnerProduct', 'Cosine', 'L1'] as const;

const idsOf = (hits: readonly SearchHit[]): unknown[] => hits.map(({ id }) => id);

async function pagesOf(
  db: Database,
  space: string,
  query: Float32Array,
  radius: number,
): Promise<SearchHit[]> {
  const all: SearchHit[] = [];
  for await (const page of db.rangeSearchPages(query, radius, { space, pageSize: 7 })) {
    assert.ok(page.length <= 7);
    all.push(...page);
  }
  return all;
}

test('pgvector: a batch is its searches, and pages are the whole range', options, async (t) => {
  const { db } = await bridged(t, (await startPglite(t)).url);
  const random = new Random(3);
  const [rows, dimension, queries] = [150, 6, 70];
  // Whole numbers: many distances are equal, and ties at the end of a page must be neither lost nor doubled.
  const vectors = random.vectors(rows * dimension).map((x) => Math.round(x * 2) || 1);
  const ids = Array.from({ length: rows }, (_, i) => i * 5 - 300);
  const asked = random.vectors(queries * dimension).map((x) => Math.round(x * 2) || 1);
  for (const metric of metrics) {
    const name = `batch ${metric}`;
    await db.createSpace(name, 'vector', { dimension, metric, durability: 'none' });
    await db.createSpace(`local ${name}`, 'vector', { dimension, metric });
    for (const space of [name, `local ${name}`]) await db.insertVectors(ids, vectors, { space });
    const steps: number[] = [];
    const found = await db.searchTopKBatch(asked, 4, {
      space: name,
      includeVectors: true,
      onProgress: ({ done }) => steps.push(done),
    });
    assert.deepEqual(steps, [32, 64, 70]);
    assert.equal(found.length, queries);
    for (const i of [0, 31, 32, 69]) {
      const query = asked.slice(i * dimension, (i + 1) * dimension);
      assert.deepEqual(idsOf(found[i] ?? []), idsOf(await db.searchTopK(query, 4, { space: name })));
      assert.equal(found[i]?.[0]?.vector?.length, dimension);
    }
    const query = asked.slice(0, dimension);
    const radius = (await db.searchTopK(query, 60, { space: name })).at(-1)?.distance ?? 0;
    const whole = await db.rangeSearch(query, radius, { space: name });
    assert.ok(whole.length > 20, `${metric}: ${whole.length}`);
    assert.deepEqual(await pagesOf(db, name, query, radius), whole, metric);
    if (metric === 'L2' || metric === 'L1' || metric === 'InnerProduct')
      assert.deepEqual(idsOf(whole), idsOf(await pagesOf(db, `local ${name}`, query, radius)), metric);
  }
  await assert.rejects(db.searchTopKBatch(new Float32Array(7), 4, { space: 'batch L2' }), {
    code: 'INVALID_ARGUMENT',
  });
  const stopped = AbortSignal.abort();
  await assert.rejects(db.searchTopKBatch(asked, 4, { space: 'batch L2', signal: stopped }), {
    code: 'ABORTED',
  });
});

test('pgvector: lists (IVFFlat) answer, and with more probes exactly', options, async (t) => {
  const { url, query } = await startPglite(t);
  const { db } = await bridged(t, url);
  const random = new Random(11);
  const [rows, dimension] = [1200, 8];
  const vectors = random.vectors(rows * dimension);
  const ids = Array.from({ length: rows }, (_, i) => i);
  for (const metric of ['L2', 'InnerProduct', 'Cosine'] as const) {
    const name = `lists ${metric}`;
    await db.createSpace(name, 'vector', { dimension, metric, indexType: 'IVF16,Flat', durability: 'none' });
    await db.createSpace(`local ${name}`, 'vector', { dimension, metric });
    for (const space of [name, `local ${name}`]) await db.insertVectors(ids, vectors, { space });
    for (let i = 0; i < 5; i++) {
      const asked = random.vectors(dimension);
      const expected = idsOf(await db.searchTopK(asked, 10, { space: `local ${name}` }));
      assert.deepEqual(idsOf(await db.searchTopK(asked, 10, { space: name, nprobe: 16 })), expected, metric);
      assert.equal((await db.searchTopK(asked, 10, { space: name, nprobe: 1 })).length, 10);
      // More than the lists that are looked at first hold.
      assert.equal((await db.searchTopK(asked, 900, { space: name, nprobe: 1 })).length, 900);
    }
  }
  const { rows: found } = await query<{ indexdef: string }>(
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'shibumi' AND indexdef LIKE '%ivfflat%'",
  );
  assert.equal(found.length, 3);
  assert.match(found[0]?.indexdef ?? '', /lists='?16/);
  const lists = { dimension, indexType: 'IVF16,Flat', durability: 'none' } as const;
  await refused(
    db.createSpace('x', 'vector', { ...lists, indexType: 'IVF16,PQ4' }),
    'postgres',
    'createSpace',
  );
});

test('pgvector: k hits come back however few vectors meet the filter', options, async (t) => {
  const { url, query } = await startPglite(t);
  const { db } = await bridged(t, url);
  const random = new Random(13);
  const [rows, dimension, rare] = [3000, 4, 15];
  const vectors = random.vectors(rows * dimension);
  // Those that meet it lie on the far side of everything else.
  for (let row = 0; row < rare; row++)
    vectors.set([50 + row, 50, 50, 50], Math.floor((row * rows) / rare) * dimension);
  const ids = Array.from({ length: rows }, (_, i) => i);
  const metadata = ids.map((id) => ({ kind: id % (rows / rare) === 0 ? 'rare' : 'usual' }));
  const metadataFields = [{ name: 'kind', type: 'string' as const }];
  await db.createSpace('local', 'vector', { dimension, metadataFields });
  await db.insertVectors(ids, vectors, { space: 'local', metadata });
  for (const indexType of ['HNSW8', 'IVF32,Flat'] as const) {
    const space = `filtered ${indexType}`;
    await db.createSpace(space, 'vector', { dimension, indexType, metadataFields, durability: 'none' });
    await db.insertVectors(ids, vectors, { space, metadata });
    const asked = new Float32Array(dimension);
    const where = "kind = 'rare'";
    // Which of them, an index that was made at random does not say for sure.
    const areTen = (hits: readonly SearchHit[], what: string): void => {
      assert.equal(new Set(idsOf(hits)).size, 10, what);
      assert.ok(
        hits.every(({ id }) => Number(id) % (rows / rare) === 0),
        what,
      );
      assert.deepEqual(
        hits.map(({ distance }) => distance),
        hits.map(({ distance }) => distance).sort((a, b) => a - b),
        what,
      );
    };
    areTen(await db.searchTopK(asked, 10, { space: 'local', where }), 'the engine');
    // Also when the server would read the table: of a larger one it would not.
    for (const scans of ['on', 'off']) {
      await query(`SET enable_seqscan = ${scans}`);
      const hits = await db.searchTopK(asked, 10, { space, where, efSearch: 10, includeMetadata: true });
      areTen(hits, `${indexType}, reading tables ${scans}`);
      assert.equal(hits[0]?.metadata?.kind, 'rare');
      assert.equal(
        (await db.searchTopK(asked, 100, { space, where })).length,
        rare,
        'no more than there are',
      );
      const [first = [], second = []] = await db.searchTopKBatch(new Float32Array(dimension * 2), 10, {
        space,
        where,
      });
      areTen(first, `${indexType}, in a batch`);
      areTen(second, `${indexType}, in a batch`);
    }
  }
  // What the index gives of itself, without going on: that is what the settings are for.
  const { rows: spaces } = await query<{ number: number }>(
    "SELECT number FROM shibumi.spaces WHERE name = 'filtered HNSW8'",
  );
  const statement = `SELECT id FROM shibumi.space_${spaces[0]?.number} WHERE metadata ->> 'kind' = 'rare'
    ORDER BY embedding <-> '[0,0,0,0]' LIMIT 10`;
  const { rows: plan } = await query<Record<string, string>>(`EXPLAIN ${statement}`);
  assert.match(JSON.stringify(plan), /Index Scan/);
  assert.equal((await query(statement)).rows.length, 0);
  await query('SET hnsw.iterative_scan = strict_order');
  assert.equal((await query(statement)).rows.length, 10);
});
