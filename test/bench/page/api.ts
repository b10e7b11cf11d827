/** The api suite: what calls through the worker cost, beside the bare message library and a small IndexedDB library. */

import * as Comlink from 'comlink';
import type { Database } from '../../../src/api/database.ts';
import { deleteDatabase, open } from '../../../src/index.ts';
import { makeRow, median, type Row, type RowFrame } from '../row.ts';
import { interleaved, operationsPerSecond } from './callers.ts';
import type { ComlinkPeer } from './comlink-peer.ts';
import type { PagePeers } from './jobs.ts';

const callers = 1000;
const valueBytes = 100;

/** What is used of idb-keyval. */
interface IdbKeyval {
  setMany(entries: [string, Uint8Array][]): Promise<void>;
  get(key: string): Promise<Uint8Array | undefined>;
  entries(): Promise<[string, Uint8Array][]>;
  clear(): Promise<void>;
}

export async function measureApi(quick: boolean, peers: PagePeers): Promise<Row[]> {
  const keys = quick ? 500 : 50_000;
  const rounds = quick ? 1 : 5;
  const value = new Uint8Array(valueBytes).fill(7);
  // A prime step: every key comes round, none beside the one before.
  const keyAt = (i: number): string => `key-${(i * 7919) % keys}`;
  console.log('gets and scan');

  await deleteDatabase('api');
  const db = await open('api');
  await db.createSpace('kv', 'key-value', { durability: 'relaxed' });
  await db.useSpace('kv');
  await operationsPerSecond(callers, keys, (i) => db.put(`key-${i}`, value));
  const worker = new Worker(new URL('./comlink-peer.ts', import.meta.url), { type: 'module' });
  const map = Comlink.wrap<ComlinkPeer>(worker);
  await map.fill(keys, value);
  const keyval = await loadIdbKeyval(peers, keys, value);

  const gets = (count: number, get: (key: string) => Promise<unknown>) => () =>
    operationsPerSecond(callers, quick ? 500 : count, async (i) => {
      if ((await get(keyAt(i))) === undefined) throw new Error(`Got nothing for ${keyAt(i)}`);
    });
  const got = await interleaved(rounds, {
    shibumi: gets(300_000, (key) => db.get(key)),
    comlink: gets(50_000, (key) => map.get(key)),
    ...(keyval === undefined ? {} : { 'idb-keyval': gets(20_000, (key) => keyval.get(key)) }),
  });
  const scanned = await interleaved(rounds, {
    shibumi: () => perSecond(keys, () => scanAll(db)),
    ...(keyval === undefined
      ? {}
      : { 'idb-keyval': () => perSecond(keys, async () => (await keyval.entries()).length) }),
  });
  worker.terminate();
  await keyval?.clear();
  await db.close();
  await deleteDatabase('api');

  const frame = (scenario: string, subject: string): RowFrame => ({
    suite: 'api',
    scenario,
    subject,
    runtime: 'chromium',
    data: scenario === 'load' ? 'empty database' : `${keys} x ${valueBytes} B`,
    params: scenario === 'gets' ? { callers } : {},
  });
  return [
    ...[...got].map(([subject, v]) => makeRow(frame('gets', subject), 'getsPerSecond', median(v))),
    ...[...scanned].map(([subject, v]) => makeRow(frame('scan', subject), 'entriesPerSecond', median(v))),
    makeRow(frame('load', 'shibumi'), 'openMs', median(await openEmpty(quick ? 1 : 7))),
  ];
}

async function loadIdbKeyval(
  { idbKeyval }: PagePeers,
  keys: number,
  value: Uint8Array,
): Promise<IdbKeyval | undefined> {
  if (idbKeyval === undefined) return undefined;
  const keyval = (await import(/* @vite-ignore */ idbKeyval)) as IdbKeyval;
  await keyval.setMany(Array.from({ length: keys }, (_, i) => [`key-${i}`, value]));
  return keyval;
}

async function scanAll(db: Database): Promise<number> {
  let entries = 0;
  for await (const { value } of db.scan()) if (value.length === valueBytes) entries++;
  return entries;
}

async function perSecond(expected: number, run: () => Promise<number>): Promise<number> {
  const started = performance.now();
  const entries = await run();
  if (entries !== expected) throw new Error(`Got ${entries} entries, expected ${expected}`);
  return (entries * 1000) / (performance.now() - started);
}

/** Spawning the worker, compiling the core, making the database. */
async function openEmpty(times: number): Promise<number[]> {
  const took: number[] = [];
  for (let i = 0; i < times; i++) {
    await deleteDatabase('empty');
    const started = performance.now();
    const db = await open('empty');
    took.push(performance.now() - started);
    await db.close();
  }
  await deleteDatabase('empty');
  return took;
}
