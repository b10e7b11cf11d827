/** What of a log that a session cut off left is written again: all that may not have been flushed, not the log. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogEntry } from '../../src/storage/backend.ts';
import { UnflushedRecords } from '../../src/storage/unflushed-records.ts';

const kibibyte = 1024;

const logOf = (...kibibytes: number[]): LogEntry[] =>
  kibibytes.map((size, sequence) => ({ space: 1, sequence, bytes: new Uint8Array(size * kibibyte) }));

function tailOf(entries: readonly LogEntry[]): number[] {
  const records = new UnflushedRecords(true);
  records.addTail(entries);
  return records.records.map(({ sequence }) => sequence).sort((a, b) => a - b);
}

test('all of a short log, and of none nothing', () => {
  assert.deepEqual(tailOf([]), []);
  assert.deepEqual(tailOf(logOf(60)), [0]);
  assert.deepEqual(tailOf(logOf(50, 50, 50)), [0, 1, 2]);
});

test('of a long log the last record, and before it as much as a session may leave without a flush', () => {
  assert.deepEqual(tailOf(logOf(50, 50, 50, 50, 50, 50, 50, 50)), [2, 3, 4, 5, 6, 7]);
  assert.deepEqual(tailOf(logOf(300, 10)), [1]);
});

test('a session that appends relaxed records until it has to flush leaves no more than that', () => {
  const session = new UnflushedRecords(true);
  const all = logOf(...Array.from({ length: 200 }, (_, i) => (i * 37) % 58));
  for (const [i, entry] of all.entries()) {
    if (session.isMuch) {
      session.remove(session.records);
      continue;
    }
    session.add([entry]);
    const unflushed = session.records.map(({ sequence }) => sequence).sort((a, b) => a - b);
    const tail = new Set(tailOf(all.slice(0, i + 1)));
    assert.ok(
      unflushed.every((sequence) => tail.has(sequence)),
      `after record ${i}`,
    );
  }
});
