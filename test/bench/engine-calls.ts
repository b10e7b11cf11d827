/**
 * The part of the api suite that has no page: the engine in this process, over memory, without RPC. `engine gets` and `engine
 * puts` call a session, which is what every transport ends at; `path: database` goes through the client as a caller does.
 */

import { setImmediate } from 'node:timers/promises';
import { ValuePool } from '../../src/base/value-pool.ts';
import { openClient } from '../../src/client/open-client.ts';
import { Session } from '../../src/engine/session.ts';
import { supportedBuild } from '../../src/kernel/module.ts';
import { DirectTransport } from '../../src/local/direct-transport.ts';
import { MemoryBackend } from '../../src/storage/memory-backend.ts';
import { startNodeEngine } from '../support/node-database.ts';
import { makeRow, median, type Params, type Row } from './row.ts';

const valueBytes = 100;
const batchKeys = 1000;
const space = 'kv';

export async function measureEngine(quick: boolean): Promise<Row[]> {
  const keys = quick ? 2000 : 1_000_000;
  const rounds = quick ? 1 : 3;
  const build = supportedBuild();
  if (build === undefined) throw new Error('Got no WASM SIMD, expected it');
  const engine = await startNodeEngine('engine-calls', { backend: new MemoryBackend(), build });
  const session = new Session(engine, () => engine.close(), new ValuePool());
  const db = await openClient(() => new DirectTransport(session), {});
  const value = new Uint8Array(valueBytes).fill(7);
  // A prime step: every key comes round, none beside the one before. Made ahead: making them is not what is measured.
  const names = Array.from({ length: keys }, (_, i) => `key-${(i * 7919) % keys}`);
  const batches = Array.from({ length: Math.ceil(keys / batchKeys) }, (_, i) =>
    names.slice(i * batchKeys, (i + 1) * batchKeys),
  );

  const perSecond = async (run: () => Promise<void>): Promise<number> => {
    const took: number[] = [];
    for (let round = 0; round < rounds; round++) {
      // What the round before left to do in the background is not part of this one.
      await setImmediate();
      const started = performance.now();
      await run();
      took.push(performance.now() - started);
    }
    return (keys * 1000) / median(took);
  };
  const row = (
    scenario: string,
    metric: 'getsPerSecond' | 'putsPerSecond' | 'bytesPerKey',
    measured: number,
    params: Params,
  ): Row =>
    makeRow(
      {
        suite: 'api',
        scenario,
        subject: 'shibumi',
        runtime: 'node',
        data: `${keys} x ${valueBytes} B`,
        params: { build, ...params },
      },
      metric,
      measured,
    );

  await db.createSpace(space, 'key-value', { durability: 'relaxed' });
  const rows = [
    row(
      'engine puts',
      'putsPerSecond',
      await perSecond(async () => {
        for (const key of names) await session.call('put', { space, key, value }, {});
      }),
      { path: 'session', callers: 1 },
    ),
    row(
      'engine gets',
      'getsPerSecond',
      await perSecond(async () => {
        for (const key of names) found(await session.call('get', { space, key }, {}));
      }),
      { path: 'session', callers: 1 },
    ),
    row(
      'engine gets',
      'getsPerSecond',
      await perSecond(async () => {
        for (const key of names) found(await db.get(key, { space }));
      }),
      { path: 'database', callers: 1 },
    ),
    row(
      'engine gets',
      'getsPerSecond',
      await perSecond(async () => {
        for (const batch of batches) {
          const { heads } = await session.call('getMany', { space, keys: batch }, {});
          if (heads.length !== batch.length)
            throw new Error(`Got ${heads.length} values, expected ${batch.length}`);
        }
      }),
      { path: 'session', batch: batchKeys },
    ),
  ];
  // Texts: an array of 100 bytes costs more to make than to find.
  const texts = 'texts';
  const text = 'x'.repeat(valueBytes);
  await db.createSpace(texts, 'key-value', { durability: 'relaxed' });
  for (const batch of batches)
    await db.putMany(
      batch.map((key) => ({ key, value: text })),
      { space: texts },
    );
  rows.push(
    row(
      'engine gets',
      'getsPerSecond',
      await perSecond(async () => {
        for (const key of names) found(await session.call('get', { space: texts, key }, {}));
      }),
      { path: 'session', callers: 1, value: 'text' },
    ),
  );
  // Before anything is deleted; keys as they were put, one after another in no order.
  const { memoryBytes } = await db.describeSpace(space);
  const payload = names.reduce((sum, key) => sum + key.length + valueBytes, 0);
  rows.push(row('engine puts', 'bytesPerKey', (memoryBytes - payload) / keys, { over: 'payload' }));
  await db.close();
  return rows;
}

function found(value: unknown): void {
  if (value === undefined) throw new Error('Got nothing for a key that was put');
}
