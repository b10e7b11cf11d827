/**
 * What a crash or a bad disk leaves at the end of a log, made by hand: an end that nobody was promised is cut off, damage
 * to what was promised is CORRUPTION and stays as it is.
 */

import assert from 'node:assert/strict';
import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { decodeLogRecord, encodeLogRecord } from '../../src/engine/log-record.ts';
import { FileBackend } from '../../src/node/file-backend.ts';
import type { LogEntry } from '../../src/storage/backend.ts';
import { catalogOf, recordOf } from '../support/backend-cases.ts';
import { checksum, freshFolder } from './places.ts';

const recordBytes = 16 + recordOf(1, 0, checksum).bytes.length;

/** A folder whose log holds one record per entry of `flushes`, each appended with or without flush. */
async function writtenLog(folder: string, flushes: readonly boolean[]): Promise<string> {
  const backend = await FileBackend.open(folder, checksum);
  await backend.writeCatalog(catalogOf([1], checksum), []);
  for (const [sequence, flush] of flushes.entries())
    await backend.append([recordOf(1, sequence, checksum)], flush);
  await backend.closed();
  return path.join(folder, 'space-1', 'log-0000000000000000');
}

async function reopened(folder: string, use: (backend: FileBackend) => Promise<void>): Promise<void> {
  const backend = await FileBackend.open(folder, checksum);
  try {
    await backend.readState();
    await use(backend);
  } finally {
    await backend.closed();
  }
}

async function flip(file: string, at: number): Promise<void> {
  const bytes = await readFile(file);
  bytes[at] = (bytes[at] as number) ^ 0x10;
  await writeFile(file, bytes);
}

function isWhole({ space, sequence, bytes }: LogEntry): boolean {
  try {
    decodeLogRecord(bytes, space, sequence, checksum, 'it');
    return true;
  } catch {
    return false;
  }
}

test('a record cut short anywhere is an unacknowledged one: it is cut off, and writing goes on in its place', async () => {
  for (let kept = 1; kept < recordBytes; kept += 7) {
    await using folder = await freshFolder();
    const log = await writtenLog(folder.path, [true, true, true]);
    await truncate(log, 2 * recordBytes + kept);
    await reopened(folder.path, async (backend) => {
      assert.deepEqual(await backend.readLog(1, 0), [recordOf(1, 0, checksum), recordOf(1, 1, checksum)]);
      assert.equal((await stat(log)).size, 2 * recordBytes);
      await backend.append([recordOf(1, 2, checksum, 99)], true);
    });
    await reopened(folder.path, async (backend) => {
      assert.deepEqual(await backend.readLog(1, 2), [recordOf(1, 2, checksum, 99)]);
    });
  }
});

test('a last record with any wrong byte is an unacknowledged one', async () => {
  for (let at = 0; at < recordBytes; at += 5) {
    // The flushed mark of the last record says nothing about that record, and another version is another matter.
    if ((at >= 8 && at < 16) || at === 20 || at === 21) continue;
    await using folder = await freshFolder();
    const log = await writtenLog(folder.path, [true, true]);
    await flip(log, recordBytes + at);
    await reopened(folder.path, async (backend) => {
      assert.deepEqual(await backend.readLog(1, 0), [recordOf(1, 0, checksum)], `byte ${at}`);
    });
    assert.equal((await stat(log)).size, recordBytes);
  }
});

test('a log that is nothing but a torn record is empty', async () => {
  await using folder = await freshFolder();
  const log = await writtenLog(folder.path, [true]);
  await truncate(log, 30);
  await reopened(folder.path, async (backend) => {
    assert.deepEqual(await backend.readLog(1, 0), []);
    await backend.append([recordOf(1, 0, checksum)], true);
    assert.equal((await backend.readLog(1, 0)).length, 1);
  });
});

test('damage before a record that was written after a flush is reported, and nothing is cut off', async () => {
  for (const damaged of [0, 1]) {
    await using folder = await freshFolder();
    const log = await writtenLog(folder.path, [true, true, true, false]);
    await flip(log, damaged * recordBytes + 60);
    const { size } = await stat(log);
    await reopened(folder.path, async (backend) => {
      const entries = await backend.readLog(1, 0);
      assert.deepEqual(entries.map(isWhole), [...Array<boolean>(damaged).fill(true), false]);
      assert.equal(entries.at(-1)?.sequence, damaged);
      await assert.rejects(() => backend.append([recordOf(1, damaged, checksum)], true), {
        code: 'CORRUPTION',
      });
    });
    assert.equal((await stat(log)).size, size);
  }
});

test('after a power loss relaxed records may be damaged in several places: what is left is a prefix', async () => {
  await using folder = await freshFolder();
  // None of the last four was flushed, so the disk may hold any of their pages.
  const log = await writtenLog(folder.path, [true, true, false, false, false, false]);
  await flip(log, 3 * recordBytes + 60);
  await reopened(folder.path, async (backend) => {
    assert.deepEqual(
      (await backend.readLog(1, 0)).map(({ sequence }) => sequence),
      [0, 1, 2],
    );
  });
});

test('a log of zeros, as a file system may leave it, is empty', async () => {
  await using folder = await freshFolder();
  const log = await writtenLog(folder.path, [false, false]);
  await writeFile(log, new Uint8Array(5000));
  await reopened(folder.path, async (backend) => assert.deepEqual(await backend.readLog(1, 0), []));
});

test('damage in a file that is not the last is reported', async () => {
  await using folder = await freshFolder();
  const first = await writtenLog(folder.path, [true, true]);
  await reopened(folder.path, async (backend) => {
    // A checkpoint that is stopped after its first blocks: the log goes on in a second file.
    await backend.writeBlocks(1, [{ block: 0, generation: 1, bytes: new Uint8Array(10) }]);
    await backend.append([recordOf(1, 2, checksum)], true);
  });
  assert.equal((await readdir(path.dirname(first))).filter((name) => name.startsWith('log-')).length, 2);
  await reopened(folder.path, async (backend) => assert.equal((await backend.readLog(1, 0)).length, 3));
  await truncate(first, 2 * recordBytes - 3);
  await reopened(folder.path, async (backend) => {
    assert.deepEqual((await backend.readLog(1, 0)).map(isWhole), [true, false]);
  });
});

test('a newer format is refused as such, and left alone', async () => {
  await using folder = await freshFolder();
  const log = await writtenLog(folder.path, [true]);
  const bytes = await readFile(log);
  bytes.writeUInt16LE(9, 16 + 4);
  await writeFile(log, bytes);
  await reopened(folder.path, async (backend) => {
    await assert.rejects(() => backend.readLog(1, 0), { code: 'VERSION_MISMATCH' });
  });
  assert.deepEqual(await readFile(log), bytes);
});

test('files of a space that the catalog does not have are removed by the next open', async () => {
  await using folder = await freshFolder();
  await writtenLog(folder.path, [true]);
  const catalog = path.join(folder.path, 'catalog');
  // As if the process had been stopped between writing the catalog and removing the space.
  await writeFile(catalog, catalogOf([2], checksum));
  await reopened(folder.path, async () => {});
  assert.deepEqual((await readdir(folder.path)).sort(), ['catalog', 'catalog.copy']);
});

test('spaces without a catalog are not taken for a new database', async () => {
  await using folder = await freshFolder();
  await writtenLog(folder.path, [true]);
  const both = ['catalog', 'catalog.copy'].map((name) => path.join(folder.path, name));
  await truncate(both[0] as string, 3);
  // The copy is there for that.
  await reopened(folder.path, async (backend) => {
    assert.equal((await backend.readLog(1, 0)).length, 1);
  });
  await truncate(both[1] as string, 3);
  await assert.rejects(() => FileBackend.open(folder.path, checksum), { code: 'CORRUPTION' });
  for (const file of both) await writeFile(file, '');
  await assert.rejects(() => FileBackend.open(folder.path, checksum), { code: 'CORRUPTION' });
  assert.deepEqual((await readdir(folder.path)).sort(), ['catalog', 'catalog.copy', 'space-1']);
});

test("the format page's example of a log file is what is written", async () => {
  await using folder = await freshFolder();
  const backend = await FileBackend.open(folder.path, checksum);
  await backend.append([{ space: 1, sequence: 0, bytes: encodeLogRecord(1, 0, [], checksum) }], true);
  await backend.closed();
  const page = await readFile(path.resolve(import.meta.dirname, '../../docs/format.md'), 'utf8');
  const example = /<!-- example: log file -->\n((?: {4}[0-9a-f ]+\n)+)/.exec(page)?.[1] ?? '';
  const written = await readFile(path.join(folder.path, 'space-1', 'log-0000000000000000'));
  assert.equal(example.replace(/\s/g, ''), written.toString('hex'));
});
