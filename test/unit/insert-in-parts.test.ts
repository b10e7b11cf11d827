// A bulk insert over a wire: calls that overlap, and report as one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ShibuDbError } from '../../src/api/errors.ts';
import { shibuDbError } from '../../src/api/errors.ts';
import { type InsertCall, insertInParts } from '../../src/client/insert-in-parts.ts';

const total = 1000;
const ids = Array.from({ length: total }, (_, i) => i);
/** 100 rows a part. */
const options = { partBytes: 100 * 8, inFlight: 4 };
const args = () => ({ space: 'v', ids, vectors: new Float32Array(total * 2) });

interface Pending {
  readonly from: number;
  resolve(): void;
  reject(error: unknown): void;
}

/** Calls that end when they are told to. */
function held(): { call: InsertCall; pending: Pending[]; most: () => number } {
  const pending: Pending[] = [];
  let most = 0;
  const call: InsertCall = (part) =>
    new Promise((resolve, reject) => {
      const from = Number((part.ids as number[])[0]);
      pending.push({ from, resolve: () => resolve(undefined), reject });
      most = Math.max(most, pending.length);
    });
  return { call, pending, most: () => most };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('parts overlap, in their order, and progress tells of the first of them only', async () => {
  const { call, pending, most } = held();
  const told: number[] = [];
  const done = insertInParts(call, args(), options, { onProgress: (progress) => told.push(progress.done) });
  await turn();
  assert.deepEqual(
    pending.map(({ from }) => from),
    [0, 100, 200, 300],
  );
  // The second is answered before the first: that is no progress yet.
  pending.splice(1, 1)[0]?.resolve();
  await turn();
  assert.deepEqual(told, []);
  while (pending.length > 0) {
    pending.shift()?.resolve();
    await turn();
  }
  await done;
  assert.equal(most(), 4);
  assert.deepEqual(told, [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
});

test('what fails tells of the prefix before it, and is told when the others have ended', async () => {
  const { call, pending } = held();
  const failures: ShibuDbError[] = [];
  const done = insertInParts(call, args(), options, {}).catch((error: ShibuDbError) => {
    failures.push(error);
  });
  await turn();
  pending[2]?.reject(shibuDbError('QUOTA_EXCEEDED', 'full', { details: { acknowledged: 30 } }));
  pending[0]?.resolve();
  pending[1]?.resolve();
  await turn();
  await turn();
  assert.equal(failures.length, 0, 'the fourth and those begun since are still under way');
  for (const each of pending.slice(3)) each.resolve();
  await done;
  assert.equal(failures[0]?.code, 'QUOTA_EXCEEDED');
  assert.deepEqual(failures[0]?.details, { acknowledged: 230 });
});

test('an abort begins nothing more, and those under way count', async () => {
  const { call, pending } = held();
  const controller = new AbortController();
  const done = insertInParts(call, args(), options, { signal: controller.signal });
  await turn();
  controller.abort();
  for (const each of [...pending]) each.resolve();
  await assert.rejects(done, (error: ShibuDbError) => {
    assert.deepEqual(error.details, { acknowledged: 400 });
    return true;
  });
  assert.equal(pending.length, 4);
});

test('with metadata, whose parts may be several chunks, they follow each other', async () => {
  const { call, pending, most } = held();
  const done = insertInParts(call, { ...args(), metadata: ids.map((n) => ({ n })) }, options, {});
  for (let i = 0; i < 10; i++) {
    await turn();
    pending.shift()?.resolve();
  }
  await done;
  assert.equal(most(), 1);
});
