/** Deadlines are exact on every read, whatever has been swept, and survive reopening. The clock is the test's own. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type InProcessDatabase, openInProcess } from './database.ts';

async function openAt(clock: { now: number }, disk?: InProcessDatabase['disk']): Promise<InProcessDatabase> {
  const settings = { sweepMsMin: 1_000_000, sweepMsMax: 1_000_000 };
  const db = await openInProcess(disk, { wallClock: () => clock.now, settings });
  if (disk === undefined) await db.createSpace('kv', 'key-value');
  await db.useSpace('kv');
  return db;
}

test('a key is there until its last millisecond and gone from then on', async () => {
  const clock = { now: 1_800_000_000_000 };
  await using db = await openAt(clock);
  await db.put('k', 'v', { ttlMs: 100 });
  await db.put('stays', 's');
  clock.now += 99;
  assert.equal(await db.get('k'), 'v');
  assert.equal(await db.ttl('k'), 1);
  clock.now += 1;
  assert.equal(await db.get('k'), undefined);
  assert.equal(await db.exists('k'), false);
  assert.equal(await db.ttl('k'), undefined);
  assert.equal(await db.delete('k'), false);
  assert.equal(await db.ttl('stays'), Number.POSITIVE_INFINITY);
  assert.deepEqual(await db.getMany(['k', 'stays']), [undefined, 's']);
});

test('size and scan do not count what has expired', async () => {
  const clock = { now: 1000 };
  await using db = await openAt(clock);
  const entries = Array.from({ length: 5000 }, (_, i) => ({
    key: `k${String(i).padStart(5, '0')}`,
    value: `v${i}`,
    ...(i % 5 === 0 ? {} : { ttlMs: 10 + (i % 5) }),
  }));
  await db.putMany(entries);
  clock.now += 12;
  const seen: string[] = [];
  for await (const { key } of db.scan()) seen.push(key);
  assert.deepEqual(
    seen,
    entries.filter(({ ttlMs }) => ttlMs === undefined || ttlMs > 12).map(({ key }) => key),
  );
  assert.equal(await db.size(), seen.length);
  clock.now += 100;
  assert.equal(await db.size(), 1000);
});

test('a scan goes on past a long run of expired keys', async () => {
  const clock = { now: 1000 };
  await using db = await openAt(clock);
  const value = 'x'.repeat(200);
  await db.putMany(Array.from({ length: 3000 }, (_, i) => ({ key: `a${i}`, value, ttlMs: 5 })));
  await db.put('z', 'last');
  clock.now += 5;
  const seen = [];
  for await (const entry of db.scan()) seen.push(entry);
  assert.deepEqual(seen, [{ key: 'z', value: 'last' }]);
});

test('a put without a time to live takes the old one away, expire gives a new one', async () => {
  const clock = { now: 1000 };
  await using db = await openAt(clock);
  await db.put('k', 'v', { ttlMs: 10 });
  await db.put('k', 'w');
  clock.now += 10;
  assert.equal(await db.get('k'), 'w');
  assert.equal(await db.expire('k', 50), true);
  assert.equal(await db.ttl('k'), 50);
  assert.equal(await db.expire('k', Number.POSITIVE_INFINITY), true);
  clock.now += 1000;
  assert.equal(await db.get('k'), 'w');
  assert.equal(await db.expire('none', 50), false);
  for (const ttlMs of [0, -1, Number.NaN]) {
    await assert.rejects(db.put('k', 'x', { ttlMs }), { code: 'INVALID_ARGUMENT' });
    await assert.rejects(db.expire('k', ttlMs), { code: 'INVALID_ARGUMENT' });
  }
});

test('counters keep their deadline and start again after it', async () => {
  const clock = { now: 1000 };
  await using db = await openAt(clock);
  await db.put('n', '5', { ttlMs: 20 });
  assert.equal(await db.increment('n'), 6);
  clock.now += 20;
  assert.equal(await db.increment('n'), 1);
  assert.equal(await db.putIf('lock', 'a', undefined, { ttlMs: 5 }), true);
  assert.equal(await db.putIf('lock', 'b', undefined, { ttlMs: 5 }), false);
  clock.now += 5;
  assert.equal(await db.putIf('lock', 'b', undefined, { ttlMs: 5 }), true);
});

test('large and binary values expire too', async () => {
  const clock = { now: 1000 };
  await using db = await openAt(clock);
  const bytes = new Uint8Array(400_000).fill(7);
  await db.put('large', bytes, { ttlMs: 10 });
  assert.deepEqual(await db.get('large'), bytes);
  const [entry] = await Array.fromAsync(db.scan());
  assert.deepEqual(entry?.value, bytes);
  clock.now += 10;
  assert.equal(await db.get('large'), undefined);
  assert.deepEqual(await Array.fromAsync(db.scan()), []);
});

test('deadlines survive a crash and a checkpoint', async () => {
  const clock = { now: 1000 };
  const first = await openAt(clock);
  await first.put('a', '1', { ttlMs: 100 });
  await first.checkpoint();
  await first.put('b', '2', { ttlMs: 200 });
  await first.crash();
  clock.now += 150;
  await using second = await openAt(clock, first.disk);
  assert.deepEqual(await second.getMany(['a', 'b']), [undefined, '2']);
  assert.equal(await second.ttl('b'), 50);
  assert.equal(await second.size(), 1);
});

test('what has expired is removed in the background', async () => {
  const clock = { now: 1000 };
  await using db = await openInProcess(undefined, {
    wallClock: () => clock.now,
    settings: { sweepMsMin: 5, sweepMsMax: 5 },
  });
  await db.createSpace('kv', 'key-value');
  await db.useSpace('kv');
  await db.putMany(Array.from({ length: 3000 }, (_, i) => ({ key: `k${i}`, value: 'v', ttlMs: 10 })));
  clock.now += 10;
  const deadline = Date.now() + 10_000;
  // describeSpace counts what is stored and sweeps nothing itself.
  while ((await db.describeSpace('kv')).count > 0) {
    assert.ok(Date.now() < deadline, 'nothing was swept');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
});
