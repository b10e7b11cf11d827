/** The api suite: what calls through the worker cost, beside the bare message library and a small IndexedDB library. */

import * as Comlink from 'comlink';
import type { Database, Value } from '../../../src/api/database.ts';
import { deleteDatabase, open } from '../../../src/index.ts';
import { type Metric, makeRow, median, type Row, type RowFrame } from '../row.ts';
import { interleaved, operationsPerSecond } from './callers.ts';
import type { ComlinkPeer } from './comlink-peer.ts';
import type { PagePeers } from './jobs.ts';

const callers = 1000;
const valueBytes = 100;
/** Keys of a call that takes many, and how many such calls are under way. */
const batchKeys = 1000;
const batchesInFlight = 4;

/** A library that stores keys in IndexedDB, as far as it is compared. */
interface Store {
  get(key: string): Promise<unknown>;
  put(key: string, value: Value): Promise<unknown>;
  getMany(keys: string[]): Promise<readonly unknown[]>;
  putMany(entries: [string, Value][]): Promise<unknown>;
  entries(): Promise<number>;
  clear(): Promise<unknown>;
}

export async function measureApi(quick: boolean, peers: PagePeers): Promise<Row[]> {
  const keys = quick ? 500 : 50_000;
  const rounds = quick ? 1 : 5;
  const value = new Uint8Array(valueBytes).fill(7);
  // A prime step: every key comes round, none beside the one before.
  const keyAt = (i: number): string => `key-${(i * 7919) % keys}`;
  const batchAt = (i: number): string[] =>
    Array.from({ length: batchKeys }, (_, j) => keyAt(i * batchKeys + j));
  console.log('filling');

  await deleteDatabase('api');
  const db = await open('api');
  await db.createSpace('kv', 'key-value', { durability: 'relaxed' });
  await db.useSpace('kv');
  const stores: Record<string, Store> = { shibumi: shibumiStore(db), ...(await loadStores(peers)) };
  const fill = async (content: Value): Promise<void> => {
    for (const store of Object.values(stores)) {
      for (let i = 0; i < keys; i += batchKeys) {
        const names = batchAt(i / batchKeys).slice(0, keys - i);
        await store.putMany(names.map((key) => [key, content]));
      }
    }
  };
  await fill(value);
  const worker = new Worker(new URL('./comlink-peer.ts', import.meta.url), { type: 'module' });
  const map = Comlink.wrap<ComlinkPeer>(worker);
  await map.fill(keys, value);

  /** So many for Shibumi, a few for those that take their time. */
  const counted = (name: string, count: number, others: number): number =>
    Math.min(count, quick ? 500 : name === 'shibumi' ? count : others);
  const each = (
    count: number,
    measure: (store: Store, count: number) => Promise<number>,
    others = 20_000,
  ): Record<string, () => Promise<number>> =>
    Object.fromEntries(
      Object.entries(stores).map(([name, store]) => [
        name,
        () => measure(store, counted(name, count, others)),
      ]),
    );
  console.log('gets');
  const got = await interleaved(rounds, {
    ...each(300_000, (store, count) =>
      operationsPerSecond(callers, count, async (i) => {
        if ((await store.get(keyAt(i))) === undefined) throw new Error(`Got nothing for ${keyAt(i)}`);
      }),
    ),
    comlink: () => operationsPerSecond(callers, quick ? 500 : 50_000, (i) => map.get(keyAt(i))),
  });
  console.log('puts');
  const put = await interleaved(
    rounds,
    each(
      100_000,
      (store, count) => operationsPerSecond(callers, count, (i) => store.put(keyAt(i), value)),
      // A transaction each: some thousand a second at best.
      4000,
    ),
  );
  const inBatches = async (count: number, run: (i: number) => Promise<void>): Promise<number> =>
    batchKeys * (await operationsPerSecond(batchesInFlight, Math.ceil(count / batchKeys), run));
  console.log('getMany');
  const measureGetMany = (): Promise<Map<string, number[]>> =>
    interleaved(
      rounds,
      each(400_000, (store, count) =>
        inBatches(count, async (i) => {
          const values = await store.getMany(batchAt(i));
          if (values.length !== batchKeys || values.includes(undefined))
            throw new Error('A value is missing');
        }),
      ),
    );
  const gotMany = await measureGetMany();
  console.log('putMany');
  const putMany = await interleaved(
    rounds,
    each(200_000, (store, count) =>
      inBatches(count, async (i) => {
        await store.putMany(batchAt(i).map((key) => [key, value]));
      }),
    ),
  );
  console.log('scan');
  // About as long as one scan of the others: one of ours is over before what they left behind is collected.
  const scans = quick ? 1 : 20;
  const measureScan = (): Promise<Map<string, number[]>> =>
    interleaved(rounds, {
      ...each(scans, (store, times) => perSecond(times, keys, () => store.entries()), 1),
      'by chunks': () => perSecond(scans, keys, () => scanChunks(db, false)),
      'by chunks, reused': () => perSecond(scans, keys, () => scanChunks(db, true)),
    });
  const scanned = await measureScan();
  console.log('texts');
  await fill('v'.repeat(valueBytes));
  const gotTexts = await interleaved(
    rounds,
    each(300_000, (store, count) =>
      operationsPerSecond(callers, count, async (i) => {
        if ((await store.get(keyAt(i))) === undefined) throw new Error(`Got nothing for ${keyAt(i)}`);
      }),
    ),
  );
  const gotManyTexts = await measureGetMany();
  const scannedTexts = await measureScan();
  worker.terminate();
  console.log('load');
  for (const store of Object.values(stores)) await store.clear();
  await db.close();
  await deleteDatabase('api');

  const frame = (scenario: string, subject: string): RowFrame => ({
    suite: 'api',
    scenario,
    subject,
    runtime: 'chromium',
    data: scenario === 'load' ? 'empty database' : `${keys} x ${valueBytes} B`,
    params: /^(gets|puts)$/.test(scenario)
      ? { callers }
      : /Many$/.test(scenario)
        ? { batch: batchKeys, inFlight: batchesInFlight }
        : {},
  });
  const rowsOf = (scenario: string, metric: Metric, measured: Map<string, number[]>): Row[] =>
    [...measured].map(([subject, values]) => makeRow(frame(scenario, subject), metric, median(values)));
  /** Ways of `scan` are Shibumi's. */
  const scanRows = (measured: Map<string, number[]>): Row[] =>
    rowsOf('scan', 'entriesPerSecond', measured).map((row) =>
      row.subject.startsWith('by ')
        ? { ...row, subject: 'shibumi', params: { by: row.subject.slice('by '.length) } }
        : row,
    );
  const ofTexts = (rows: Row[]): Row[] =>
    rows.map((row) => ({ ...row, data: `${keys} x ${valueBytes} ASCII characters` }));
  return [
    ...rowsOf('gets', 'getsPerSecond', got),
    ...rowsOf('puts', 'putsPerSecond', put),
    ...rowsOf('getMany', 'getsPerSecond', gotMany),
    ...rowsOf('putMany', 'putsPerSecond', putMany),
    ...scanRows(scanned),
    ...ofTexts([
      ...rowsOf('gets', 'getsPerSecond', gotTexts),
      ...rowsOf('getMany', 'getsPerSecond', gotManyTexts),
      ...scanRows(scannedTexts),
    ]),
    ...rowsOf(
      'load',
      'openMs',
      await interleaved(quick ? 1 : 9, { shibumi: openEmpty, indexeddb: openBare }),
    ),
  ];
}

function shibumiStore(db: Database): Store {
  return {
    get: (key) => db.get(key),
    put: (key, value) => db.put(key, value),
    getMany: (keys) => db.getMany(keys),
    putMany: (entries) => db.putMany(entries.map(([key, value]) => ({ key, value }))),
    entries: () => scanAll(db),
    clear: () => db.clear(),
  };
}

/** Those that are installed, each with its own names for the same calls. */
async function loadStores({ idbKeyval, dexie }: PagePeers): Promise<Record<string, Store>> {
  const stores: Record<string, Store> = {};
  if (idbKeyval !== undefined) {
    const keyval = (await import(/* @vite-ignore */ idbKeyval)) as IdbKeyval;
    stores['idb-keyval'] = {
      get: keyval.get,
      put: keyval.set,
      getMany: keyval.getMany,
      putMany: keyval.setMany,
      entries: async () => (await keyval.entries()).length,
      clear: keyval.clear,
    };
  }
  if (dexie !== undefined) {
    const { Dexie } = (await import(/* @vite-ignore */ dexie)) as DexieModule;
    const database = new Dexie('api-dexie');
    // Keys apart from values.
    database.version(1).stores({ kv: '' });
    const table = database.table('kv');
    stores.dexie = {
      get: (key) => table.get(key),
      put: (key, value) => table.put(value, key),
      getMany: (keys) => table.bulkGet(keys),
      putMany: (entries) =>
        table.bulkPut(
          entries.map(([, value]) => value),
          entries.map(([key]) => key),
        ),
      entries: async () => (await table.toArray()).length,
      clear: () => table.clear(),
    };
  }
  return stores;
}

/** What is used of idb-keyval. */
interface IdbKeyval {
  get(key: string): Promise<Value | undefined>;
  set(key: string, value: Value): Promise<void>;
  getMany(keys: string[]): Promise<(Value | undefined)[]>;
  setMany(entries: [string, Value][]): Promise<void>;
  entries(): Promise<[string, Value][]>;
  clear(): Promise<void>;
}

/** What is used of Dexie. */
interface DexieModule {
  Dexie: new (
    name: string,
  ) => {
    version(number: number): { stores(schema: Record<string, string>): void };
    table(name: string): {
      get(key: string): Promise<unknown>;
      put(value: Value, key: string): Promise<unknown>;
      bulkGet(keys: string[]): Promise<unknown[]>;
      bulkPut(values: Value[], keys: string[]): Promise<unknown>;
      toArray(): Promise<unknown[]>;
      clear(): Promise<void>;
    };
  };
}

async function scanAll(db: Database): Promise<number> {
  let entries = 0;
  for await (const { value } of db.scan()) if (value.length === valueBytes) entries++;
  return entries;
}

async function scanChunks(db: Database, reuse: boolean): Promise<number> {
  let entries = 0;
  for await (const chunk of db.scan().chunks({ reuse }))
    for (const { value } of chunk) if (value.length === valueBytes) entries++;
  return entries;
}

async function perSecond(times: number, expected: number, run: () => Promise<number>): Promise<number> {
  const started = performance.now();
  for (let time = 0; time < times; time++) {
    const entries = await run();
    if (entries !== expected) throw new Error(`Got ${entries} entries, expected ${expected}`);
  }
  return (times * expected * 1000) / (performance.now() - started);
}

/** Spawning the worker, compiling the core, making the database. */
async function openEmpty(): Promise<number> {
  await deleteDatabase('empty');
  const started = performance.now();
  const db = await open('empty');
  const took = performance.now() - started;
  await db.close();
  await deleteDatabase('empty');
  return took;
}

/** What that costs at least: a worker that answers, and a database of IndexedDB's own with one durable record. */
async function openBare(): Promise<number> {
  const name = 'bare';
  await dropBare(name);
  const started = performance.now();
  const worker = new Worker(new URL('./comlink-peer.ts', import.meta.url), { type: 'module' });
  await Comlink.wrap<ComlinkPeer>(worker).makeDatabase(name);
  const took = performance.now() - started;
  worker.terminate();
  await dropBare(name);
  return took;
}

function dropBare(name: string): Promise<void> {
  const dropping = indexedDB.deleteDatabase(name);
  return new Promise((resolve, reject) => {
    dropping.onsuccess = () => resolve();
    dropping.onerror = () => reject(dropping.error);
  });
}
