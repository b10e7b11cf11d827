/**
 * Recall of HNSW16 (efConstruction 128): of the 10 true nearest neighbours at least 95 % are found at efSearch 64, averaged
 * over the queries. The public sets bring their own ground truth, computed in f64; for generated ones it is Flat's.
 *
 * A hit counts when its exact distance is at most that of the 10th true neighbour, so equal vectors may stand in for one
 * another (../shared/data/README.md). Where the public sets are absent their tests skip, and the generated set remains.
 */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type BuildName, supportedBuild } from '../../src/kernel/module.ts';
import type { VectorSpace } from '../../src/space/vector-space.ts';
import { copySpace, makeSpace, searchAll } from '../data/core-space.ts';
import { type DataSet, recallAt10, rowCount, truthK } from '../data/data-set.ts';
import { generateSet, loadLatent, loadPublicSet, noPublicData, publicSets } from '../data/sources.ts';
import { nodeCore } from '../support/node-database.ts';

const builds: readonly BuildName[] = ['simd128', 'relaxed'];
const efSearch = 64;
const floor = 0.95;

function unsupported(build: BuildName): string | undefined {
  return build === 'relaxed' && supportedBuild() !== 'relaxed' ? 'no relaxed SIMD here' : undefined;
}

function checkRecall(t: TestContext, space: VectorSpace, data: DataSet, least = floor): void {
  const found = searchAll(space, data, truthK, efSearch);
  for (const rows of found) {
    assert.equal(rows.length, truthK);
    assert.equal(new Set(rows).size, truthK, 'a row was answered twice');
  }
  const recall = recallAt10(data, found);
  t.diagnostic(`recall@10 ${recall.toFixed(4)}`);
  assert.ok(recall >= least, `recall@10 is ${recall}, expected at least ${least}`);
}

for (const build of builds) {
  for (const name of publicSets) {
    test(`${build}: recall@10 on ${name} is at least ${floor} at efSearch ${efSearch}`, (t) => {
      const reason = noPublicData ?? unsupported(build);
      if (reason !== undefined) return t.skip(reason);
      const data = loadPublicSet(name);
      checkRecall(t, makeSpace(nodeCore(build), data, 'HNSW16'), data);
    });
  }

  test(`${build}: recall@10 on generated vectors is at least ${floor} at efSearch ${efSearch}`, (t) => {
    const reason = unsupported(build);
    if (reason !== undefined) return t.skip(reason);
    const data = generateSet(5000, 96, 200);
    checkRecall(t, makeSpace(nodeCore(build), data, 'HNSW16'), data);
  });

  test(`${build}: Flat finds the true neighbours of every public set`, (t) => {
    const reason = noPublicData ?? unsupported(build);
    if (reason !== undefined) return t.skip(reason);
    for (const name of publicSets) {
      const data = loadPublicSet(name);
      // Neighbours that lie closer together than f32 can tell may change places at the border, but hardly ever do.
      checkRecall(t, makeSpace(nodeCore(build), data, 'Flat'), data, 0.9995);
    }
  });
}

// Linking so many takes most of a minute, so it is done once: the other build searches the same image, as it does when a
// database moves to a browser that has other instructions.
test(`recall@10 on latent 100k x 384 is at least ${floor} at efSearch ${efSearch}, also for the other build`, async (t) => {
  if (noPublicData !== undefined) return t.skip(noPublicData);
  const build = supportedBuild();
  assert.ok(build !== undefined, 'no WASM SIMD here');
  const data = await loadLatent(100_000);
  const started = performance.now();
  const space = makeSpace(nodeCore(build), data, 'HNSW16');
  const seconds = (performance.now() - started) / 1000;
  t.diagnostic(`${build}: built at ${Math.round(rowCount(data) / seconds)} vectors/s`);
  checkRecall(t, space, data);
  for (const other of builds.filter((name) => name !== build && unsupported(name) === undefined)) {
    t.diagnostic(`${other}:`);
    checkRecall(t, copySpace(space, nodeCore(other)), data);
  }
});
