/** Short values of a session in this process share buffers (base/value-pool.ts): that shows nowhere but in their `buffer`. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ValuePool } from '../../src/base/value-pool.ts';
import { Session } from '../../src/engine/session.ts';
import { open } from '../../src/node.ts';
import { MemoryBackend } from '../../src/storage/memory-backend.ts';
import { startNodeEngine } from '../support/node-database.ts';

const bytesOf = (i: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, at) => (i * 31 + at * 7) & 255);
const space = 'kv';

/** Two sessions of one database, the first with a pool. */
async function sessions(): Promise<{ pooled: Session; plain: Session; other: Session }> {
  const engine = await startNodeEngine('pool', { backend: new MemoryBackend() });
  const pooled = new Session(engine, () => engine.close(), new ValuePool());
  await pooled.call('createSpace', { name: space, engine: 'key-value', options: {} }, {});
  return { pooled, plain: new Session(engine), other: new Session(engine, undefined, new ValuePool()) };
}

async function get(session: Session, key: string): Promise<Uint8Array<ArrayBuffer>> {
  const value = await session.call('get', { space, key }, {});
  assert.ok(value instanceof Uint8Array);
  return value as Uint8Array<ArrayBuffer>;
}

test('values of every length come back whole, and writing to one changes neither another nor what is stored', async () => {
  const { pooled } = await sessions();
  const lengths = [0, 1, 7, 8, 100, 127, 128, 129, 1000, 1024, 1025, 5000, 9000];
  for (const [i, length] of lengths.entries())
    await pooled.call('put', { space, key: `${i}`, value: bytesOf(i, length) }, {});
  const first: Uint8Array[] = [];
  // More than one buffer's worth.
  for (let round = 0; round < 20; round++)
    for (const [i, length] of lengths.entries()) {
      const value = await get(pooled, `${i}`);
      assert.deepEqual(value, bytesOf(i, length));
      if (round === 0) first.push(value);
      else value.fill(round);
    }
  for (const [i, length] of lengths.entries()) assert.deepEqual(first[i], bytesOf(i, length));
  await pooled.call('close', {}, {});
});

test('two sessions never share a buffer, and one without a pool shares none at all', async () => {
  const { pooled, plain, other } = await sessions();
  for (const key of ['a', 'b']) await pooled.call('put', { space, key, value: bytesOf(1, 100) }, {});
  const [a, b] = [await get(pooled, 'a'), await get(pooled, 'b')];
  assert.equal(a.buffer, b.buffer);
  assert.notEqual((await get(other, 'a')).buffer, a.buffer);
  for (const key of ['a', 'b']) assert.equal((await get(plain, key)).buffer.byteLength, 100);
  await pooled.call('close', {}, {});
});

test('in Node a value that shares its buffer cannot be transferred away from the others', async () => {
  const db = await open('pool', { storage: 'memory' });
  await db.createSpace(space, 'key-value');
  await db.put('a', bytesOf(1, 100), { space });
  const value = (await db.get('a', { space })) as Uint8Array<ArrayBuffer>;
  assert.ok(value.buffer.byteLength > 100);
  assert.throws(() => structuredClone(value, { transfer: [value.buffer] }), { name: 'DataCloneError' });
  const copy = value.slice();
  structuredClone(copy, { transfer: [copy.buffer] });
  assert.deepEqual(value, bytesOf(1, 100));
  await db.close();
});
