/**
 * What a bulk insert is best acknowledged by: the log, as the engine does it, or a checkpoint of what it changed. Over real files with
 * real flushes, Flat, so that only storing is measured; the checkpoint is that of a space without a log (`durability: 'none'`).
 */

import { FileBackend } from '../../src/node/file-backend.ts';
import { type DataSet, rowCount } from '../data/data-set.ts';
import { checksum, freshFolder } from '../node/places.ts';
import { openNodeDatabase } from '../support/node-database.ts';
import { makeRow, median, type Row, type RowFrame } from './row.ts';
import { WrittenBytes } from './storage-node.ts';

/** Vectors in a call. */
const calls = [1000, 10_000, 50_000];
const rounds = 3;
const space = 'bulk';

/** In turns, so that both have the same disk. */
export async function measureBulk(data: DataSet, log: (line: string) => void): Promise<Row[]> {
  const rows: Row[] = [];
  for (const call of calls.filter((count) => count <= rowCount(data))) {
    log(`storage: bulk inserts of ${call}`);
    const found = { log: [] as Load[], checkpoint: [] as Load[] };
    for (let round = 0; round < rounds; round++) {
      found.log.push(await load(data, call, 'log'));
      found.checkpoint.push(await load(data, call, 'checkpoint'));
    }
    for (const [acknowledgedBy, loads] of Object.entries(found)) {
      const frame: RowFrame = {
        suite: 'storage',
        scenario: 'bulk',
        subject: 'shibumi',
        runtime: 'node',
        data: data.name,
        params: { indexType: 'Flat', acknowledgedBy, vectorsPerCall: call },
      };
      rows.push(
        makeRow(frame, 'putsPerSecond', median(loads.map(({ perSecond }) => perSecond))),
        makeRow(frame, 'bytesPerVector', median(loads.map(({ bytes }) => bytes))),
      );
    }
  }
  return rows;
}

interface Load {
  readonly perSecond: number;
  /** Written for a vector until everything is in a checkpoint. */
  readonly bytes: number;
}

async function load(data: DataSet, call: number, acknowledgedBy: 'log' | 'checkpoint'): Promise<Load> {
  await using folder = await freshFolder();
  const backend = await FileBackend.open(folder.path, checksum);
  const written = new WrittenBytes();
  const db = await openNodeDatabase('bulk', { backend: written.watch(backend) });
  const { dimension, metric } = data;
  const durability = acknowledgedBy === 'log' ? 'strict' : 'none';
  await db.createSpace(space, 'vector', { dimension, metric, durability });
  // Smaller calls take longer for as many: fewer of them say as much.
  const most = Math.min(rowCount(data), call * 20, 50_000);
  const count = most - (most % call);
  const started = performance.now();
  for (let from = 0; from < count; from += call) {
    const ids = BigInt64Array.from({ length: call }, (_, i) => BigInt(from + i));
    await db.insertVectors(ids, data.base.subarray(from * dimension, (from + call) * dimension), { space });
    if (acknowledgedBy === 'checkpoint') await db.checkpoint();
  }
  const seconds = (performance.now() - started) / 1000;
  await db.checkpoint();
  await db.close();
  await backend.closed();
  return { perSecond: count / seconds, bytes: (written.log + written.checkpoints) / count };
}
