/** How much of a streamed value is in memory: never more than a part, however slow storage or caller. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DatabaseEngine } from '../../src/engine/database-engine.ts';
import { Session } from '../../src/engine/session.ts';
import { defaultSettings } from '../../src/engine/settings.ts';
import { oneCore } from '../../src/kernel/module.ts';
import type { StoredBlock } from '../../src/storage/backend.ts';
import { MemoryBackend } from '../../src/storage/memory-backend.ts';
import { nodeCore } from '../support/node-database.ts';

const MiB = 1024 * 1024;

/** Writes nothing until it is told to, and notes how much was read at once. */
class SlowBackend extends MemoryBackend {
  open: () => void = () => {};
  gate: Promise<void> = Promise.resolve();
  mostRead = 0;

  shut(): void {
    this.gate = new Promise((resolve) => {
      this.open = resolve;
    });
  }

  override async writeBlocks(space: number, blocks: readonly StoredBlock[]): Promise<void> {
    await this.gate;
    return super.writeBlocks(space, blocks);
  }

  override async readBlocks(
    ...args: Parameters<MemoryBackend['readBlocks']>
  ): ReturnType<MemoryBackend['readBlocks']> {
    const read = await super.readBlocks(...args);
    this.mostRead = Math.max(
      this.mostRead,
      read.reduce((sum, bytes) => sum + (bytes?.length ?? 0), 0),
    );
    return read;
  }
}

async function opened(): Promise<{ backend: SlowBackend; engine: DatabaseEngine; session: Session }> {
  const backend = new SlowBackend();
  const engine = await DatabaseEngine.open({
    name: 'streams',
    cores: oneCore(nodeCore()),
    backend,
    now: () => performance.now(),
    settings: defaultSettings,
  });
  const session = new Session(engine);
  await session.call('createSpace', { name: 'kv', engine: 'key-value', options: {} }, {});
  return { backend, engine, session };
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));

test('an upload takes no more than a transaction while storage is slow, and goes on when it is not', async () => {
  const { backend, engine, session } = await opened();
  const upload = await session.call('uploadOpen', { space: 'kv', key: 'k', isText: false }, {});
  backend.shut();
  let taken = 0;
  const pushing = (async () => {
    for (let i = 0; i < 32; i++) {
      await session.call('uploadNext', { upload, bytes: new Uint8Array(MiB).fill(i), last: false }, {});
      taken += MiB;
    }
    await session.call('uploadNext', { upload, bytes: new Uint8Array(0), last: true }, {});
  })();
  await settled();
  assert.ok(taken >= MiB && taken <= 5 * MiB, `${taken} bytes were taken while nothing was written`);
  backend.open();
  await pushing;
  const { memoryBytes } = await session.call('describeSpace', { name: 'kv' }, {});
  assert.ok(memoryBytes < 4 * MiB, `${memoryBytes} bytes of memory`);
  // Read: never more at once than a part.
  for (let from = 0, identity: string | undefined; from < 32 * MiB; ) {
    const args = { space: 'kv', key: 'k', from, ...(identity === undefined ? {} : { identity }) };
    const part = await session.call('getPart', args, {});
    assert.ok(part !== undefined && part.bytes.length > 0 && part.length === 32 * MiB);
    assert.equal(part.bytes[0], Math.floor(from / MiB));
    identity = part.identity;
    from += part.bytes.length;
  }
  assert.equal(backend.mostRead, MiB);
  await assert.rejects(
    async () => session.call('getPart', { space: 'kv', key: 'k', from: 32 * MiB }, {}),
    /offset below 33554432/,
  );
  await engine.close();
});

test('closing waits for no upload, and a session that ends takes its uploads along', async () => {
  const { engine, session } = await opened();
  const other = new Session(engine);
  const bytes = new Uint8Array(MiB);
  const left = await other.call('uploadOpen', { space: 'kv', key: 'left', isText: false }, {});
  await other.call('uploadNext', { upload: left, bytes, last: false }, {});
  assert.equal(engine.uploads.size, 1);
  await other.call('close', {}, {});
  assert.equal(engine.uploads.size, 0);
  for (let i = 0; i < 16; i++)
    await session.call('uploadOpen', { space: 'kv', key: `k${i}`, isText: false }, {});
  assert.throws(
    () => session.call('uploadOpen', { space: 'kv', key: 'one more', isText: false }, {}),
    /16 uploads/,
  );
  // Nobody else's, however its name was found out.
  const [first] = [...engine.uploads];
  await first?.take(bytes);
  await assert.rejects(
    async () => new Session(engine).call('uploadNext', { upload: left, bytes, last: true }, {}),
    /not under way/,
  );
  await engine.close();
});

test('where storage fails in the middle the upload says so, and nothing is left', async () => {
  const { backend, engine, session } = await opened();
  const upload = await session.call('uploadOpen', { space: 'kv', key: 'k', isText: false }, {});
  backend.shut();
  backend.gate = Promise.reject(new Error('the disk is gone'));
  backend.gate.catch(() => {});
  await assert.rejects(async () => {
    for (let i = 0; i < 16; i++)
      await session.call('uploadNext', { upload, bytes: new Uint8Array(MiB), last: i === 15 }, {});
  }, /the disk is gone/);
  backend.gate = Promise.resolve();
  assert.equal(await session.call('exists', { space: 'kv', key: 'k' }, {}), false);
  assert.equal(engine.uploads.size, 0);
  await session.call('put', { space: 'kv', key: 'k', value: 'sound' }, {});
  await engine.close();
});
