/**
 * Stopping at every storage step. A seeded workload runs over a backend that stops for ever at step n (faulty-backend.ts);
 * a fresh engine opens what survived, by itself, and its contents are compared with a model (model.ts): what was promised is
 * there, every other operation whole or absent. Then it goes on from there and is stopped again.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database } from '../../src/api/database.ts';
import type { Settings } from '../../src/engine/settings.ts';
import { openNodeDatabase } from '../support/node-database.ts';
import { Random } from '../support/random.ts';
import { CrashDisk, type FaultPlan, FaultyBackend } from './faulty-backend.ts';
import type { Crash } from './model.ts';
import { Workload } from './workload.ts';

const firstSeed = Number(process.env.SHIBUMI_TEST_SEED ?? 1);
const seeds = 300;
const turns = 25;
/** Small, so that checkpoints, compactions and letting spaces go happen all the time. */
const settings: Partial<Settings> = {
  compactBlocksMin: 1,
  compactSlackMin: 0.2,
  compactPauseMs: 0,
  checkpointLogBytes: 6000,
  checkpointIdleMs: 2000,
  groupOperationsMax: 4,
  residentSpacesMax: 2,
};

interface Run {
  readonly workload: Workload;
  readonly backend: FaultyBackend;
}

function open(backend: FaultyBackend): Promise<Database> {
  return openNodeDatabase('crash', { backend, settings });
}

/** One life of a database, until its backend stops or the turns are over and it is left as it is. */
async function live(disk: CrashDisk, workload: Workload, plan: FaultPlan, random: Random): Promise<Run> {
  const backend = new FaultyBackend(disk, plan, random);
  const db = await open(backend);
  await workload.run(db, turns, () => backend.stopped);
  return { workload, backend };
}

async function survivor(backend: FaultyBackend, crash: Crash, random: Random): Promise<CrashDisk> {
  // Nothing the stopped engine still does may reach the disk.
  backend.stopped = true;
  return crash === 'power' ? backend.disk.afterPowerLoss(random) : backend.disk.afterProcessCrash();
}

/** Opens what survived, compares, and closes in peace: nothing may differ then. */
async function recover(
  disk: CrashDisk,
  workload: Workload,
  crash: Crash,
  random: Random,
): Promise<CrashDisk> {
  const backend = new FaultyBackend(disk, {}, random);
  let db = await open(backend);
  await workload.compare(db, crash);
  await workload.run(db, 8, () => false);
  await workload.compare(db, 'none');
  await db.close();
  db = await open(new FaultyBackend(disk, {}, random));
  await workload.compare(db, 'closed');
  await db.close();
  return disk;
}

async function runSeed(
  seed: number,
  lives: number,
  stop: (random: Random) => FaultPlan['stop'],
): Promise<number> {
  const random = new Random(seed);
  const workload = new Workload(random);
  let disk = new CrashDisk();
  let steps = 0;
  for (let life = 0; life < lives; life++) {
    const crash: Crash = random.unit() < 0.5 ? 'process' : 'power';
    const at = stop(random);
    const { backend } = await live(disk, workload, at === undefined ? {} : { stop: at }, random);
    steps = Math.max(steps, backend.steps);
    disk = await recover(await survivor(backend, crash, random), workload, crash, random);
  }
  return steps;
}

test('one workload stopped at each of its storage steps, done or not done', {
  timeout: 120_000,
}, async (t) => {
  const steps = await runSeed(firstSeed, 1, () => undefined);
  assert.ok(steps > 30, `the workload has only ${steps} steps`);
  for (let step = 1; step <= steps; step++)
    for (const done of [false, true]) {
      try {
        await runSeed(firstSeed, 1, () => ({ step, done }));
      } catch (cause) {
        throw new Error(`SHIBUMI_TEST_SEED=${firstSeed}, stopped at step ${step}, done: ${done}`, { cause });
      }
    }
  t.diagnostic(`${steps} steps, each stopped twice`);
});

test(`${seeds} workloads stopped at any step`, { timeout: 240_000 }, async (t) => {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    try {
      await runSeed(seed, seed % 3 === 0 ? 2 : 1, (random) => ({
        step: 1 + random.below(50),
        done: random.unit() < 0.5,
      }));
    } catch (cause) {
      throw new Error(`SHIBUMI_TEST_SEED=${seed}`, { cause });
    }
  }
  t.diagnostic(`seeds from SHIBUMI_TEST_SEED=${firstSeed}`);
});

test('a disk that is full now and then: calls fail whole, the engine goes on', {
  timeout: 120_000,
}, async (t) => {
  let failures = 0;
  for (let seed = firstSeed; seed < firstSeed + seeds / 3; seed++) {
    const random = new Random(seed);
    const workload = new Workload(random);
    const disk = new CrashDisk();
    const fail = new Set(Array.from({ length: 8 }, () => 1 + random.below(40)));
    try {
      const backend = new FaultyBackend(disk, { fail }, random);
      const db = await open(backend);
      await workload.run(db, turns, () => false);
      await workload.compare(db, 'none');
      failures += backend.failures;
      await recover(await survivor(backend, 'process', random), workload, 'process', random);
    } catch (cause) {
      throw new Error(`SHIBUMI_TEST_SEED=${seed}`, { cause });
    }
  }
  assert.ok(failures > seeds / 2, `only ${failures} steps failed`);
  t.diagnostic(`${failures} steps failed; seeds from SHIBUMI_TEST_SEED=${firstSeed}`);
});
