/** XXH64 against published values, and piece by piece against all at once. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xxh64 } from '../../src/base/xxh64.ts';
import { CoreInstance } from '../../src/kernel/instance.ts';
import { nodeCore } from '../support/node-database.ts';
import { Random } from '../support/random.ts';

function instance(): CoreInstance {
  const core = new CoreInstance(nodeCore());
  core.exports.arena_init(4096);
  return core;
}

test('the checksum is XXH64 with seed 0', () => {
  const core = instance();
  const of = (text: string): string => core.checksum(new TextEncoder().encode(text)).toString(16);
  assert.equal(of(''), 'ef46db3751d8e999');
  assert.equal(of('a'), 'd24ec4f1a98c6e5b');
  assert.equal(of('abc'), '44bc2cf5ad770999');
});

test('bytes that pass in pieces have the checksum of the whole', () => {
  const core = instance();
  const random = new Random(7);
  const piece = 256 * 1024;
  for (const length of [0, 31, 32, 33, piece - 1, piece, piece + 1, 2 * piece, 2 * piece + 77]) {
    const bytes = random.bytes(length);
    const address = core.scratch(length);
    core.bytes().set(bytes, address);
    const whole = BigInt.asUintN(64, core.exports.checksum64(address, length));
    assert.equal(core.checksum(bytes), whole, `${length} bytes`);
  }
});

test('what JavaScript computes before a core is loaded is what the core computes', () => {
  const core = instance();
  const random = new Random(11);
  for (let length = 0; length < 200; length++) {
    const bytes = random.bytes(length);
    assert.equal(xxh64(bytes), core.checksum(bytes), `${length} bytes`);
    // Part of a larger buffer, and all ones, where sums overflow.
    assert.equal(
      xxh64(
        random
          .bytes(length + 9)
          .fill(255)
          .subarray(5, 5 + length),
      ),
      core.checksum(new Uint8Array(length).fill(255)),
    );
  }
});
