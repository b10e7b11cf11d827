/** Comparing secrets: the work done says nothing of where, or how far, two of them agree. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalInConstantTime } from '../../src/base/secrets.ts';

/** Bytes that note which of them were read, and in which order. */
function watched(bytes: Uint8Array): { readonly bytes: Uint8Array; readonly read: string[] } {
  const read: string[] = [];
  const proxy = new Proxy(bytes, {
    get(target, name) {
      if (name !== 'length') read.push(String(name));
      return Reflect.get(target, name, target);
    },
  });
  return { bytes: proxy, read };
}

test('equal or different in the first, a middle or the last byte: every byte of both is read, in the same order', () => {
  const secret = Uint8Array.from({ length: 32 }, (_, i) => i * 7);
  const every = Array.from(secret, (_, i) => String(i));
  for (const different of [undefined, 0, 15, 31]) {
    const guess = secret.slice();
    if (different !== undefined) guess[different] = 255;
    const [left, right] = [watched(secret), watched(guess)];
    assert.equal(equalInConstantTime(left.bytes, right.bytes), different === undefined);
    assert.deepEqual([left.read, right.read], [every, every]);
  }
  assert.equal(equalInConstantTime(secret, secret.subarray(1)), false);
});
