/**
 * A gap in a space's log, over storage where a power loss may leave one (crash/faulty-backend.ts): what nobody was promised ends the
 * log, and what somebody was is damage.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database, Durability } from '../../src/api/database.ts';
import { MemoryBackend, type MemoryDisk } from '../../src/storage/memory-backend.ts';
import { Faults, realTime } from '../crash/faults.ts';
import { CrashDisk, FaultyBackend } from '../crash/faulty-backend.ts';
import { cloneDisk } from '../support/clone-disk.ts';
import { openNodeDatabase } from '../support/node-database.ts';
import { Random } from '../support/random.ts';

const everyThird: Durability = { everyOps: 3 };

async function open(disk: CrashDisk): Promise<Database> {
  const faults = new Faults({}, realTime, new Random(1));
  return openNodeDatabase('gap', { backend: await FaultyBackend.open(disk, faults) });
}

/** The disk as it is now, which its writer does not see any more. */
const crashed = (disk: CrashDisk): CrashDisk => new CrashDisk(true, cloneDisk(disk.written));

/** A space with one log record per key, and a strict one beside it. */
async function written(durability: Durability, keys: string): Promise<CrashDisk> {
  const disk = new CrashDisk(true);
  const db = await open(disk);
  await db.createSpace('gappy', 'key-value', { durability });
  await db.createSpace('strict', 'key-value');
  await putEach(db, keys);
  return crashed(disk);
}

async function putEach(db: Database, keys: string): Promise<void> {
  for (const key of keys) await db.put(key, key, { space: key === '!' ? 'strict' : 'gappy' });
}

function logOf(disk: CrashDisk): MemoryDisk['spaces'] extends Map<number, infer Space> ? Space : never {
  const [first] = [...disk.written.spaces.keys()].sort((a, b) => a - b);
  return disk.written.space(first as number);
}

function lose(disk: CrashDisk, sequence: number): void {
  const space = logOf(disk);
  assert.ok(space.log.some((entry) => entry.sequence === sequence));
  space.log = space.log.filter((entry) => entry.sequence !== sequence);
}

async function keysOf(db: Database): Promise<string> {
  let keys = '';
  for await (const { key } of db.scan({ space: 'gappy' })) keys += key;
  return keys;
}

async function assertDamaged(disk: CrashDisk, missing: number): Promise<void> {
  const db = await open(disk);
  await assert.rejects(() => keysOf(db), {
    code: 'CORRUPTION',
    message: new RegExp(`"gappy".*log record ${missing} is missing`),
  });
  await db.close();
}

test('the log ends at a gap that takes only what nobody was promised, and goes on from there', async () => {
  const disk = await written('relaxed', 'abcd');
  lose(disk, 1);
  const db = await open(disk);
  assert.equal(await keysOf(db), 'a');
  assert.deepEqual(
    logOf(disk).log.map(({ sequence }) => sequence),
    [0],
  );
  // As many as were behind the gap, so that a left-over would be in the way of one of them.
  await putEach(db, 'xyz');
  const again = await open(crashed(disk));
  assert.equal(await keysOf(again), 'axyz');
  const report = await again.verify();
  assert.equal(report.ok, true);
  await Promise.all([db.close(), again.close()]);
});

test('the first record may be the missing one', async () => {
  const disk = await written('relaxed', 'abc');
  lose(disk, 0);
  const db = await open(disk);
  assert.equal(await keysOf(db), '');
  await putEach(db, 'd');
  const again = await open(crashed(disk));
  assert.equal(await keysOf(again), 'd');
  await Promise.all([db.close(), again.close()]);
});

test('of a space that is flushed now and then, what came since may be gone', async () => {
  const disk = await written(everyThird, 'abcde');
  lose(disk, 3);
  const db = await open(disk);
  assert.equal(await keysOf(db), 'abc');
  await db.close();
});

test('a gap before a strict record is damage', async () => {
  const disk = await written(everyThird, 'abc');
  lose(disk, 1);
  await assertDamaged(disk, 1);
});

test('a gap before what was flushed is damage, whatever is behind it', async () => {
  const disk = await written(everyThird, 'abcde');
  lose(disk, 2);
  await assertDamaged(disk, 2);
});

test("a strict record of another space covers this one's", async () => {
  const disk = await written('relaxed', 'ab!c');
  lose(disk, 1);
  await assertDamaged(disk, 1);
});

test('what a former owner flushed is remembered', async () => {
  const disk = await written(everyThird, 'abc');
  const db = await open(disk);
  await putEach(db, 'd');
  const later = crashed(disk);
  lose(later, 2);
  await assertDamaged(later, 2);
  await db.close();
});

test('a damaged record behind a gap is damage', async () => {
  const disk = await written('relaxed', 'abc');
  lose(disk, 1);
  const space = logOf(disk);
  space.log = space.log.map((entry) =>
    entry.sequence === 2 ? { ...entry, bytes: entry.bytes.slice(0, -1) } : entry,
  );
  await assertDamaged(disk, 1);
});

test('where storage keeps the order of writes, every gap is damage', async () => {
  const disk = await written('relaxed', 'abc');
  lose(disk, 1);
  const db = await openNodeDatabase('gap', { backend: new MemoryBackend(disk.written) });
  await assert.rejects(() => keysOf(db), { code: 'CORRUPTION' });
  await db.close();
});
