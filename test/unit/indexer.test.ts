// Background linking gives way to bulk inserts, and still follows them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Indexer } from '../../src/engine/indexer.ts';
import type { ResidentSpace } from '../../src/engine/resident-space.ts';
import { defaultSettings, type Environment } from '../../src/engine/settings.ts';

/** A space with so much to link, in a time that passes only while it links. */
function linking(pending: number): {
  indexer: Indexer;
  resident: ResidentSpace;
  left: () => number;
  pass(ms: number): void;
} {
  let now = 0;
  let left = pending;
  const space = {
    pending: () => left,
    maintain: (count: number) => {
      now += 1;
      left = Math.max(0, left - count);
      return left;
    },
    instance: { askBudget: () => {} },
  };
  const settings = { ...defaultSettings, sliceMs: 8 };
  const environment = { now: () => now, settings } as unknown as Environment;
  const resident = { space, broken: undefined, unsavedLinks: 0, linkedEver: 0 } as unknown as ResidentSpace;
  return {
    indexer: new Indexer(environment, () => {}),
    resident,
    left: () => left,
    pass: (ms) => {
      now += ms;
    },
  };
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('while somebody loads in bulk there is a slice now and then, and afterwards all of it', async () => {
  const { indexer, resident, left, pass } = linking(10_000);
  const way = indexer.giveWay();
  indexer.schedule(resident);
  await turns(20);
  assert.equal(left(), 10_000, 'nothing while no chunk has passed');
  way.passed();
  await turns(20);
  const afterFirst = left();
  assert.ok(afterFirst < 10_000);
  for (let i = 0; i < 20; i++) way.passed();
  await turns(20);
  assert.equal(left(), afterFirst, 'the next slice is not due yet');
  pass(8 * 16);
  way.passed();
  await turns(20);
  assert.ok(left() < afterFirst, 'it follows, however long the load lasts');
  way.end();
  while (left() > 0) await turns(1);
});

test('a stop does not wait for a load', async () => {
  const { indexer, resident } = linking(10_000);
  indexer.giveWay();
  indexer.schedule(resident);
  await turns(5);
  await indexer.stop();
});
