// The bridge's frames: every value comes back as it was, and malformed bytes are refused by name, whatever they are.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { isShibuDbError, type ShibuDbError } from '../../src/api/errors.ts';
import { Assembler } from '../../src/bridge/protocol/assembler.ts';
import { FrameLink, type Receipt } from '../../src/bridge/protocol/frame-link.ts';
import {
  encodeFrame,
  type Frame,
  FrameType,
  frameAt,
  framesOf,
  partsOf,
  valuesOf,
} from '../../src/bridge/protocol/frames.ts';
import { Random } from '../support/random.ts';

function back(value: unknown, options?: { inPlace: boolean }): unknown {
  const frame = encodeFrame(FrameType.Reply, 7, 0, value);
  assert.equal(frame.length % 8, 0);
  return valuesOf(frameAt(frame, 0), 1, options)[0];
}

test('every kind of value comes back as it was', () => {
  const long = 'ü€𝄞'.repeat(5000);
  for (const value of [
    undefined,
    null,
    true,
    false,
    0,
    -0,
    1,
    -1,
    2 ** 31 - 1,
    -(2 ** 31),
    2 ** 31,
    0.1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.MAX_SAFE_INTEGER,
    0n,
    -1n,
    2n ** 63n - 1n,
    -(2n ** 63n),
    2n ** 63n,
    10n ** 40n,
    '',
    'k',
    'x'.repeat(64),
    'ü'.repeat(64),
    '€'.repeat(65),
    long,
    '\ufeffwith a mark',
    'lone \ud800 surrogate',
    [],
    [1, 'a', [undefined, null]],
    {},
    { a: 1, 'ü b': { c: [] } },
    new Uint8Array([0, 1, 255]),
    new Float32Array([0, -0, Number.NaN, 1e-45, 3.5]),
    new Float64Array([Math.PI]),
    new BigInt64Array([-1n, 2n ** 62n]),
    new Uint32Array(3),
    new Int8Array([-1, 2, 3]),
    { ids: new BigInt64Array(3), vectors: new Float32Array([1, 2, 3]), last: new Int16Array([1]) },
  ]) {
    assert.deepEqual(back(value), value);
    assert.deepEqual(back(value, { inPlace: true }), value);
  }
});

test('the example of docs/protocol.md is what is sent', () => {
  const page = readFileSync(path.resolve(import.meta.dirname, '../../docs/protocol.md'), 'utf8');
  const [, example = ''] = /<!-- example: searchTopK -->\n((?: {4}.*\n)+)/.exec(page) ?? [];
  const bytes = example.replace(/#.*/g, '').match(/[0-9a-f]{2}/g) ?? [];
  const args = { space: 's', query: new Float32Array([1, 0]), k: 10 };
  assert.equal(
    bytes.join(''),
    Buffer.from(encodeFrame(FrameType.Call, 7, 0, 'searchTopK', args)).toString('hex'),
  );
});

test('a name that would change a prototype is a name like any other', () => {
  const permissions = JSON.parse('{"__proto__": "read", "constructor": "write"}');
  const read = back(permissions) as object;
  assert.deepEqual(Object.keys(read), ['__proto__', 'constructor']);
  assert.equal(Object.getPrototypeOf(read), Object.prototype);
});

test('typed arrays are copies of their own, or views where that is asked for and possible', () => {
  const frame = encodeFrame(FrameType.Reply, 1, 0, new Float32Array([1, 2, 3]));
  const view = valuesOf(frameAt(frame, 0), 1, { inPlace: true })[0] as Float32Array;
  assert.equal(view.buffer, frame.buffer);
  const copy = valuesOf(frameAt(frame, 0), 1)[0] as Float32Array;
  assert.equal(copy.buffer.byteLength, 12);
  // A message that begins anywhere: what is not aligned is copied.
  const odd = new Uint8Array(frame.length + 1).subarray(1);
  odd.set(frame);
  const [moved] = valuesOf(frameAt(odd, 0), 1, { inPlace: true });
  assert.deepEqual(moved, new Float32Array([1, 2, 3]));
});

test('a view into a larger buffer is sent alone', () => {
  assert.deepEqual(back(new Float32Array([1, 2, 3, 4]).subarray(1, 3)), new Float32Array([2, 3]));
  assert.deepEqual(back(new Uint8Array([1, 2, 3, 4]).subarray(1, 3)), new Uint8Array([2, 3]));
});

test('what has no place in a call is refused by the sender', () => {
  let deep: unknown = 1;
  for (let i = 0; i < 40; i++) deep = [deep];
  for (const value of [() => 1, Symbol('s'), new Map(), new Date(), new DataView(new ArrayBuffer(1)), deep])
    assert.throws(
      () => encodeFrame(FrameType.Call, 1, 0, value),
      (error: ShibuDbError) => error.code === 'INVALID_ARGUMENT',
    );
});

test('a large frame comes together from its parts, in order and alone', () => {
  const vectors = new Random(1).vectors(100_000);
  const frame = encodeFrame(FrameType.Call, 9, 1, 'insertVectors', { vectors });
  const parts = [...partsOf(frame, 64 * 1024)];
  assert.ok(parts.length > 5 && parts.every((part) => part.length <= 64 * 1024));
  const assembler = new Assembler(1024 * 1024);
  let whole: Frame | undefined;
  for (const part of parts) {
    assert.equal(whole, undefined);
    whole = assembler.add(frameAt(part, 0));
  }
  assert.deepEqual(valuesOf(whole as Frame, 2), ['insertVectors', { vectors }]);
  assert.throws(() => {
    const small = new Assembler(100_000);
    for (const part of parts) small.add(frameAt(part, 0));
  }, /more than 100000 bytes/);
  assembler.add(frameAt(parts[0] as Uint8Array, 0));
  const [other] = partsOf(encodeFrame(FrameType.Call, 10, 0, 'x'.repeat(1000)), 128);
  assert.throws(() => assembler.add(frameAt(other as Uint8Array, 0)), /before the end of frame 9/);
});

test('random and damaged bytes are refused by name, and never cost more than they weigh', () => {
  const seed = Number(process.env.SHIBUMI_SEED ?? Date.now() % 1e9);
  console.log(`seed ${seed}`);
  const random = new Random(seed);
  const samples = [
    encodeFrame(FrameType.Call, 1, 0, 'put', { space: 'kv', key: 'k', value: 'v'.repeat(100) }),
    encodeFrame(FrameType.Call, 2, 1, 'insertVectors', {
      ids: new BigInt64Array(10),
      vectors: new Float32Array(30),
    }),
    encodeFrame(FrameType.Hello, 0, 0, { versions: [1], features: [], client: 'x', window: 5000 }),
  ];
  let refused = 0;
  for (let i = 0; i < 20_000; i++) {
    const bytes = i % 3 === 0 ? random.bytes(8 + random.below(200)) : (samples[i % 2] as Uint8Array).slice();
    for (let n = random.below(6); n >= 0; n--) bytes[random.below(bytes.length)] = random.below(256);
    try {
      for (const frame of framesOf(i % 5 === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes))
        valuesOf(frame, 2);
    } catch (error) {
      assert.ok(isShibuDbError(error) && error.code === 'PROTOCOL_ERROR', `${error}`);
      refused++;
    }
  }
  assert.ok(refused > 5000, `only ${refused} were refused`);
});

/** Two links wired to each other; messages wait in `wire` until they are delivered. */
function pair(window: number): {
  near: FrameLink;
  far: FrameLink;
  sent: Uint8Array[];
  wire: [FrameLink, Uint8Array][];
  run: () => void;
} {
  const wire: [FrameLink, Uint8Array][] = [];
  const sent: Uint8Array[] = [];
  const flushes: (() => void)[] = [];
  const make = (other: () => FrameLink): FrameLink =>
    new FrameLink({
      send: (message) => {
        sent.push(message);
        wire.push([other(), message]);
      },
      schedule: (flush) => flushes.push(flush),
      messageBytesMax: 4096,
      frameBytesMax: 1024 * 1024,
      window,
    });
  const near: FrameLink = make(() => far);
  const far: FrameLink = make(() => near);
  near.grant(window);
  far.grant(window);
  const run = (): void => {
    while (flushes.length > 0) flushes.shift()?.();
  };
  return { near, far, sent, run, wire };
}

test('nothing more is sent than there is credit for, and everything arrives once it is given back', () => {
  const window = 16 * 1024;
  const { near, far, run, wire } = pair(window);
  const count = 500;
  for (let id = 1; id <= count; id++) near.push(encodeFrame(FrameType.Call, id, 0, 'x'.repeat(id % 300)), id);
  near.push(encodeFrame(FrameType.Call, count + 1, 0, new Float32Array(50_000)), count + 1);
  near.push(encodeFrame(FrameType.Call, count + 2, 0, 'last'), count + 2);
  const arrived: number[] = [];
  const waiting: Receipt[] = [];
  let inFlight = 0;
  for (let idle = 0; idle < 3; ) {
    run();
    const messages = wire.splice(0);
    idle = messages.length === 0 ? idle + 1 : 0;
    for (const [link, message] of messages) {
      assert.ok(message.length <= 4096);
      link.receive(message, (frame, receipt) => {
        assert.equal(link, far);
        arrived.push(frame.id);
        if (receipt === undefined) return;
        waiting.push(receipt);
        inFlight += frame.bytes.length;
      });
    }
    assert.ok(inFlight <= window + 4096 + 200_100, `${inFlight} bytes in flight`);
    for (const receipt of waiting.splice(0)) far.release(receipt);
    inFlight = 0;
  }
  assert.deepEqual(
    arrived,
    Array.from({ length: count + 2 }, (_, i) => i + 1),
  );
  assert.equal(near.queuedBytes, 0);
});

test('a peer that takes more than its credit is refused', () => {
  const { far } = pair(2048);
  const frame = encodeFrame(FrameType.Call, 1, 0, 'x'.repeat(1000));
  assert.throws(() => {
    for (let i = 0; i < 20; i++) far.receive(frame, () => {});
  }, /credit/);
});

test('a frame that waits can be taken back, wholly or the rest of it', () => {
  const { near, run, sent } = pair(8192);
  near.push(encodeFrame(FrameType.Call, 1, 0, new Float32Array(20_000)), 1);
  near.push(encodeFrame(FrameType.Call, 2, 0, 'second'), 2);
  run();
  assert.equal(near.withdraw(2), true);
  assert.equal(near.withdraw(1), false, 'part of it was sent');
  assert.equal(near.withdraw(3), false);
  assert.equal(near.queuedBytes, 0);
  assert.ok(sent.length > 0 && sent.length < 5);
});
