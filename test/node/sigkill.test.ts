/**
 * Goal: whatever was acknowledged outlives the death of the process, at any moment.
 * Method: a child process writes to four spaces (strict, relaxed, vectors flushed every few operations, bulk inserts) with
 * settings so small that checkpoints never end, and is killed with SIGKILL at random times. Each time the database is
 * opened and must hold, per space, exactly the state after some prefix of the history that contains everything
 * acknowledged: nothing lost, nothing halved, no hole. The child then goes on from there.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { node } from './child.ts';
import { killAgainAndAgain } from './kill-cycle.ts';
import { freshFolder } from './places.ts';

const seed = Number(process.env.SHIBUMI_SEED ?? Date.now() % 1_000_000);
const kills = Number(process.env.SHIBUMI_KILLS ?? 18);

test(`a process that writes is killed ${kills} times`, async () => {
  console.log(`seed ${seed} (SHIBUMI_SEED)`);
  await using folder = await freshFolder();
  const tally = await killAgainAndAgain(node, folder.path, kills, seed);
  console.log(tally);
  assert.equal(tally.kills, kills);
  assert.ok(tally.acknowledged > kills * 20, `only ${tally.acknowledged} operations were acknowledged`);
});
