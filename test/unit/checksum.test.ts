/** XXH64 against published values, and piece by piece against all at once. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
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
