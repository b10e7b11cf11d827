// What must be true after a load through a bad network: no acknowledged write is lost, and none is done twice.

import assert from 'node:assert/strict';
import type { Database } from '../../src/api/database.ts';
import { callers, type Seen, vectorsPerInsert } from './flaky-load.ts';

/** @param stored read past the network */
export async function checkLoad(
  seen: readonly Seen[],
  rounds: number,
  stored: Pick<Database, 'get' | 'size' | 'countVectors'>,
): Promise<void> {
  const total = callers * rounds;
  assert.deepEqual(
    seen.flatMap(({ faults }) => faults),
    [],
  );
  assert.deepEqual(
    seen.flatMap(({ sums }) => sums).sort((a, b) => a - b),
    Array.from({ length: total }, (_, i) => i + 1),
    'every increment was answered with a sum of its own',
  );
  assert.equal(Number(await stored.get('count', { space: 'kv' })), total, 'none was lost, none done twice');
  assert.equal(
    seen.reduce((sum, { won }) => sum + won, 0),
    rounds,
    'each lock was won once',
  );
  // Every fifth of a caller's keys was deleted again.
  const kept = callers * (rounds - Math.ceil(rounds / 5));
  assert.equal(await stored.size({ space: 'kv' }), kept + rounds + 1);
  assert.equal(
    await stored.countVectors({ space: 'vec' }),
    Math.ceil(rounds / 4) * vectorsPerInsert,
    'every vector that was acknowledged',
  );
}
