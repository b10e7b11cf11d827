// Large values over storage that fails, stops and is damaged.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database } from '../../src/api/database.ts';
import { isShibuDbError } from '../../src/api/errors.ts';
import { largeSegment } from '../../src/space/large-value.ts';
import type { LogEntry } from '../../src/storage/backend.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { openNodeDatabase } from '../support/node-database.ts';
import { Random } from '../support/random.ts';

const mebibyte = 1024 * 1024;
const kv = { space: 'kv' };

function open(disk: MemoryDisk, onCorruption: 'fail' | 'salvage' = 'fail'): Promise<Database> {
  return openNodeDatabase('large', { backend: new MemoryBackend(disk), onCorruption });
}

/** Keys of the stored blocks of large values. */
function largeBlocks(disk: MemoryDisk): string[] {
  return [...disk.space(1).blocks]
    .filter(([, { name }]) => name.block >>> 24 === largeSegment)
    .map(([key]) => key);
}

test('64 MiB go in and out, by themselves and through an export', async () => {
  const db = await open(new MemoryDisk());
  await db.createSpace('kv', 'key-value');
  const value = new Random(5).bytes(64 * mebibyte);
  const text = 'ä'.repeat(32 * mebibyte);
  await db.put('bytes', value, kv);
  await db.put('text', text, { ...kv, ttlMs: 3_600_000 });
  assert.ok(Buffer.from(value).equals(Buffer.from((await db.get('bytes', kv)) as Uint8Array)));
  assert.ok((await db.get('text', kv)) === text);
  assert.ok((await db.describeSpace('kv')).memoryBytes < 2 * mebibyte);

  const pieces: Uint8Array[] = [];
  await db.exportTo(
    new WritableStream({
      write(piece) {
        pieces.push(piece.slice());
      },
    }),
  );
  const copy = await open(new MemoryDisk());
  await copy.importFrom(
    new ReadableStream({
      start(controller) {
        for (const piece of pieces) controller.enqueue(piece);
        controller.close();
      },
    }),
  );
  assert.ok(Buffer.from(value).equals(Buffer.from((await copy.get('bytes', kv)) as Uint8Array)));
  assert.ok((await copy.get('text', kv)) === text);
  assert.ok(((await copy.ttl('text', kv)) as number) > 0);
  assert.ok((await copy.describeSpace('kv')).memoryBytes < 2 * mebibyte);
  await Promise.all([db.close(), copy.close()]);
});

test('what a put left that was cut off before its log record is dropped by the next session', async () => {
  class Deaf extends MemoryBackend {
    override readonly appendNow = undefined;
    deaf = false;
    reached: () => void = () => {};

    override append(entries: readonly LogEntry[]): Promise<void> {
      if (!this.deaf) return super.append(entries);
      this.reached();
      return new Promise(() => {});
    }
  }
  const disk = new MemoryDisk();
  const backend = new Deaf(disk);
  const first = await openNodeDatabase('large', { backend });
  await first.createSpace('kv', 'key-value');
  await first.put('kept', new Uint8Array(mebibyte), kv);
  backend.deaf = true;
  const reached = new Promise<void>((resolve) => {
    backend.reached = resolve;
  });
  first.put('lost', new Uint8Array(3 * mebibyte), kv).catch(() => {});
  await reached;
  backend.close();
  assert.equal(largeBlocks(disk).length, 16);

  const second = await open(disk);
  assert.equal(await second.get('lost', kv), undefined);
  assert.equal((await second.get('kept', kv))?.length, mebibyte);
  await second.put('another', 'write', kv);
  await second.checkpoint();
  assert.equal(largeBlocks(disk).length, 4);
  assert.equal((await second.verify()).ok, true);
  await second.close();
});

test('a full disk refuses a large value whole and keeps nothing of it', async () => {
  class Small extends MemoryBackend {
    full = false;

    override async writeBlocks(...args: Parameters<MemoryBackend['writeBlocks']>): Promise<void> {
      if (this.full && args[1].some(({ block }) => (block & 0xffffff) >= 16)) {
        const { shibuDbError } = await import('../../src/api/errors.ts');
        throw shibuDbError('QUOTA_EXCEEDED', 'The disk is full');
      }
      return super.writeBlocks(...args);
    }
  }
  const disk = new MemoryDisk();
  const backend = new Small(disk);
  const db = await openNodeDatabase('large', { backend });
  await db.createSpace('kv', 'key-value');
  backend.full = true;
  await assert.rejects(
    db.put('k', new Uint8Array(8 * mebibyte), kv),
    (error) => isShibuDbError(error) && error.code === 'QUOTA_EXCEEDED',
  );
  backend.full = false;
  assert.equal(await db.get('k', kv), undefined);
  assert.equal(largeBlocks(disk).length, 0);
  await db.put('k', new Uint8Array(8 * mebibyte).fill(7), kv);
  assert.equal((await db.get('k', kv))?.at(-1), 7);
  await db.close();
});

test('a damaged piece costs its value alone, and verify and salvage name it', async () => {
  const disk = new MemoryDisk();
  const db = await open(disk);
  await db.createSpace('kv', 'key-value');
  for (const key of ['a', 'b', 'c']) await db.put(key, new Random(1).bytes(mebibyte), kv);
  await db.put('small', 'fine', kv);
  await db.close();
  const [, , , , , hit = ''] = largeBlocks(disk).sort();
  const stored = disk.space(1).blocks.get(hit);
  assert.ok(stored !== undefined);
  stored.bytes = stored.bytes.map((byte, i) => (i === 1000 ? byte ^ 1 : byte));

  const damaged = await open(disk);
  const outcomes = await Promise.allSettled(['a', 'b', 'c', 'small'].map((key) => damaged.get(key, kv)));
  const failed = outcomes.filter((outcome) => outcome.status === 'rejected');
  assert.equal(failed.length, 1);
  assert.ok(isShibuDbError(failed[0]?.reason) && failed[0].reason.code === 'CORRUPTION');
  assert.match(failed[0].reason.message, /"kv".*block 7\/\d+, part of a large value/);
  const report = await damaged.verify();
  assert.equal(report.ok, false);
  assert.match(JSON.stringify(report), /block 7\/\d+ does not match its checksum/);
  await damaged.close();
});
