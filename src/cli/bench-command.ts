/**
 * `shibumi bench`: what this database does on this machine, through the folder or the address that is given. It works in spaces of its own,
 * which it deletes again. Vectors are random: real ones are found faster, and recall says nothing here.
 */

import type { Database, IndexType } from '../api/database.ts';
import { type Reply, table } from './reply.ts';
import { ProgressLine } from './transfer/progress.ts';

export interface BenchSize {
  readonly vectors: number;
  readonly dimension: number;
}

interface Figure {
  readonly what: string;
  readonly perSecond: number;
}

const keys = 10_000;
/** Calls under way at once. */
const depth = 32;
const searchMs = 1000;
const k = 10;
const indexTypes: readonly IndexType[] = ['Flat', 'HNSW16'];

export async function bench(db: Database, size: BenchSize, signal: AbortSignal): Promise<Reply> {
  const progress = new ProgressLine();
  const space = `shibumi-bench-${Date.now().toString(36)}`;
  const figures: Figure[] = [];
  for (const indexType of indexTypes) {
    progress.update(() => `${indexType}: ${size.vectors} vectors`);
    figures.push(...(await inSpace(db, space, () => ofVectors(db, space, indexType, size, signal))));
  }
  progress.update(() => `${keys} keys`);
  figures.push(...(await inSpace(db, space, () => ofKeys(db, space, signal))));
  progress.finish('Measured');
  const rows = figures.map(({ what, perSecond }) => [what, Math.round(perSecond)]);
  return { value: figures, text: table([`${size.vectors} x ${size.dimension}`, 'per second'], rows) };
}

async function inSpace(db: Database, space: string, run: () => Promise<Figure[]>): Promise<Figure[]> {
  try {
    return await run();
  } finally {
    await db.deleteSpace(space).catch(() => {});
  }
}

async function ofVectors(
  db: Database,
  space: string,
  indexType: IndexType,
  { vectors, dimension }: BenchSize,
  signal: AbortSignal,
): Promise<Figure[]> {
  await db.createSpace(space, 'vector', { dimension, indexType });
  const packed = Float32Array.from({ length: vectors * dimension }, () => Math.random() - 0.5);
  const ids = BigInt64Array.from({ length: vectors }, (_, i) => BigInt(i));
  const startedAt = performance.now();
  await db.insertVectors(ids, packed, { space, signal });
  const insertMs = performance.now() - startedAt;
  await db.waitForIndex({ space, signal, timeoutMs: Number.POSITIVE_INFINITY });
  const indexMs = performance.now() - startedAt;
  const queryAt = (i: number): Float32Array => {
    const row = (i * 7919) % vectors;
    return packed.subarray(row * dimension, (row + 1) * dimension);
  };
  const search = await rateOf((i) => db.searchTopK(queryAt(i), k, { space, signal }), searchMs);
  return [
    { what: `${indexType}: vectors inserted, durable`, perSecond: (vectors * 1000) / insertMs },
    ...(indexType === 'Flat'
      ? []
      : [{ what: `${indexType}: vectors indexed`, perSecond: (vectors * 1000) / indexMs }]),
    { what: `${indexType}: searches for ${k}`, perSecond: search },
  ];
}

async function ofKeys(db: Database, space: string, signal: AbortSignal): Promise<Figure[]> {
  await db.createSpace(space, 'key-value');
  const value = 'v'.repeat(100);
  const options = { space, signal };
  return [
    {
      what: `puts, durable, ${depth} at once`,
      perSecond: await rateOf((i) => db.put(`key${i % keys}`, value, options), searchMs),
    },
    {
      what: `gets, ${depth} at once`,
      perSecond: await rateOf((i) => db.get(`key${i % keys}`, options), searchMs),
    },
  ];
}

async function rateOf(call: (i: number) => Promise<unknown>, forMs: number): Promise<number> {
  const startedAt = performance.now();
  let done = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() - startedAt < forMs) await call(done++);
  };
  await Promise.all(Array.from({ length: depth }, caller));
  return (done * 1000) / (performance.now() - startedAt);
}
