/** A scan reads lazily, stays a snapshot when somebody writes, and says when it cannot. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SnapshotScan } from '../../src/engine/snapshot-scan.ts';

/** A source over an array that tests change under the scan. */
function scanOver(items: number[], limit = Number.POSITIVE_INFINITY, budgetBytes = 1_000_000) {
  let at = 0;
  const source = {
    read(most: number) {
      const chunk = items.slice(at, at + most);
      at += chunk.length;
      return chunk;
    },
    bytesOf: () => 10,
    cursorAt: (item: number) => `c${item}`,
  };
  return new SnapshotScan(source, limit, budgetBytes);
}

function drain(scan: SnapshotScan<number>): number[] {
  const all: number[] = [];
  for (;;) {
    const step = scan.next();
    all.push(...step.items);
    if (step.done) return all;
  }
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

test('gives all items in order, whatever the chunk size', () => {
  for (const count of [0, 1, 2047, 2048, 2049, 4096, 5000])
    assert.deepEqual(drain(scanOver(numbers(count))), numbers(count));
});

test('stops at the limit', () => {
  for (const limit of [0, 1, 1999, 2000]) assert.equal(drain(scanOver(numbers(2000), limit)).length, limit);
});

test('does not see what is written after the first step', () => {
  const items = numbers(8000);
  const scan = scanOver(items);
  const first = scan.next().items;
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
  assert.deepEqual([...first.items, ...drain(scan)], numbers(10));
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
  const seen = [...scan.next().items];
  scan.freeze();
  assert.throws(
    () => {
      for (;;) seen.push(...scan.next().items);
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
