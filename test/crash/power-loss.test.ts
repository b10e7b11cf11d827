/**
 * A real power loss, as far as a file system can have one without the machine: a process writes to a database on an ext4 that is shut
 * down under it, without flushing its journal. Then it is mounted again, which replays what is there of the journal, and the database
 * is opened. Every strict put that was acknowledged is there, and every relaxed one that a strict one came after; of the other relaxed
 * ones, of over 64 KiB each, some prefix. Again and again on the same disk.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { open } from '../../src/node.ts';
import { ControlFile, LossyDisk, missingForLossyDisk } from '../support/lossy-disk.ts';
import { relaxedValue, strictValue } from './power-loss-values.ts';

const rounds = Number(process.env.SHIBUMI_TEST_POWER_LOSSES ?? 5);
/** No round may find the disk full, however many came before; the image is sparse. */
const diskMegabytes = 384 + rounds * 64;
const missing = missingForLossyDisk();

interface Acknowledged {
  strict: number;
  /** All that were acknowledged. */
  relaxed: number;
  /** Those that a strict put was acknowledged after: as good as strict themselves. */
  covered: number;
}

test(`${rounds} power losses take nothing that was promised, and leave no hole`, {
  skip: missing ?? false,
  timeout: 60_000 + rounds * 20_000,
}, async (t) => {
  const disk = LossyDisk.make(diskMegabytes);
  let lost = 0;
  let controlsLost = 0;
  try {
    const acknowledged: Acknowledged = { strict: 0, relaxed: 0, covered: 0 };
    for (let round = 0; round < rounds; round++) {
      const control = new ControlFile(disk, round);
      const sure = await writeUntilPowerLoss(disk, acknowledged, 5 + (round % 10) * 4, control);
      disk.remount();
      if (!control.isWhole()) controlsLost++;
      const found = await assertKept(path.join(disk.folder, 'db'), sure, acknowledged, `round ${round}`);
      lost += acknowledged.relaxed - found.relaxed;
      // What is found now is on the disk.
      Object.assign(acknowledged, { strict: found.strict, relaxed: found.relaxed, covered: found.relaxed });
    }
    t.diagnostic(
      `${acknowledged.strict} strict and ${acknowledged.relaxed} relaxed puts are there, ${lost} relaxed ones were lost`,
    );
  } finally {
    disk.remove();
  }
  assert.ok(controlsLost > 0, 'not even a file that nobody flushed was ever lost: this was no power loss');
});

/**
 * Ends some moments after so many strict puts of this round. Answers with what was acknowledged before the power went: a flush that is
 * under way just then may say that it succeeded although it did not, which a machine that is off cannot.
 */
async function writeUntilPowerLoss(
  disk: LossyDisk,
  acknowledged: Acknowledged,
  puts: number,
  control: ControlFile,
): Promise<Acknowledged> {
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      path.join(import.meta.dirname, 'power-loss-writer.ts'),
      path.join(disk.folder, 'db'),
      String(acknowledged.relaxed),
      String(acknowledged.strict),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const until = acknowledged.strict + puts;
  const ended = new Promise((resolve) => child.on('close', resolve));
  const enough = Promise.withResolvers<void>();
  let rest = '';
  let told = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) note(acknowledged, line);
    told = lines.at(-1) ?? told;
    if (acknowledged.strict >= until) enough.resolve();
  });
  await Promise.race([enough.promise, ended]);
  assert.ok(acknowledged.strict >= until, `the writer ended by itself: ${told}`);
  await sleep(Math.random() * 60);
  control.write();
  const sure = { ...acknowledged };
  disk.losePower();
  await sleep(50);
  child.kill('SIGKILL');
  await ended;
  return sure;
}

function note(acknowledged: Acknowledged, line: string): void {
  const [kind, number, before] = line.split(' ');
  if (kind === 'r') acknowledged.relaxed = Number(number) + 1;
  if (kind !== 's') return;
  acknowledged.strict = Number(number) + 1;
  acknowledged.covered = Math.max(acknowledged.covered, Number(before));
}

/** Opens what is left and answers with how many there are of each. */
async function assertKept(
  folder: string,
  sure: Acknowledged,
  told: Acknowledged,
  where: string,
): Promise<{ strict: number; relaxed: number }> {
  await using db = await open(folder);
  const found = { strict: 0, relaxed: 0 };
  for await (const { key, value } of db.scan({ space: 'strict' })) {
    assert.equal(Number(key), found.strict, `${where}: strict puts have a hole`);
    assert.equal(value, strictValue(found.strict++), `${where}: strict put ${key}`);
  }
  for await (const { key, value } of db.scan({ space: 'relaxed' })) {
    assert.equal(Number(key), found.relaxed, `${where}: relaxed puts have a hole`);
    const expected = relaxedValue(found.relaxed++);
    assert.ok(Buffer.from(value as Uint8Array).equals(expected), `${where}: relaxed put ${key}`);
  }
  const counts = `${where}: found ${JSON.stringify(found)}, sure ${JSON.stringify(sure)}, told ${JSON.stringify(told)}`;
  // At most the one that was under way is there without having been acknowledged.
  assert.ok(found.strict >= sure.strict && found.strict <= told.strict + 1, counts);
  assert.ok(found.relaxed >= sure.covered && found.relaxed <= told.relaxed + 1, counts);
  return found;
}
