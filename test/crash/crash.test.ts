/**
 * Stories of databases over storage that fails (simulation.ts): stopped at any step of it, with transactions that are lost, writes
 * that are torn or come in another order, errors, full disks, and owners that are frozen while another takes over. After every
 * end a fresh engine opens what survived, by itself, and its contents are compared with a model: what was promised is there,
 * every other operation whole or absent.
 *
 * `npm run test:simulation` runs more seeds, and tells the story of one.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSeeds, runSimulation, type Sum } from './seeds.ts';

const firstSeed = Number(process.env.SHIBUMI_TEST_SEED ?? 1);
/** Under four minutes beside everything else; `npm run test:simulation` tells more, or others. */
const seeds = Number(process.env.SHIBUMI_SIMULATION_SEEDS ?? 10_000);

test('a seed tells the same story every time', { timeout: 60_000 }, async () => {
  const [first, second] = await Promise.all([7, 7].map((seed) => runSimulation(['--seed', String(seed)])));
  assert.ok((first?.length ?? 0) > 1000, `a story of ${first?.length} characters`);
  assert.equal(first, second);
});

for (const kind of ['transactions', 'leveldb', 'files'])
  test(`a life over ${kind}, stopped at each of its storage steps, done or not done`, {
    timeout: 300_000,
  }, async (t) => {
    const { stories }: Sum = JSON.parse(
      await runSimulation(['--stops-of', String(firstSeed), '--kind', kind]),
    );
    assert.ok(stories > 80, `only ${stories} ends`);
    t.diagnostic(`${stories} ends of SHIBUMI_TEST_SEED=${firstSeed}`);
  });

test(`${seeds} stories over storage that fails`, { timeout: 840_000 }, async (t) => {
  const sum = await runSeeds(firstSeed, seeds);
  assert.equal(sum.stories, seeds);
  const each = Object.entries(sum).map(([what, count]) => `${(count / seeds).toFixed(1)} ${what}`);
  t.diagnostic(`from SHIBUMI_TEST_SEED=${firstSeed} on, each: ${each.slice(1).join(', ')}`);
});
