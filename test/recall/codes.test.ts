/**
 * Recall of the quantised index types: what a search finds by default, and what HNSW16,SQ8 finds at efSearch 64. As in
 * hnsw.test.ts, a hit counts when it is no farther than the true 10th neighbour.
 *
 * Both builds are asked. Their integer inner products are the same to the bit; the few float operations around them may
 * round differently, which may swap candidates at the border of what is measured again, and hardly ever does.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IndexType } from '../../src/api/database.ts';
import { type BuildName, supportedBuild } from '../../src/kernel/module.ts';
import type { SearchEffort } from '../../src/space/vector-space.ts';
import { copySpace, makeSpace, searchAll } from '../data/core-space.ts';
import { type DataSet, recallAt10, truthK } from '../data/data-set.ts';
import { generateSet, loadLatent, loadPublicSet, noPublicData, publicSets } from '../data/sources.ts';
import { nodeCore } from '../support/node-database.ts';

const indexTypes = ['SQ8', 'BQ', 'HNSW16,SQ8', 'HNSW16,BQ'] as const satisfies IndexType[];
const other: BuildName | undefined = supportedBuild() === 'relaxed' ? 'relaxed' : undefined;

const sets: { name: string; load(): DataSet | Promise<DataSet> }[] = [
  { name: 'generated 5k x 96', load: () => generateSet(5000, 96, 200) },
];
if (noPublicData === undefined) {
  for (const name of publicSets) sets.push({ name, load: () => loadPublicSet(name) });
  sets.push({ name: 'latent 20k x 384', load: () => loadLatent(20_000) });
} else {
  test('public sets', (t) => t.skip(noPublicData));
}

const overlap = (a: readonly number[], b: readonly number[]): number =>
  a.filter((id) => b.includes(id)).length;

for (const { name, load } of sets) {
  test(`${name}: default recall@10 of every quantised index type is at least 0.98, the same for both builds`, async (t) => {
    const data = await load();
    for (const indexType of indexTypes) {
      const space = makeSpace(nodeCore('simd128'), data, indexType);
      const copy = other === undefined ? undefined : copySpace(space, nodeCore(other));
      const efforts: [SearchEffort, number][] = [[{}, 0.98]];
      if (indexType === 'HNSW16,SQ8') efforts.push([{ efSearch: 64 }, 0.95]);
      for (const [effort, floor] of efforts) {
        const found = searchAll(space, data, truthK, effort);
        const recall = recallAt10(data, found);
        t.diagnostic(`${indexType} ${JSON.stringify(effort)}: recall@10 ${recall.toFixed(4)}`);
        for (const rows of found) assert.equal(new Set(rows).size, truthK, 'ten different rows');
        assert.ok(recall >= floor, `${indexType}: recall@10 is ${recall}, expected at least ${floor}`);
        if (copy === undefined) continue;
        const again = searchAll(copy, data, truthK, effort);
        const same = found.reduce((sum, rows, q) => sum + overlap(rows, again[q] ?? []), 0);
        const share = same / (found.length * truthK);
        assert.ok(share >= 0.999, `${indexType}: the builds agree on ${share} of the hits`);
      }
    }
  });
}
