/**
 * A disk that fails in the middle: every write operation of a small history is made to fail in turn, by every kind of
 * failure. What was acknowledged is there afterwards, what was refused left nothing behind, and after a failed flush
 * nothing is written any more.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isShibuDbError } from '../../src/api/errors.ts';
import { FileBackend } from '../../src/node/file-backend.ts';
import { type FileSystem, nodeFileSystem, type OpenFile } from '../../src/node/file-system.ts';
import { blockOf, catalogOf, manifestOf, recordOf } from '../support/backend-cases.ts';
import { checksum, freshFolder } from './places.ts';

type Step = 'write' | 'flush' | 'truncate' | 'rename' | 'flushFolder' | 'create';
type Fault = (step: Step, file: string) => { code: string; partial?: boolean } | undefined;

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: made to fail`), { code });
}

/** The real file system, with `fault` asked before every step that changes something. */
function faultyFileSystem(fault: Fault): FileSystem {
  const check = (step: Step, file: string): void => {
    const found = fault(step, file);
    if (found !== undefined) throw failure(found.code);
  };
  const wrap = (file: OpenFile): OpenFile => ({
    path: file.path,
    read: (at, bytes) => file.read(at, bytes),
    close: () => file.close(),
    async write(parts, at) {
      const found = fault('write', file.path);
      if (found === undefined) return file.write(parts, at);
      const whole = Buffer.concat(parts);
      if (found.partial) await file.write([whole.subarray(0, whole.length / 2)], at);
      throw failure(found.code);
    },
    async truncate(bytes) {
      check('truncate', file.path);
      await file.truncate(bytes);
    },
    async flush() {
      check('flush', file.path);
      await file.flush();
    },
  });
  return {
    ...nodeFileSystem,
    async open(file, mode) {
      if (mode === 'create') check('create', file);
      return wrap(await nodeFileSystem.open(file, mode));
    },
    async rename(from, to) {
      check('rename', to);
      await nodeFileSystem.rename(from, to);
    },
    async flushFolder(folder) {
      check('flushFolder', folder);
      await nodeFileSystem.flushFolder(folder);
    },
  };
}

async function sequencesIn(folder: string): Promise<number[]> {
  const backend = await FileBackend.open(folder, checksum);
  try {
    await backend.readState();
    return (await backend.readLog(1, 0)).map(({ sequence }) => sequence);
  } finally {
    await backend.closed();
  }
}

/** Opens over a disk that can be broken by setting `now`. */
async function breakable(folder: string) {
  const state: { now: Fault } = { now: () => undefined };
  const backend = await FileBackend.open(
    folder,
    checksum,
    faultyFileSystem((step, file) => state.now(step, file)),
  );
  await backend.writeCatalog(catalogOf([1], checksum), []);
  return { backend, state };
}

test('a full disk refuses the append, takes back what was half-written, and goes on when there is room', async () => {
  await using folder = await freshFolder();
  const { backend, state } = await breakable(folder.path);
  await backend.append([recordOf(1, 0, checksum)], true);
  for (const partial of [true, false]) {
    state.now = (step) => (step === 'write' ? { code: 'ENOSPC', partial } : undefined);
    await assert.rejects(
      () => backend.append([recordOf(1, 1, checksum)], true),
      (error) => {
        assert.ok(isShibuDbError(error));
        assert.equal(error.code, 'QUOTA_EXCEEDED');
        assert.match(error.message, new RegExp(folder.path));
        return true;
      },
    );
    assert.deepEqual((await backend.readLog(1, 0)).length, 1);
  }
  state.now = () => undefined;
  await backend.append([recordOf(1, 1, checksum)], true);
  await backend.closed();
  assert.deepEqual(await sequencesIn(folder.path), [0, 1]);
});

test('an append to several spaces that fails in the second leaves nothing in the first', async () => {
  await using folder = await freshFolder();
  const { backend, state } = await breakable(folder.path);
  await backend.writeCatalog(catalogOf([1, 2], checksum), []);
  await backend.append([recordOf(1, 0, checksum), recordOf(2, 0, checksum)], true);
  state.now = (step, file) =>
    step === 'write' && file.includes('space-2') ? { code: 'ENOSPC', partial: true } : undefined;
  const both = [recordOf(1, 1, checksum), recordOf(2, 1, checksum)];
  await assert.rejects(() => backend.append(both, false), { code: 'QUOTA_EXCEEDED' });
  state.now = () => undefined;
  assert.equal((await backend.readLog(1, 0)).length, 1);
  assert.equal((await backend.readLog(2, 0)).length, 1);
  await backend.append(both, true);
  await backend.closed();
  assert.deepEqual(await sequencesIn(folder.path), [0, 1]);
});

test('an append that fails before the log was ever read takes nothing acknowledged with it', async () => {
  await using folder = await freshFolder();
  const first = await breakable(folder.path);
  await first.backend.append([recordOf(1, 0, checksum)], true);
  await first.backend.closed();
  const { backend, state } = await breakable(folder.path);
  state.now = (step) => (step === 'write' ? { code: 'EIO', partial: true } : undefined);
  await assert.rejects(() => backend.append([recordOf(1, 1, checksum)], false), { code: 'STORAGE_FAILED' });
  await backend.closed();
  assert.deepEqual(await sequencesIn(folder.path), [0]);
});

test('a failed flush is final: a later one that succeeds would prove nothing', async () => {
  await using folder = await freshFolder();
  const { backend, state } = await breakable(folder.path);
  await backend.append([recordOf(1, 0, checksum)], true);
  state.now = (step) => (step === 'flush' ? { code: 'EIO' } : undefined);
  await assert.rejects(() => backend.append([recordOf(1, 1, checksum)], true), { code: 'STORAGE_FAILED' });
  state.now = () => undefined;
  const refused = { code: 'STORAGE_FAILED', message: /open the database again/ };
  await assert.rejects(() => backend.append([recordOf(1, 1, checksum)], true), refused);
  await assert.rejects(() => backend.flush(), refused);
  await assert.rejects(() => backend.writeCatalog(catalogOf([1], checksum), []), refused);
  await assert.rejects(() => backend.publish(1, manifestOf(1, checksum)), refused);
  assert.equal((await backend.readLog(1, 0)).length, 1, 'reading still works');
  await backend.closed();
  assert.deepEqual(await sequencesIn(folder.path), [0]);
});

test('an append whose traces cannot be removed is the last', async () => {
  await using folder = await freshFolder();
  const { backend, state } = await breakable(folder.path);
  await backend.append([recordOf(1, 0, checksum)], true);
  state.now = (step) => {
    if (step === 'write') return { code: 'ENOSPC', partial: true };
    return step === 'truncate' ? { code: 'EIO' } : undefined;
  };
  // Not QUOTA_EXCEEDED, which promises that nothing was written.
  await assert.rejects(() => backend.append([recordOf(1, 1, checksum)], false), { code: 'STORAGE_FAILED' });
  state.now = () => undefined;
  await assert.rejects(() => backend.append([recordOf(1, 1, checksum)], false), { code: 'STORAGE_FAILED' });
  await backend.closed();
  assert.deepEqual(await sequencesIn(folder.path), [0]);
});

/** A history of one space: appends, and a checkpoint after every third. Answers with what was acknowledged. */
async function runHistory(backend: FileBackend) {
  const acknowledged = { records: 0, generation: 0 };
  let logFrom = 0;
  for (let step = 1; step <= 9; step++) {
    const sequence = acknowledged.records;
    await backend.append([recordOf(1, sequence, checksum)], step % 2 === 0);
    acknowledged.records++;
    if (step % 3 !== 0) continue;
    const generation = step / 3;
    logFrom = acknowledged.records;
    await backend.writeBlocks(1, [blockOf(0, generation, 5000), blockOf(generation, generation, 5000)]);
    await backend.publish(1, manifestOf(generation, checksum));
    acknowledged.generation = generation;
    await backend.drop(1, generation === 1 ? [] : [{ block: 0, generation: generation - 1 }], logFrom);
  }
  return acknowledged;
}

test('whichever step fails, the next open finds what was acknowledged', async () => {
  let failing = 0;
  let finished = false;
  while (!finished) {
    await using folder = await freshFolder();
    const { backend, state } = await breakable(folder.path);
    let steps = 0;
    const codes = ['ENOSPC', 'EIO'] as const;
    state.now = () => {
      const hit = steps++ === failing;
      return hit ? { code: codes[failing % 2] as string, partial: true } : undefined;
    };
    const acknowledged = { records: 0, generation: 0 };
    try {
      const watched = new Proxy(backend, {
        get(target, name) {
          const method = Reflect.get(target, name);
          if (typeof method !== 'function') return method;
          return async (...args: unknown[]) => {
            const result = await method.apply(target, args);
            if (name === 'append') acknowledged.records++;
            if (name === 'publish') acknowledged.generation++;
            return result;
          };
        },
      });
      await runHistory(watched);
      finished = steps <= failing;
    } catch (error) {
      assert.ok(isShibuDbError(error), String(error));
    }
    await backend.closed();
    await assertKept(folder.path, acknowledged, `step ${failing}`);
    failing++;
  }
  assert.ok(failing > 40, `only ${failing} steps were made to fail`);
});

async function assertKept(
  folder: string,
  { records, generation }: { records: number; generation: number },
  where: string,
): Promise<void> {
  const backend = await FileBackend.open(folder, checksum);
  try {
    const { manifests } = await backend.readState();
    const expected = [generation, generation + 1].map((each) => manifestOf(each, checksum));
    if (generation > 0 || manifests.has(1)) {
      const found = manifests.get(1);
      assert.ok(
        expected.some((each) => Buffer.from(each).equals(found ?? new Uint8Array(0))),
        where,
      );
      const published = Buffer.from(expected[1] as Uint8Array).equals(found as Uint8Array)
        ? generation + 1
        : generation;
      for (let block = 1; block <= published; block++) {
        const [bytes] = await backend.readBlocks(1, [{ block, generation: block }]);
        assert.deepEqual(bytes, blockOf(block, block, 5000).bytes, `${where}: block ${block}`);
      }
      const [newest] = await backend.readBlocks(1, [{ block: 0, generation: published }]);
      assert.deepEqual(newest, blockOf(0, published, 5000).bytes, `${where}: block 0`);
    }
    // From where the acknowledged manifest needs it on; an unacknowledged record may be there too.
    const from = generation * 3;
    const found = (await backend.readLog(1, from)).map(({ sequence }) => sequence);
    const least = Array.from({ length: Math.max(0, records - from) }, (_, i) => from + i);
    assert.deepEqual(found.slice(0, least.length), least, where);
    assert.ok(found.length <= least.length + 1, `${where}: found ${found}`);
  } finally {
    await backend.closed();
  }
}
