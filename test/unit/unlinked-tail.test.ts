/** After a crash in the middle of a load: what is not linked is searched exactly at once, and linked without being asked for. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { exactDistance, rowAt } from '../data/data-set.ts';
import { cloneDisk } from '../support/clone-disk.ts';
import { openNodeDatabase } from '../support/node-database.ts';
import { Random } from '../support/random.ts';

const dimension = 24;
const linked = 2000;
const count = 6000;
const k = 10;

test('the tail that a crash left unlinked is in the first answer, and is linked in the background', async () => {
  const random = new Random(3);
  const rows = random.vectors(count * dimension);
  const queries = random.vectors(8 * dimension);
  const disk = new MemoryDisk();
  const crashed = await crashInLoad(disk, rows);
  const db = await openNodeDatabase('tail', { backend: new MemoryBackend(crashed) });
  const index = async () => {
    const description = await db.describeSpace('v');
    assert.equal(description.count, count);
    return description.index as { linked: number; pending: number };
  };
  const nearestOf = async (query: Float32Array): Promise<number[]> =>
    (await db.searchTopK(query, k, { space: 'v' })).map(({ id }) => Number(id));
  const distanceOf = (query: Float32Array, row: number): number =>
    exactDistance('L2', query, rowAt(rows, dimension, row));

  for (let q = 0; q < 8; q++) {
    const query = rowAt(queries, dimension, q);
    const found = await nearestOf(query);
    assert.equal(new Set(found).size, k);
    const farthest = Math.max(...found.map((row) => distanceOf(query, row)));
    const { pending } = await index();
    assert.ok(q > 0 || pending > 0, 'the first answer waited until everything was linked');
    // Linked in the order of ids: what waits now waited when the search was made.
    for (let row = count - pending; row < count; row++)
      if (distanceOf(query, row) < farthest * (1 - 1e-5))
        assert.ok(found.includes(row), `row ${row} is nearer than what was found: ${found}`);
  }
  while ((await index()).pending > 0) await sleep(10);
  assert.equal((await index()).linked, count);
  for (let row = 0; row < count; row += 97)
    assert.equal((await nearestOf(rowAt(rows, dimension, row)))[0], row, 'a vector does not find itself');
  await db.close();
});

/** What is stored when the process ends that has linked and stored one part, and just been told that the rest is safe. */
async function crashInLoad(disk: MemoryDisk, rows: Float32Array): Promise<MemoryDisk> {
  const db = await openNodeDatabase('tail', { backend: new MemoryBackend(disk) });
  await db.createSpace('v', 'vector', { dimension, indexType: 'HNSW16' });
  const insert = (from: number, to: number) =>
    db.insertVectors(
      Array.from({ length: to - from }, (_, i) => from + i),
      rows.slice(from * dimension, to * dimension),
      { space: 'v' },
    );
  await insert(0, linked);
  await db.waitForIndex({ space: 'v' });
  await db.checkpoint();
  await insert(linked, count);
  const crashed = cloneDisk(disk);
  await db.close();
  return crashed;
}
