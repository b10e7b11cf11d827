/**
 * Damaged storage: one bit flipped, or one stored thing cut short, dropped or put in the place of another, in a manifest, the
 * catalog, a log record or a block on a memory disk. The database either says so (CORRUPTION or VERSION_MISMATCH, naming the
 * space where there is one), or every answer is right: the damage was in one of two copies, in derived data, which is made
 * again, or in something no longer needed. Never a wrong answer, a hang or an untyped error.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database } from '../../src/api/database.ts';
import { isShibuDbError } from '../../src/api/errors.ts';
import { firstDerivedSegment } from '../../src/space/space.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { cloneDisk } from '../support/clone-disk.ts';
import { openNodeDatabase } from '../support/node-database.ts';
import { Random } from '../support/random.ts';

const seed = Number(process.env.SHIBUMI_TEST_SEED ?? Date.now() % 2 ** 31);
/** `npm run test:fuzz` asks for more. */
const rounds = Number(process.env.SHIBUMI_FUZZ_ROUNDS ?? 600);
const flips = Math.ceil((rounds * 2) / 3);
const cuts = Math.ceil(rounds / 3);
const names = ['kv', 'flat', 'graph'] as const;
type SpaceName = (typeof names)[number];

const open = (disk: MemoryDisk): Promise<Database> =>
  openNodeDatabase('fuzz', { backend: new MemoryBackend(disk) });

/** Three spaces, each with blocks of a checkpoint and log records behind it. */
async function makeDisk(random: Random): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const db = await open(disk);
  await db.createSpace('kv', 'key-value');
  await db.createSpace('flat', 'vector', { dimension: 5 });
  await db.createSpace('graph', 'vector', {
    dimension: 4,
    indexType: 'HNSW4',
    ids: 'string',
    metric: 'Cosine',
  });
  const write = async (from: number): Promise<void> => {
    for (let i = from; i < from + 60; i++) {
      await db.put(`key ${i}`, random.bytes(random.below(3000)), { space: 'kv' });
      await db.insertVector(i, random.vectors(5), { space: 'flat' });
      await db.insertVector(`id ${i}`, random.vectors(4), { space: 'graph' });
    }
    await db.delete(`key ${from + 1}`, { space: 'kv' });
    await db.deleteVector(from + 2, { space: 'flat' });
    await db.deleteVector(`id ${from + 3}`, { space: 'graph' });
  };
  await write(0);
  await db.waitForIndex({ space: 'graph' });
  await db.checkpoint();
  await write(60);
  return disk;
}

async function answersOf(db: Database, space: SpaceName): Promise<string> {
  const handle = db.space(space);
  const answers: unknown[] = [];
  if (space === 'kv') {
    for await (const { key, value } of handle.scan())
      answers.push(key, Buffer.from(value).toString('base64'));
    answers.push(await handle.get('key 7'), await handle.size());
    return JSON.stringify(answers);
  }
  for await (const { id, vector } of handle.scanVectors()) answers.push(id, [...vector]);
  const dimension = space === 'flat' ? 5 : 4;
  const queries = new Random(99);
  for (let i = 0; i < 3; i++)
    answers.push(await handle.searchTopK(queries.vectors(dimension), 5, { efSearch: 200 }));
  answers.push(
    await handle.rangeSearch(new Float32Array(dimension).fill(1), 1.5),
    await handle.countVectors(),
  );
  return JSON.stringify(answers);
}

/** One stored thing: how to read and replace its bytes. */
interface Stored {
  readonly what: string;
  /** Damage to it alone need not be noticed. */
  readonly mends: boolean;
  readonly space: SpaceName | undefined;
  readonly bytes: Uint8Array;
  replace(bytes: Uint8Array | undefined): void;
}

function storedThings(disk: MemoryDisk): Stored[] {
  const things: Stored[] = [];
  things.push({
    what: 'catalog',
    mends: true,
    space: undefined,
    bytes: disk.catalog as Uint8Array,
    replace: (bytes) => {
      disk.catalog = bytes;
    },
  });
  for (const [i, [id, space]] of [...disk.spaces].sort(([a], [b]) => a - b).entries()) {
    const name = names[i] as SpaceName;
    things.push({
      what: `manifest of ${id}`,
      mends: true,
      space: name,
      bytes: space.manifest as Uint8Array,
      replace: (bytes) => {
        space.manifest = bytes;
      },
    });
    for (const [key, block] of space.blocks)
      things.push({
        what: `block ${key} of ${id}`,
        mends: block.name.block >>> 24 >= firstDerivedSegment,
        space: name,
        bytes: block.bytes,
        replace: (bytes) => {
          if (bytes === undefined) space.blocks.delete(key);
          else space.blocks.set(key, { name: block.name, bytes, read: true });
        },
      });
    for (const entry of space.log)
      things.push({
        what: `log record ${entry.sequence} of ${id}`,
        mends: false,
        space: name,
        bytes: entry.bytes,
        replace: (bytes) => {
          space.log =
            bytes === undefined
              ? space.log.filter(({ sequence }) => sequence !== entry.sequence)
              : space.log.map((one) => (one.sequence === entry.sequence ? { ...one, bytes } : one));
        },
      });
  }
  return things;
}

/** As if the second copies had never been written: then the first have to be noticed. */
function dropCopies(disk: MemoryDisk): void {
  disk.catalogCopy = undefined;
  for (const space of disk.spaces.values()) space.manifestCopy = undefined;
}

type Expected = ReadonlyMap<SpaceName, string>;

/** `true` when the damage was noticed. Asserts that nothing wrong was answered, and that other spaces are not touched. */
async function noticed(
  disk: MemoryDisk,
  damaged: SpaceName | undefined,
  expected: Expected,
): Promise<boolean> {
  let db: Database;
  try {
    db = await open(disk);
  } catch (error) {
    assertTyped(error, undefined);
    assert.equal(damaged, undefined, 'damage in one space does not keep the database from opening');
    return true;
  }
  let found = false;
  for (const name of names) {
    try {
      assert.equal(await answersOf(db, name), expected.get(name), `answers of ${name}`);
    } catch (error) {
      assertTyped(error, name);
      assert.ok(damaged === name || damaged === undefined, `${name} fails, but the damage is in ${damaged}`);
      found = true;
    }
  }
  return found;
}

function assertTyped(error: unknown, space: SpaceName | undefined): void {
  if (!isShibuDbError(error)) throw error;
  assert.ok(['CORRUPTION', 'VERSION_MISMATCH'].includes(error.code), `${error.code}: ${error.stack}`);
  if (space !== undefined) assert.match(error.message, new RegExp(`"${space}"`));
}

async function expectedOf(disk: MemoryDisk): Promise<Expected> {
  const db = await open(cloneDisk(disk));
  const expected = new Map<SpaceName, string>();
  for (const name of names) expected.set(name, await answersOf(db, name));
  return expected;
}

test('a flipped bit anywhere is noticed', { timeout: 600_000 }, async (t) => {
  t.diagnostic(`SHIBUMI_TEST_SEED=${seed}`);
  const random = new Random(seed);
  const disk = await makeDisk(random);
  const expected = await expectedOf(disk);
  for (let i = 0; i < flips; i++) {
    const copy = cloneDisk(disk);
    const alone = random.unit() < 0.5;
    if (alone) dropCopies(copy);
    const things = storedThings(copy);
    // Half of them in the few headers that matter most.
    const small = things.filter(({ what }) => !what.startsWith('log') || random.unit() < 0.1);
    const { what, mends, space, bytes, replace } = random.pick(random.unit() < 0.5 ? small : things);
    const at = random.below(random.unit() < 0.3 ? Math.min(64, bytes.length) : bytes.length);
    const bit = random.below(8);
    const flipped = bytes.slice();
    flipped[at] = (flipped[at] as number) ^ (1 << bit);
    replace(flipped);
    const where = `SHIBUMI_TEST_SEED=${seed}, flip ${i}: bit ${bit} of byte ${at} of ${bytes.length} of ${what}`;
    await explain(where, () => check(copy, space, expected, mends && !(alone && !what.startsWith('block'))));
  }
});

test('what is cut short, missing, or in the place of another is noticed', { timeout: 600_000 }, async (t) => {
  t.diagnostic(`SHIBUMI_TEST_SEED=${seed}`);
  const random = new Random(seed + 1);
  const disk = await makeDisk(random);
  const expected = await expectedOf(disk);
  for (let i = 0; i < cuts; i++) {
    const copy = cloneDisk(disk);
    const alone = random.unit() < 0.5;
    if (alone) dropCopies(copy);
    const things = storedThings(copy);
    const { what, mends, space, bytes, replace } = random.pick(things);
    const roll = random.below(4);
    const other = random.pick(things.filter((thing) => thing.what !== what));
    const lastRecord = what === things.findLast((thing) => thing.space === space)?.what;
    let how = `cut to ${random.below(bytes.length)} of ${bytes.length} bytes`;
    if (roll === 0) how = 'empty';
    if (roll === 1) how = `replaced by ${other.what}`;
    if (roll === 2) how = 'missing';
    // Nothing tells a last record, catalog or manifest that is missing from one that never was: IndexedDB's transactions
    // take none away by themselves.
    if (roll === 2 && (lastRecord || what === 'catalog' || what.startsWith('manifest'))) continue;
    if (roll === 0) replace(new Uint8Array(0));
    else if (roll === 1) replace(other.bytes);
    else if (roll === 2) replace(undefined);
    else replace(bytes.slice(0, Number(/\d+/.exec(how)?.[0])));
    await explain(`SHIBUMI_TEST_SEED=${seed}, ${i}: ${what} ${how}`, () =>
      check(copy, space, expected, mends && !(alone && !what.startsWith('block'))),
    );
  }
});

async function check(
  disk: MemoryDisk,
  space: SpaceName | undefined,
  expected: Expected,
  mends: boolean,
): Promise<void> {
  const found = await noticed(disk, space, expected);
  // Either way the answers were right: `noticed` has compared them.
  assert.ok(found || mends, 'nobody noticed');
}

test('a newer format is VERSION_MISMATCH and says which is read', async () => {
  const disk = await makeDisk(new Random(seed + 2));
  for (const prefix of ['catalog', 'manifest', 'log']) {
    const copy = cloneDisk(disk);
    dropCopies(copy);
    const thing = storedThings(copy).find(({ what }) => what.startsWith(prefix)) as Stored;
    const newer = thing.bytes.slice();
    new DataView(newer.buffer).setUint16(4, 99, true);
    thing.replace(newer);
    await assert.rejects(
      async () => answersOf(await open(copy), 'kv'),
      (error) => isShibuDbError(error) && error.code === 'VERSION_MISMATCH' && /99/.test(error.message),
    );
  }
});

async function explain(where: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (cause) {
    throw new Error(where, { cause });
  }
}
