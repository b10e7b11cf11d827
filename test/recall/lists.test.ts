/**
 * Recall of the index types that are trained: what a search finds by default, with an inverted file or codes of PQ. A hit
 * counts as in hnsw.test.ts. The public sets are those with enough vectors to train with; where they are absent a generated
 * one remains.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IndexType } from '../../src/api/database.ts';
import { supportedBuild } from '../../src/kernel/module.ts';
import { makeSpace, searchAll } from '../data/core-space.ts';
import { type DataSet, recallAt10, rowCount, truthK } from '../data/data-set.ts';
import { generateSet, loadLatent, loadPublicSet, noPublicData } from '../data/sources.ts';
import { nodeCore } from '../support/node-database.ts';

const sets: { name: string; load(): DataSet | Promise<DataSet> }[] =
  noPublicData === undefined
    ? [
        { name: 'fashion10k', load: () => loadPublicSet('fashion10k') },
        { name: 'latent 20k x 384', load: () => loadLatent(20_000) },
      ]
    : [{ name: 'generated 12k x 96', load: () => generateSet(12_000, 96, 200) }];

for (const { name, load } of sets) {
  test(`${name}: default recall@10 of IVF and PQ is at least 0.98`, async (t) => {
    const data = await load();
    const m = Math.floor(data.dimension / 8);
    const indexTypes: IndexType[] = ['IVF64', 'IVF64,SQ8', `PQ${m}`, `IVF64,PQ${m}`, `HNSW16,PQ${m}`];
    for (const indexType of indexTypes) {
      const space = makeSpace(nodeCore(supportedBuild()), data, indexType);
      assert.ok((space.training()?.trainedOn ?? 0) > 0, `${indexType} is trained`);
      assert.equal(space.count(), rowCount(data));
      const recall = recallAt10(data, searchAll(space, data, truthK, {}));
      t.diagnostic(`${indexType}: recall@10 ${recall.toFixed(4)}`);
      assert.ok(recall >= 0.98, `${indexType}: recall@10 is ${recall}, expected at least 0.98`);
    }
  });
}
