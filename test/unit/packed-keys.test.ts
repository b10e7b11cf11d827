/** Keys that travel as one text: what is packed comes out as it was, and what is no such text is refused. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PackedKeys } from '../../src/api/calls.ts';
import type { Database } from '../../src/api/database.ts';
import { checkPackedKeys, packKeys, unpackKeys } from '../../src/base/packed-keys.ts';
import { DatabaseClient } from '../../src/client/database-client.ts';
import { Session } from '../../src/engine/session.ts';
import { Connection, OpenCall } from '../../src/rpc/connection.ts';
import { SessionHost } from '../../src/rpc/session-host.ts';
import { MemoryBackend } from '../../src/storage/memory-backend.ts';
import { startNodeEngine } from '../support/node-database.ts';

test('keys come out as they went in; those that are no texts of 1 to 127 units do not go in', () => {
  const good = ['a', 'ab', 'abc', 'abcd', 'abcde', '\0', '\0\0\0\0', 'é', '😀', '\ud800', 'k'.repeat(127)];
  for (let count = 0; count <= good.length; count++) {
    const keys = good.slice(0, count);
    const packed = packKeys(keys);
    assert.ok(packed !== undefined && packed.count === count);
    checkPackedKeys(packed);
    assert.deepEqual(unpackKeys(packed), keys);
  }
  for (const bad of ['', 'k'.repeat(128), 7, null, undefined, ['a']])
    assert.equal(packKeys(['a', bad as string]), undefined);
  for (const bad of ['abc', undefined, { length: 1 }])
    assert.equal(packKeys(bad as unknown as string[]), undefined);
});

test('a text that is not made of keys is refused, and so is another count', () => {
  const { text } = packKeys(['abc', 'de']) as PackedKeys;
  const bad: [unknown, unknown][] = [
    [text, 1],
    [text, 3],
    [text, -1],
    [text, undefined],
    [text.slice(0, -1), 2],
    [`${text}\0`, 2],
    [`${text}\0\0\0\0`, 2],
    [`${text}\0\0\0\0abcd`, 3],
    [`\x03\x01\0\0${text.slice(4)}`, 2],
    [`\x03\0\0\x40${text.slice(4)}`, 2],
    [`\u0103${text.slice(1)}`, 2],
    [`\x7f${text.slice(1)}`, 2],
    ['\x01', 1],
    [7, 0],
    [undefined, 0],
  ];
  for (const [wrong, count] of bad) {
    const packed = { text: wrong, count } as PackedKeys;
    assert.throws(() => checkPackedKeys(packed), { code: 'INVALID_ARGUMENT' }, JSON.stringify(packed));
    assert.throws(() => unpackKeys(packed), { code: 'INVALID_ARGUMENT' });
  }
});

/** A database behind the packed messages that a page and a worker exchange, and what travelled. */
async function overMessages(
  run: (db: Database, sent: { method: string; args: unknown }[]) => Promise<void>,
): Promise<void> {
  const engine = await startNodeEngine('test', { backend: new MemoryBackend() });
  const session = new Session(engine, () => engine.close());
  const host = new SessionHost(session as never);
  const sent: { method: string; args: unknown }[] = [];
  const connection = new Connection(async (message) => {
    sent.push(...message.requests);
    return structuredClone(await host.exchange(structuredClone(message)));
  });
  const db = new DatabaseClient({
    call: (method, args, options) =>
      new Promise((resolve, reject) => {
        connection.submit(new OpenCall(method, args, options, resolve, reject));
      }),
    release() {},
  });
  await db.createSpace('kv', 'key-value');
  await db.useSpace('kv');
  await run(db, sent);
  await db.close();
}

test('getMany and gets find the same by packed keys as by others', () =>
  overMessages(async (db, sent) => {
    const names = [
      ...Array.from({ length: 300 }, (_, i) => `key-${i}`),
      ...['é', '😀', '\0', 'k'.repeat(127), 'k'.repeat(128), 'ü'.repeat(2000)],
    ];
    const contentOf = (name: string): string | Uint8Array =>
      name.length % 2 === 0 ? `of ${name}` : new TextEncoder().encode(name);
    await db.putMany(names.map((key) => ({ key, value: contentOf(key) })));
    await db.put('large', 'x'.repeat(300_000));
    await db.put('long', new Uint8Array(200_000).fill(3));
    const plain = names.slice(0, 300);
    const lists = [
      plain,
      ['none', ...plain, 'none'],
      names,
      ['é', 'a', 'é'],
      ['large', 'key-1'],
      // More than fits one buffer of values.
      ['long', 'key-2', 'long', 'long'],
      [],
    ];
    const expected = async (list: string[]): Promise<unknown[]> => {
      const values = [];
      for (const key of list) values.push(await db.get(key));
      return values;
    };
    for (const list of lists) {
      const values = await expected(list);
      assert.deepEqual(await db.getMany(list), values);
      assert.deepEqual(await Promise.all(list.map((key) => db.get(key))), values);
    }
    const asked = sent
      .filter(({ method }) => method === 'getMany')
      .map(({ args }) => 'packed' in Object(args));
    assert.deepEqual(asked, [true, true, false, true, true, true, true]);
    for (const bad of [[''], ['\ud800'], ['a', 'k'.repeat(4097)], ['a', 7], 'a', undefined])
      await assert.rejects(db.getMany(bad as string[]), { code: 'INVALID_ARGUMENT' });
    // One that is at fault fails alone.
    const settled = await Promise.allSettled(['key-1', '\ud800', 'key-2'].map((key) => db.get(key)));
    assert.deepEqual(
      settled.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
  }));

test('an engine that is given something else for packed keys refuses it', async () => {
  const engine = await startNodeEngine('test', { backend: new MemoryBackend() });
  const session = new Session(engine, () => engine.close());
  await session.call('createSpace', { name: 'kv', engine: 'key-value', options: {} }, {});
  const bad = { space: 'kv', keys: [], packed: { text: '\x7f\x7f\x7f\x7fkey', count: 1 } };
  for (const method of ['getMany', 'getEach'] as const)
    assert.throws(() => session.call(method, bad, {}), { code: 'INVALID_ARGUMENT' });
  await session.call('close', {}, {});
});

test('columns of a scan are unpacked into the entries that were put, some at a time or one by one', () =>
  overMessages(async (db) => {
    const entries = Array.from({ length: 3000 }, (_, i) => ({
      key: `${i % 7 === 0 ? 'é' : 'k'}${String(i).padStart(5, '0')}`,
      value:
        i === 1500
          ? new Uint8Array(5000).fill(9)
          : i % 3 === 0
            ? `${i}ü`.repeat(i % 4)
            : new Uint8Array(i % 90).fill(i),
    }));
    await db.putMany(entries);
    const order = [...entries].sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
    assert.deepEqual(await Array.fromAsync(db.scan()), order);
    assert.deepEqual((await Array.fromAsync(db.scan().chunks())).flat(), order);
    assert.deepEqual(await Array.fromAsync(db.scan({ limit: 700 })), order.slice(0, 700));
    // What one that is kept keeps alive is bounded.
    const chunk = (await Array.fromAsync(db.scan().chunks()))[0] ?? [];
    for (const { value } of chunk)
      if (typeof value !== 'string') assert.ok(value.buffer.byteLength <= 384 * 1024);
  }));
