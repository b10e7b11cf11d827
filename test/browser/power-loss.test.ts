/**
 * A browser whose disk loses its power: Chromium's profile lies on an ext4 that is shut down under it, without flushing its
 * journal (support/lossy-disk.ts). A new browser opens the same profile when the disk is back. Every strict put that was acknowledged is
 * there, and every relaxed one that a strict one came after; of the other relaxed ones, some prefix. Once in each of Chromium's
 * stores; `npm run test:power-loss -- --losses 30` does it again and again on the same disk.
 */

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Chromium, missingPart } from '../support/chromium.ts';
import { ControlFile, LossyDisk, missingForLossyDisk } from '../support/lossy-disk.ts';
import type { Puts } from '../support/page/mixed-puts.ts';
import { type PageServer, serveTestPage } from '../support/test-page.ts';

const skip = missingPart() ?? missingForLossyDisk() ?? false;
const losses = Number(process.env.SHIBUMI_TEST_POWER_LOSSES ?? 1);
const stores = {
  LevelDB: ['--disable-features=IdbSqliteBackingStore,IdbSqliteOnDiskRollout'],
  SQLite: ['--enable-features=IdbSqliteBackingStore,IdbSqliteOnDiskRollout'],
};
/** A profile takes 50 to 100; the image is sparse. */
const diskMegabytes = 1024;

let server: PageServer;
before(async () => {
  if (skip === false) server = await serveTestPage();
});
after(() => server?.close());

interface Acknowledged extends Puts {
  /** Relaxed ones that a strict one was acknowledged after: as good as strict themselves. */
  covered: number;
}

for (const [store, flags] of Object.entries(stores))
  test(`Chromium, ${store}: a power loss takes nothing that was promised, and leaves no hole`, {
    skip,
    timeout: 120_000 + losses * 60_000,
  }, async (t) => {
    const disk = LossyDisk.make(diskMegabytes);
    let lost = 0;
    let controlsLost = 0;
    try {
      const acknowledged: Acknowledged = { strict: 0, relaxed: 0, covered: 0 };
      for (let round = 0; round < losses; round++) {
        const control = new ControlFile(disk, round);
        const sure = await writeUntilPowerLoss(disk, flags, acknowledged, 5 + (round % 10) * 4, control);
        disk.remount();
        if (!control.isWhole()) controlsLost++;
        const found = await assertKept(disk, flags, sure, `round ${round}`);
        lost += Math.max(0, acknowledged.relaxed - found.relaxed);
        // What is found now is on the disk, since the browser that read it was given the time to end.
        Object.assign(acknowledged, { ...found, covered: acknowledged.covered });
      }
      t.diagnostic(
        `${acknowledged.strict} strict and ${acknowledged.relaxed} relaxed puts are there, ${lost} relaxed ones were lost`,
      );
    } finally {
      disk.remove();
    }
    assert.ok(controlsLost > 0, 'not even a file that nobody flushed was ever lost: this was no power loss');
  });

function profileOn(disk: LossyDisk): string {
  const profile = path.join(disk.folder, 'profile');
  mkdirSync(profile, { recursive: true });
  return profile;
}

/**
 * Ends some moments after so many strict puts of this round. Answers with what was acknowledged before the power went: a flush that is
 * under way just then may say that it succeeded although it did not, which a machine that is off cannot.
 */
async function writeUntilPowerLoss(
  disk: LossyDisk,
  flags: readonly string[],
  acknowledged: Acknowledged,
  puts: number,
  control: ControlFile,
): Promise<Acknowledged> {
  const browser = await Chromium.launch(profileOn(disk), flags);
  try {
    const page = await browser.newPage();
    const until = acknowledged.strict + puts;
    const enough = Promise.withResolvers<void>();
    await page.exposeFunction('tell', (fact: string) => {
      note(acknowledged, fact);
      if (acknowledged.strict >= until) enough.resolve();
    });
    await page.goto(server.url);
    await page.waitForFunction(() => window.tests !== undefined);
    const { strict, relaxed } = acknowledged;
    const writing = page.evaluate(
      (puts) => {
        const { tell } = window as unknown as { tell: (fact: string) => void };
        return window.tests.writeMixedPuts(puts, tell);
      },
      { strict, relaxed },
    );
    const ended = writing.then(
      () => Promise.reject(new Error('the writer ended by itself')),
      (error) => Promise.reject(error),
    );
    await Promise.race([enough.promise, ended]);
    ended.catch(() => {});
    await sleep(Math.random() * 60);
    control.write();
    const sure = { ...acknowledged };
    disk.losePower();
    await sleep(50);
    return sure;
  } finally {
    await browser.kill();
  }
}

function note(acknowledged: Acknowledged, fact: string): void {
  const [kind, number, before] = fact.split(' ');
  if (kind === 'r') acknowledged.relaxed = Number(number) + 1;
  if (kind !== 's') return;
  acknowledged.strict = Number(number) + 1;
  acknowledged.covered = Math.max(acknowledged.covered, Number(before));
}

/** Opens what is left and answers with how many there are of each. */
async function assertKept(
  disk: LossyDisk,
  flags: readonly string[],
  { strict, relaxed, covered }: Acknowledged,
  where: string,
): Promise<Puts> {
  const browser = await Chromium.launch(profileOn(disk), flags);
  try {
    const page = await browser.newPage();
    await page.goto(server.url);
    await page.waitForFunction(() => window.tests !== undefined);
    const { faults, ...found } = await page.evaluate(() => window.tests.readMixedPuts());
    assert.deepEqual(faults.slice(0, 10), [], where);
    const counts = `${where}: found ${JSON.stringify(found)} of ${JSON.stringify({ strict, relaxed, covered })}`;
    // Reports may still have been on their way when the browser was killed: there may be more than is known of.
    assert.ok(found.strict >= strict && found.relaxed >= covered, counts);
    return found;
  } finally {
    await browser.kill();
  }
}
