/** The arena through its border: checkpoints see one moment, memory refuses in time, blocks come and go. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CoreInstance } from '../../src/kernel/instance.ts';
import { KeyValueSpace, putOperation } from '../../src/space/key-value-space.ts';
import { operationsIn } from '../../src/space/operation.ts';
import { makeInstance } from './core.ts';

function put(space: KeyValueSpace, key: string, value: string): void {
  for (const operation of operationsIn(putOperation(key, value))) space.apply(operation);
}

function makeSpace(framesMax = 1000): KeyValueSpace {
  const space = new KeyValueSpace(makeInstance('simd128', framesMax));
  space.create();
  return space;
}

/** Copies every block of a checkpoint out, calling `between` after the freeze and before the copies. */
function checkpoint({ instance }: KeyValueSpace, between: () => void): Map<string, Uint8Array> {
  const { exports } = instance;
  const count = exports.checkpoint_begin(3);
  between();
  const blocks = new Map<string, Uint8Array>();
  for (let i = 0; i < count; i++) {
    const out = instance.scratch(16);
    exports.checkpoint_entry(i, out);
    const [segment, index, address = 0, used = 0] = instance.u32(out, 4);
    blocks.set(`${segment}/${index}`, instance.bytes().slice(address, address + used));
    exports.checkpoint_copied(i);
  }
  exports.checkpoint_end(1);
  return blocks;
}

function restore(blocks: Map<string, Uint8Array>): KeyValueSpace {
  const instance: CoreInstance = makeInstance();
  for (const [name, bytes] of blocks) {
    const [segment = 0, index = 0] = name.split('/').map(Number);
    const address = instance.exports.block_adopt(segment, index) >>> 0;
    instance.bytes().set(bytes, address);
  }
  const space = new KeyValueSpace(instance);
  space.open();
  return space;
}

test('a checkpoint holds the moment it began, whatever is written while it is copied', () => {
  const space = makeSpace();
  for (let i = 0; i < 20_000; i++) put(space, `key${i}`, `old ${i}`);
  const blocks = checkpoint(space, () => {
    for (let i = 0; i < 20_000; i += 3) put(space, `key${i}`, `new ${i}`);
    put(space, 'late', 'late');
  });
  const restored = restore(blocks);
  assert.equal(restored.count(), 20_000);
  for (let i = 0; i < 20_000; i += 7) assert.equal(restored.get(`key${i}`), `old ${i}`);
  assert.equal(restored.get('late'), undefined);
  assert.equal(space.get('key3'), 'new 3');
});

test('a second checkpoint holds only what changed since', () => {
  const space = makeSpace();
  for (let i = 0; i < 20_000; i++) put(space, `key${String(i).padStart(6, '0')}`, 'x'.repeat(50));
  const all = checkpoint(space, () => {});
  put(space, 'key000000', 'changed');
  const changed = checkpoint(space, () => {});
  assert.ok(changed.size <= 2, `${changed.size} blocks for one write`);
  assert.equal(restore(new Map([...all, ...changed])).get('key000000'), 'changed');
  assert.equal(checkpoint(space, () => {}).size, 0);
});

test('shadows are given back when the checkpoint ends', () => {
  const space = makeSpace();
  for (let i = 0; i < 5000; i++) put(space, `key${i}`, 'x'.repeat(100));
  const before = space.instance.exports.arena_frames_in_use();
  checkpoint(space, () => {
    for (let i = 0; i < 5000; i++) put(space, `key${i}`, 'y'.repeat(100));
  });
  assert.equal(space.instance.exports.arena_frames_in_use(), before);
});

test('memory that is not to be had is refused before anything changes', () => {
  const space = makeSpace(24);
  let stored = 0;
  assert.throws(
    () => {
      for (;;) {
        put(space, `key${stored}`, 'x'.repeat(2000));
        stored++;
      }
    },
    { code: 'OUT_OF_MEMORY' },
  );
  assert.ok(stored > 100);
  assert.equal(space.count(), stored);
  for (let i = 0; i < stored; i++) assert.equal(space.get(`key${i}`), 'x'.repeat(2000));
});

test('promised frames are left alone by others', () => {
  const { exports } = makeSpace(24).instance;
  assert.equal(exports.arena_hold(12), 0);
  assert.equal(exports.arena_hold(1000), -2);
  assert.equal(exports.arena_hold(12), 0);
});
