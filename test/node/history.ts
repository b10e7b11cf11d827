/**
 * A history of writes that can be told from its number alone: operation n of a space is always the same, so that a process
 * which is killed needs to report nothing but how far it was acknowledged, and whoever opens the database afterwards can
 * say which prefix of the history is in it.
 */

import type { Database } from '../../src/api/database.ts';
import { defaultSettings, type Settings } from '../../src/engine/settings.ts';

/** So small that many checkpoints and log files come and go within a second. */
export const smallSettings: Settings = {
  ...defaultSettings,
  checkpointLogBytes: 96 * 1024,
  checkpointIdleMs: 15,
};

export const spaceNames = ['strict', 'relaxed', 'vectors', 'bulk'] as const;
export type SpaceName = (typeof spaceNames)[number];

/** Operations that are under way at the same time. */
export const inFlight = 6;
export const dimension = 24;
const bulkRows = 30;

export async function createSpaces(db: Database): Promise<void> {
  const there = new Set((await db.listSpaces()).map(({ name }) => name));
  if (!there.has('strict')) await db.createSpace('strict', 'key-value');
  if (!there.has('relaxed')) await db.createSpace('relaxed', 'key-value', { durability: 'relaxed' });
  const vectors = { dimension, indexType: 'HNSW8' } as const;
  if (!there.has('vectors'))
    await db.createSpace('vectors', 'vector', { ...vectors, durability: { everyOps: 9 } });
  if (!there.has('bulk')) await db.createSpace('bulk', 'vector', vectors);
}

/** What operation `n` writes: keys or ids with their new contents, `undefined` for a deletion. */
export function changesOf(space: SpaceName, n: number): Map<string, string | undefined> {
  if (space === 'strict' || space === 'relaxed') {
    const value = n % 5 === 4 ? undefined : `${n}:${'x'.repeat((n * 37) % 900)}`;
    return new Map([[`key ${(n * 7) % 211}`, value]]);
  }
  if (space === 'vectors') {
    const value = n % 7 === 6 ? undefined : vectorOf(n).join();
    return new Map([[String((n * 11) % 173), value]]);
  }
  return new Map(bulkOf(n).ids.map((id, row) => [String(id), vectorOf(n * bulkRows + row).join()]));
}

export async function run(db: Database, space: SpaceName, n: number): Promise<void> {
  if (space === 'bulk') {
    const { ids, vectors } = bulkOf(n);
    await db.insertVectors(ids, vectors, { space });
    return;
  }
  for (const [key, value] of changesOf(space, n)) {
    if (space === 'vectors') {
      if (value === undefined) await db.deleteVector(Number(key), { space });
      else await db.insertVector(Number(key), vectorOf(n), { space });
    } else if (value === undefined) await db.delete(key, { space });
    else await db.put(key, value, { space });
  }
}

/** Everything a space holds, in the form of `changesOf`. */
export async function contentsOf(db: Database, space: SpaceName): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  if (space === 'strict' || space === 'relaxed') {
    for await (const { key, value } of db.scan({ space })) found.set(key, String(value));
  } else {
    for await (const { id, vector } of db.scanVectors({ space })) found.set(String(id), vector.join());
  }
  return found;
}

function vectorOf(n: number): Float32Array {
  return Float32Array.from({ length: dimension }, (_, i) => Math.sin(n * 1.7 + i * 0.9));
}

/** One call's worth of vectors: atomic, because it is far below the chunk of 1 MiB. */
function bulkOf(n: number): { ids: number[]; vectors: Float32Array } {
  const ids = Array.from({ length: bulkRows }, (_, row) => (n % 9) * bulkRows + row);
  const vectors = new Float32Array(bulkRows * dimension);
  for (let row = 0; row < bulkRows; row++) vectors.set(vectorOf(n * bulkRows + row), row * dimension);
  return { ids, vectors };
}
