/** The file of blocks becomes shorter when most of it is free, whatever fails on the way. */

import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { FileBackend } from '../../src/node/file-backend.ts';
import type { StorageBackend } from '../../src/storage/backend.ts';
import { blockOf, catalogOf, manifestOf } from '../support/backend-cases.ts';
import { checksum, freshFolder } from './places.ts';

const many = 60;
const few = 4;

/** As a compaction does it: many blocks, then few in their place. */
async function shrink(backend: StorageBackend): Promise<void> {
  await backend.writeCatalog(catalogOf([1], checksum), []);
  const former = Array.from({ length: many }, (_, i) => blockOf(i, 1));
  await backend.writeBlocks(1, former);
  await backend.publish(1, manifestOf(1, checksum));
  await backend.writeBlocks(
    1,
    Array.from({ length: few }, (_, i) => blockOf(i, 2)),
  );
  await backend.publish(1, manifestOf(2, checksum));
  await backend.drop(1, former, 0);
}

test('blocks at the end of a file that is mostly free are moved to its beginning', async () => {
  await using folder = await freshFolder();
  const backend = await FileBackend.open(folder.path, checksum);
  await shrink(backend);
  await backend.closed();
  const { size } = await stat(path.join(folder.path, 'space-1', 'blocks'));
  assert.equal(size, few * 256 * 1024);

  const again = await FileBackend.open(folder.path, checksum);
  const { manifests } = await again.readState();
  assert.deepEqual(manifests.get(1), manifestOf(2, checksum));
  const blocks = Array.from({ length: few }, (_, i) => blockOf(i, 2));
  const found = await again.readBlocks(1, blocks);
  assert.deepEqual(
    found.map((bytes) => bytes && [...bytes]),
    blocks.map(({ bytes }) => [...bytes]),
  );
  await again.closed();
});
