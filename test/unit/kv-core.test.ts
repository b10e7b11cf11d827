/** The key-value core through its border, in both builds: the native tests' basics on the modules that ship. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CoreInstance } from '../../src/kernel/instance.ts';
import type { BuildName } from '../../src/kernel/module.ts';
import { Status } from '../../src/kernel/status.ts';
import { makeInstance } from './core.ts';

const builds: readonly BuildName[] = ['simd128', 'relaxed'];
const remove = 1 << 29;
const keysRoom = 32 * 1024;
const valuesRoom = 32 * 1024;
const scanMost = 5000;
const lengthMask = 2 ** 30 - 1;

interface KvBatchExports {
  kv_apply_batch(entries: number, bytes: number, count: number, out: number): number;
  kv_plan_many(count: number, bytes: number, deadlines: number): number;
}

/** Keys and values as binary strings: one character a byte, so that comparing them is comparing bytes. */
class Core {
  readonly instance: CoreInstance;
  constructor(build: BuildName) {
    this.instance = makeInstance(build, 4000);
    assert.equal(this.instance.exports.kv_create(), 0);
  }

  get batches(): KvBatchExports {
    return this.instance.exports as unknown as KvBatchExports;
  }

  /** Writes strings one after another into scratch memory with `room` more bytes behind; returns their addresses. */
  write(parts: readonly string[], room = 16): { at: number[]; out: number } {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    let next = this.instance.scratch(length + room + 16);
    const at = parts.map((part) => {
      this.instance.bytes().set(Buffer.from(part, 'latin1'), next);
      next += part.length;
      return next - part.length;
    });
    return { at, out: (next + 15) & ~15 };
  }

  put(key: string, value: string, flags = 0): number {
    const [keyAt = 0, valueAt = 0] = this.write([key, value]).at;
    return this.instance.exports.kv_put(keyAt, key.length, valueAt, value.length, flags);
  }

  get(key: string): string | undefined {
    const { at, out } = this.write([key]);
    const keyAt = at[0] as number;
    const status = this.instance.exports.kv_get(keyAt, key.length, out);
    if (status === 1) return undefined;
    assert.equal(status, 0);
    const [address = 0, length = 0] = this.instance.u32(out, 2);
    if (address !== 0) return this.text(address, length);
    const large = this.write([key], length);
    assert.equal(this.instance.exports.kv_read(large.at[0] as number, key.length, 0, large.out, length), 0);
    return this.text(large.out, length);
  }

  delete(key: string): number {
    return this.instance.exports.kv_delete(this.write([key]).at[0] as number, key.length);
  }

  scan(
    start: string,
    after: boolean,
    end: string | undefined,
    reverse: boolean,
    limit = scanMost,
  ): [string, string][] {
    const { at, out } = this.write([start, end ?? ''], 16 + 8 * limit + keysRoom + valuesRoom);
    const [startAt = 0, endAt = 0] = at;
    const bounds = [
      startAt,
      start.length,
      Number(after),
      endAt,
      end?.length ?? 0,
      Number(end !== undefined),
    ] as const;
    const { instance } = this;
    const count = instance.exports.kv_scan(...bounds, Number(reverse), limit, 0, out, keysRoom, valuesRoom);
    assert.ok(count >= 0);
    const entries: [string, string][] = [];
    let keyFrom = out + 16 + 8 * limit;
    let valueFrom = keyFrom + keysRoom;
    for (let i = 0; i < count; i++) {
      const [keyHead = 0] = instance.u32(out + 16 + 4 * i, 1);
      const [valueHead = 0] = instance.u32(out + 16 + 4 * (limit + i), 1);
      const valueLength = valueHead & lengthMask;
      const apart = valueHead >>> 30 === 3;
      assert.equal(keyHead >>> 30, 1);
      entries.push([
        this.text(keyFrom, keyHead & lengthMask),
        apart
          ? (this.get(this.text(keyFrom, keyHead & lengthMask)) ?? '')
          : this.text(valueFrom, valueLength),
      ]);
      keyFrom += keyHead & lengthMask;
      if (!apart) valueFrom += valueLength;
    }
    return entries;
  }

  text(address: number, length: number): string {
    return Buffer.from(this.instance.bytes().subarray(address, address + length)).toString('latin1');
  }
}

function makeRandom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

function keyOf(i: number): string {
  if (i % 5 === 0) return `user:${String(i).padStart(10, '0')}`;
  if (i % 5 === 1) return `${'\xff'.repeat(1 + (i % 9))}${i}`;
  if (i % 5 === 2) return `${i}${'\0'.repeat(1 + (i % 4))}`;
  if (i % 97 === 3) return `${i}`.padEnd(4096, 'k');
  return `${i}`;
}

for (const build of builds) {
  test(`${build}: puts, gets, deletes and scans agree with a sorted model`, () => {
    const core = new Core(build);
    const model = new Map<string, string>();
    const random = makeRandom(7);
    for (let i = 0; i < 20_000; i++) {
      const key = keyOf(random(2000));
      if (random(10) < 6) {
        const value = String.fromCharCode(97 + (i % 26)).repeat(
          random(100) === 0 ? random(40_000) : random(200),
        );
        assert.equal(core.put(key, value), model.has(key) ? 0 : 1);
        model.set(key, value);
      } else {
        assert.equal(core.delete(key), model.delete(key) ? 0 : 1);
      }
      const other = keyOf(random(2000));
      assert.equal(core.get(other), model.get(other));
    }
    assert.equal(core.instance.exports.kv_count(), model.size);
    assert.equal(core.instance.exports.kv_open(1), 0);

    const sorted = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
    const walk = (reverse: boolean): [string, string][] => {
      const all: [string, string][] = [];
      for (;;) {
        const last = all.at(-1)?.[0];
        const chunk = reverse
          ? core.scan('', false, last, true)
          : core.scan(last ?? '', last !== undefined, undefined, false);
        if (chunk.length === 0) return all;
        all.push(...chunk);
      }
    };
    assert.deepEqual(walk(false), sorted);
    assert.deepEqual(walk(true), sorted.toReversed());
    const prefixed = sorted.filter(([key]) => key.startsWith('user:00000011'));
    assert.ok(prefixed.length > 5);
    assert.deepEqual(core.scan('user:00000011', false, 'user:00000012', false), prefixed);
    assert.deepEqual(
      core.scan('user:00000011', false, 'user:00000012', true, 3),
      prefixed.toReversed().slice(0, 3),
    );

    for (const key of model.keys()) assert.equal(core.delete(key), 0);
    assert.equal(core.instance.exports.kv_count(), 0);
    assert.equal(core.instance.exports.kv_bytes(), 0);
    assert.deepEqual(core.scan('', false, undefined, false), []);
  });

  test(`${build}: batches apply and answer in order`, () => {
    const core = new Core(build);
    const pack = (key: string, value: string, flags: number): string => {
      const header = Buffer.from(Uint32Array.of(key.length, value.length, flags).buffer).toString('latin1');
      return header + (key + value).padEnd((key.length + value.length + 3) & ~3, '\0');
    };
    const operations = [
      pack('a', '1', 0),
      pack('bb', '22', 1),
      pack('a', '333', 0),
      pack('bb', '', remove),
    ].join('');
    const applied = core.write([operations]);
    assert.equal(core.batches.kv_apply_batch(applied.at[0] as number, operations.length, 4, applied.out), 4);
    assert.deepEqual([...core.instance.u32(applied.out, 2)], [0, operations.length]);

    const asked = core.write(['\x02\0\0\0bb\0\0\x01\0\0\0a\0\0\0'], 1024);
    const [keys = 0] = asked.at;
    const [heads, used, values] = [asked.out, asked.out + 8, asked.out + 16];
    assert.equal(core.instance.exports.kv_get_columns(keys, 16, 2, 0, heads, values, 100, used), 2);
    assert.deepEqual([...core.instance.u32(heads, 3)], [0, (1 << 30) | 3, 3]);
    assert.equal(Buffer.from(core.instance.bytes().slice(values, values + 3)).toString(), '333');
  });

  test(`${build}: many waiting mutations are promised less memory together than one by one`, () => {
    const core = new Core(build);
    for (let i = 0; i < 5000; i++) core.put(`key ${i}`, 'v'.repeat(100));
    const one = core.instance.exports.kv_plan(20, 100);
    const together = core.batches.kv_plan_many(10_000, 10_000 * 120, 0);
    assert.ok(one >= 2 && one < 20, `one put: ${one} frames`);
    assert.ok(together < 200, `10,000 puts: ${together} frames`);
  });

  test(`${build}: an absent block is named and the call repeated after it is adopted`, () => {
    const core = new Core(build);
    const { exports } = core.instance;
    for (let i = 0; i < 20_000; i++) core.put(`key ${i}`, `value ${i}`);
    const stored = new Map<number, Uint8Array>();
    const count = exports.checkpoint_begin(3);
    for (let i = 0; i < count; i++) {
      const { out } = core.write([]);
      exports.checkpoint_entry(i, out);
      const [segment, index = 0, address = 0, used = 0] = core.instance.u32(out, 4);
      if (segment === 1) stored.set(index, core.instance.bytes().slice(address, address + used));
      exports.checkpoint_copied(i);
    }
    exports.checkpoint_end(1);
    assert.ok(stored.size >= 3);
    for (const index of stored.keys()) assert.equal(exports.block_drop(1, index), 0);

    const fetched: number[] = [];
    for (;;) {
      const { at, out } = core.write(['key 777']);
      if (exports.kv_get(at[0] as number, 7, out) !== Status.Absent) break;
      const named = core.instance.scratch(64 * 8);
      assert.equal(exports.blocks_missed(named), 1);
      const [segment, index = 0] = core.instance.u32(named, 2);
      assert.equal(segment, 1);
      const address = exports.block_adopt(1, index) >>> 0;
      core.instance.bytes().set(stored.get(index) as Uint8Array, address);
      fetched.push(index);
    }
    assert.ok(fetched.length >= 1 && fetched.length <= 3 && fetched.length < stored.size);
    assert.equal(core.get('key 777'), 'value 777');
  });
}
