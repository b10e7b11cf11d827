// What travels between page and worker, counted message by message: the other end is scripted.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { packValues } from '../../src/base/pack-values.ts';
import { Connection, OpenCall } from '../../src/rpc/connection.ts';
import type { Message, Reply } from '../../src/rpc/messages.ts';

/** A connection, the messages it posted, and the way to answer each. */
function scripted(): {
  connection: Connection;
  messages: Message[];
  answer(message: Message, replies: Reply[]): void;
  call(...[method, args]: [OpenCall['method'], object]): Promise<unknown>;
} {
  const messages: Message[] = [];
  const answers = new Map<Message, (replies: Reply[]) => void>();
  const connection = new Connection((message) => {
    messages.push(message);
    return new Promise((resolve) => answers.set(message, resolve));
  });
  return {
    connection,
    messages,
    answer: (message, replies) => answers.get(message)?.(replies),
    call: (method, args) =>
      new Promise((resolve, reject) => {
        connection.submit(new OpenCall(method, args as OpenCall['args'], {}, resolve, reject));
      }),
  };
}

test('calls of one tick travel in one message, and one answer settles them all', async () => {
  const { messages, answer, call } = scripted();
  const calls = [
    call('exists', { space: 'kv', key: 'a' }),
    call('increment', { space: 'kv', key: 'n', by: 1 }),
    ...Array.from({ length: 100 }, (_, i) => call('get', { space: 'kv', key: `k${i}` })),
  ];
  assert.equal(messages.length, 0, 'sent before the tick was over');
  await setImmediate();
  assert.equal(messages.length, 1);
  const { requests } = messages[0] as Message;
  assert.deepEqual(
    requests.map(({ method }) => method),
    ['exists', 'increment', 'getEach'],
    'the gets are one request',
  );
  const values = packValues(Array.from({ length: 100 }, (_, i) => `v${i}`));
  answer(
    messages[0] as Message,
    requests.map(({ id }, i) => ({ id, value: [true, 5, values][i] })),
  );
  assert.deepEqual(await Promise.all(calls), [true, 5, ...Array.from({ length: 100 }, (_, i) => `v${i}`)]);
  await setImmediate();
  assert.equal(messages.length, 1, 'nobody waits, and something was sent');
});

test('what was passed is the caller’s again when the call returns, and a view travels without the rest of its buffer', async () => {
  const { messages, call } = scripted();
  const matrix = new Float32Array(1000).fill(1);
  const vector = matrix.subarray(10, 14);
  const metadata = { title: 'first', tags: ['a'], ['__proto__']: 'a name like others' };
  const settled = [call('insertVector', { space: 'v', id: 1, vector, metadata })];
  vector.fill(2);
  metadata.title = 'second';
  metadata.tags.push('b');
  settled.push(call('insertVector', { space: 'v', id: 2, vector, metadata }));
  await setImmediate();
  assert.equal(messages.length, 1);
  const small = (messages[0] as Message).requests.map(({ args }) => args as typeof metadata & object);
  assert.deepEqual(small, [
    {
      space: 'v',
      id: 1,
      vector: new Float32Array(4).fill(1),
      metadata: { title: 'first', tags: ['a'], ['__proto__']: 'a name like others' },
    },
    {
      space: 'v',
      id: 2,
      vector: new Float32Array(4).fill(2),
      metadata: { title: 'second', tags: ['a', 'b'], ['__proto__']: 'a name like others' },
    },
  ]);
  for (const { vector: sent } of small as unknown as { vector: Float32Array }[])
    assert.equal(sent.buffer.byteLength, 16);

  // Too much to copy: it goes out before the call returns.
  const large = new Float32Array(100_000);
  settled.push(call('insertVectors', { space: 'v', ids: [], vectors: large.subarray(0, 50_000) }));
  assert.equal(messages.length, 2);
  const vectorsIn = (message: Message | undefined): Float32Array =>
    (message as unknown as { requests: [{ args: { vectors: Float32Array } }] }).requests[0].args.vectors;
  const vectors = vectorsIn(messages[1]);
  assert.deepEqual([vectors.length, vectors.buffer.byteLength], [50_000, 200_000]);
  settled.push(call('insertVectors', { space: 'v', ids: [], vectors: large }));
  assert.equal(vectorsIn(messages[2]), large, 'copied although sending copies it');
  for (const each of settled) each.catch(() => {});
});

test('what is on its way is bounded in calls and in bytes; the rest follows in order', async () => {
  for (const [count, size, most] of [
    [20_000, 1, 8192],
    [100, 1024 * 1024, 32],
  ] as const) {
    const { messages, answer, call } = scripted();
    const settled = Array.from({ length: count }, (_, i) =>
      call('putIf', { space: 'kv', key: `k${i}`, value: 'v'.repeat(size), expected: undefined }),
    );
    const seen: string[] = [];
    for (let at = 0; seen.length < count; at++) {
      while (messages.length <= at) await setImmediate();
      const { requests } = messages[at] as Message;
      assert.ok(requests.length <= most, `${requests.length} calls on their way, expected ${most} at most`);
      seen.push(...requests.map(({ args }) => (args as { key: string }).key));
      await setImmediate();
      assert.equal(messages.length, at + 1, 'more was sent before anything was answered');
      answer(
        messages[at] as Message,
        requests.map(({ id }) => ({ id, value: true })),
      );
    }
    await Promise.all(settled);
    assert.deepEqual(
      seen,
      Array.from({ length: count }, (_, i) => `k${i}`),
    );
  }
});

test('a connection that is lost hands back every call that has no answer, sent or not', async () => {
  const { connection, messages, answer, call } = scripted();
  const answered = call('exists', { space: 'kv', key: 'answered' });
  for (const key of ['sent', 'sent too']) call('exists', { space: 'kv', key }).catch(() => {});
  await setImmediate();
  const [first] = (messages[0] as Message).requests;
  answer(messages[0] as Message, [{ id: first?.id as number, value: true }]);
  assert.equal(await answered, true);
  call('get', { space: 'kv', key: 'waiting' }).catch(() => {});
  const left = connection.lose();
  assert.deepEqual(
    left.map(({ method, args, sent }) => [method, (args as { key: string }).key, sent]),
    [
      ['exists', 'sent', true],
      ['exists', 'sent too', true],
      ['get', 'waiting', false],
    ],
  );
});
