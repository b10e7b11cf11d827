/** A scan reads lazily, stays a snapshot when somebody writes, and says when it cannot. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SnapshotScan } from '../../src/engine/snapshot-scan.ts';

/** A source over an array that tests change under the scan. */
function scanOver(
  items: number[],
  limit = Number.POSITIVE_INFINITY,
  budgetBytes = 1_000_000,
  knowsEnd = false,
) {
  let at = 0;
  const source = {
    read(most: number) {
      const chunk = items.slice(at, at + most);
      at += chunk.length;
      // It need not know that it is at its end before it is asked once more.
      return { chunks: chunk.length === 0 ? [] : [chunk], ended: knowsEnd && at === items.length };
    },
    countOf: (chunk: number[]) => chunk.length,
    bytesOf: (chunk: number[]) => chunk.length * 10,
    cursorAt: (chunk: number[]) => `c${chunk.at(-1)}`,
  };
  return new SnapshotScan(source, limit, budgetBytes);
}

function drain(scan: SnapshotScan<number[]>): number[] {
  const all: number[] = [];
  for (;;) {
    const step = scan.next();
    all.push(...(step.chunk ?? []));
    if (step.done) return all;
  }
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

test('gives all items in order, whatever the chunk size', () => {
  for (const count of [0, 1, 2047, 2048, 2049, 4096, 5000])
    for (const knowsEnd of [false, true])
      assert.deepEqual(drain(scanOver(numbers(count), undefined, undefined, knowsEnd)), numbers(count));
});

test('is done with its last chunk where its source knows that it is the last', () => {
  const scan = scanOver(numbers(3000), undefined, undefined, true);
  assert.deepEqual([scan.next().done, scan.next().done], [false, true]);
});

test('stops at the limit', () => {
  for (const limit of [0, 1, 1999, 2000]) assert.equal(drain(scanOver(numbers(2000), limit)).length, limit);
});

test('does not see what is written after the first step', () => {
  const items = numbers(8000);
  const scan = scanOver(items);
  const first = scan.next().chunk ?? [];
  scan.freeze();
  items.length = 2600;
  items.push(-1);
  assert.deepEqual([...first, ...drain(scan)], numbers(8000));
});

test('does not see what is written behind its last item when that was read already', () => {
  const items = numbers(10);
  const scan = scanOver(items);
  const first = scan.next();
  scan.freeze();
  items.push(10);
  assert.deepEqual([...(first.chunk ?? []), ...drain(scan)], numbers(10));
});

test('sees what is written before the first step', () => {
  const items = numbers(10);
  const scan = scanOver(items);
  scan.freeze();
  items.push(10);
  assert.deepEqual(drain(scan), numbers(11));
});

test('past its budget it ends with SNAPSHOT_LOST and a cursor that continues without a gap', () => {
  const items = numbers(5000);
  const scan = scanOver(items, Number.POSITIVE_INFINITY, 6000);
  const seen = [...(scan.next().chunk ?? [])];
  scan.freeze();
  assert.throws(
    () => {
      for (;;) seen.push(...(scan.next().chunk ?? []));
    },
    { code: 'SNAPSHOT_LOST' },
  );
  try {
    scan.next();
  } catch (error) {
    assert.equal((error as { details: { cursor: string } }).details.cursor, `c${seen.at(-1)}`);
  }
  assert.deepEqual(seen, numbers(seen.length));
  assert.ok(seen.length < 5000);
});
