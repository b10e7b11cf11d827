/** Buffers of answers that are used again (base/buffer-pool.ts): nobody sees in one what it held before. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferPool } from '../../src/base/buffer-pool.ts';
import { unpackValues } from '../../src/base/packed-values.ts';
import { Session } from '../../src/engine/session.ts';
import type { Message, Reply } from '../../src/rpc/messages.ts';
import { SessionHost } from '../../src/rpc/session-host.ts';
import { MemoryBackend } from '../../src/storage/memory-backend.ts';
import { startNodeEngine } from '../support/node-database.ts';

const space = 'kv';

test('what is given back is taken again by an answer of about its size, and by no other', () => {
  const pool = new BufferPool();
  const exact = pool.take(100_000);
  assert.equal(exact.byteLength, 100_000, 'nothing was given back yet: exactly what is needed');
  pool.give(exact);
  const first = pool.take(100_000);
  assert.notEqual(first, exact, 'a size that is never asked for is not kept');
  assert.ok(first.byteLength >= 100_000 && first.byteLength <= 125_000, `${first.byteLength}`);
  pool.give(first);
  assert.notEqual(pool.take(200_000), first);
  assert.notEqual(pool.take(50_000), first);
  assert.equal(pool.take(99_000), first);
  assert.notEqual(pool.take(99_000), first, 'it is given out once');
});

test('a pool keeps a few buffers, none of them small or huge, and none that was handed over', () => {
  const pool = new BufferPool();
  const sizes = [0, 1, 4095, 384 * 1024 + 1, 1 << 24];
  pool.give(new ArrayBuffer(8192));
  for (const size of sizes) {
    const buffer = new ArrayBuffer(size);
    pool.give(buffer);
    assert.notEqual(pool.take(size), buffer);
    assert.equal(pool.take(size).byteLength, size);
  }
  const gone = new ArrayBuffer(16_384);
  structuredClone(gone, { transfer: [gone] });
  pool.give(gone);
  assert.equal(pool.take(16_384).byteLength, 16_384);
  const many = Array.from({ length: 40 }, () => new ArrayBuffer(65_536));
  for (const buffer of many) pool.give(buffer);
  const taken = Array.from({ length: 40 }, () => pool.take(65_536));
  assert.equal(taken.filter((buffer) => many.includes(buffer)).length, 16);
  assert.equal(taken[0], many.at(-1), 'the warmest first');
});

test('answers in used buffers are what they would be in fresh ones, and no other session gets them', async () => {
  const engine = await startNodeEngine('buffers', { backend: new MemoryBackend() });
  const session = new Session(engine, () => engine.close());
  await session.call('createSpace', { name: space, engine: 'key-value', options: {} }, {});
  const keys = Array.from({ length: 300 }, (_, i) => `key-${i}`);
  const contentOf = (i: number, round: number): string => `${round}ü`.repeat((i * 7 + round * 13) % 60);
  const used = new Set<ArrayBuffer>();
  let again = 0;
  for (let round = 0; round < 6; round++) {
    for (const [i, key] of keys.entries())
      await session.call('put', { space, key, value: contentOf(i, round) }, {});
    const packed = await session.call('getMany', { space, keys }, {});
    const { buffer } = packed.heads;
    if (used.has(buffer)) again++;
    used.add(buffer);
    assert.deepEqual(
      unpackValues(packed, (spare) => session.giveBack(spare)),
      keys.map((_, i) => contentOf(i, round)),
    );
    const other = await new Session(engine).call('getMany', { space, keys }, {});
    assert.ok(!used.has(other.heads.buffer));
  }
  assert.ok(again > 0, 'no buffer was used again');
  await session.call('close', {}, {});
});

test('values of bytes are views of their buffer, which is then not given back', async () => {
  const engine = await startNodeEngine('buffers', { backend: new MemoryBackend() });
  const session = new Session(engine, () => engine.close());
  await session.call('createSpace', { name: space, engine: 'key-value', options: {} }, {});
  const keys = Array.from({ length: 300 }, (_, i) => `key-${i}`);
  for (const [i, key] of keys.entries())
    await session.call(
      'put',
      { space, key, value: i === 150 ? new Uint8Array(50).fill(i) : `text ${i}` },
      {},
    );
  const ask = async (names: readonly string[]): Promise<number> => {
    let given = 0;
    unpackValues(await session.call('getMany', { space, keys: names }, {}), () => given++);
    return given;
  };
  assert.equal(await ask(keys), 0);
  assert.equal(await ask(keys.slice(0, 150)), 1);
  await session.call('close', {}, {});
});

test('what a message hands back and is no buffer is left alone', async () => {
  const given: unknown[] = [];
  const host = new SessionHost({ call: () => 1, giveBack: (buffer) => given.push(buffer) });
  const buffer = new ArrayBuffer(8192);
  const message = {
    requests: [{ id: 1, method: 'size', args: {}, progress: false }],
    cancels: [],
    spare: [undefined, 'text', new Uint8Array(4), {}, buffer],
  } as unknown as Message;
  const replies: Reply[] = await host.exchange(message);
  assert.deepEqual(replies, [{ id: 1, value: 1 }]);
  assert.deepEqual(given, [buffer]);
});
