/** The storage suite: acknowledged writes, and opening again, beside IndexedDB used directly. */

import { openDB } from 'idb';
import type { Database } from '../../../src/api/database.ts';
import { deleteDatabase, type OpenOptions, open } from '../../../src/index.ts';
import type { DataSet } from '../../data/data-set.ts';
import { makeRow, median, percentile, type Row, type RowFrame } from '../row.ts';
import { fillDatabase, timeOpen } from '../shibumi-subject.ts';
import { interleaved, operationsPerSecond } from './callers.ts';
import { type PagePeers, storageInPage } from './jobs.ts';
import { measureCrashed, readStored } from './storage-crash.ts';

const callers = 64;
const valueBytes = 100;
const dimension = 384;
/** A key, not a password: what that costs on top is chosen, once an opening. */
const encryption = { key: new Uint8Array(32).fill(5) };

/** `only`: a regular expression that the scenario has to match. */
export async function measureStorage(
  { quick, only }: { quick: boolean; only: string },
  peers: PagePeers,
): Promise<Row[]> {
  const pattern = new RegExp(only);
  const rows: Row[] = [];
  for (const scenario of storageInPage) {
    if (!pattern.test(scenario)) continue;
    if (scenario === 'reopen') rows.push(...(await measureReopen(quick)));
    else if (scenario === 'crash') rows.push(...(await crashed(quick)));
    else rows.push(...(await measurePuts(scenario, quick, peers)));
  }
  return rows;
}

function frameOf(scenario: string, data: string): Omit<RowFrame, 'subject' | 'params'> {
  return { suite: 'storage', scenario, runtime: 'chromium', data };
}

/** What is used of Dexie. */
interface DexieModule {
  readonly Dexie: new (
    name: string,
    options: { chromeTransactionDurability: 'strict' | 'relaxed' },
  ) => {
    version(number: number): { stores(schema: Record<string, string>): unknown };
    table(name: string): { put(value: Uint8Array, key: string): Promise<unknown> };
    delete(): Promise<void>;
  };
}

async function openDexie({ dexie }: PagePeers, durability: 'strict' | 'relaxed') {
  if (dexie === undefined) return undefined;
  const { Dexie } = (await import(/* @vite-ignore */ dexie)) as DexieModule;
  const db = new Dexie('dexie-puts', { chromeTransactionDurability: durability });
  db.version(1).stores({ kv: '' });
  return db;
}

async function measurePuts(
  durability: 'strict' | 'relaxed',
  quick: boolean,
  peers: PagePeers,
): Promise<Row[]> {
  console.log(`${durability} puts`);
  const ours = quick ? 500 : 20_000;
  // One transaction an operation is much slower: fewer of them take as long.
  const theirs = quick ? 100 : 2_000;
  const value = new Uint8Array(valueBytes).fill(7);
  await deleteDatabase('puts');
  const db = await open('puts');
  await db.createSpace('kv', 'key-value', { durability });
  await db.useSpace('kv');
  const idb = await openDB('plain-puts', 1, { upgrade: (created) => void created.createObjectStore('kv') });
  const dexie = await openDexie(peers, durability);
  const dexieTable = dexie?.table('kv');
  const results = await interleaved(quick ? 1 : 5, {
    shibumi: () => operationsPerSecond(callers, ours, (i) => db.put(`key-${i}`, value)),
    indexeddb: () =>
      operationsPerSecond(callers, theirs, async (i) => {
        const tx = idb.transaction('kv', 'readwrite', { durability });
        tx.store.put(value, `key-${i}`);
        tx.commit();
        await tx.done;
      }),
    ...(dexieTable === undefined
      ? {}
      : { dexie: () => operationsPerSecond(callers, theirs, (i) => dexieTable.put(value, `key-${i}`)) }),
  });
  await dexie?.delete();
  await db.close();
  idb.close();
  await deleteDatabase('puts');
  indexedDB.deleteDatabase('plain-puts');
  const frame = frameOf(durability, `${valueBytes} B`);
  return [...results].map(([subject, values]) =>
    makeRow({ ...frame, subject, params: { callers } }, 'putsPerSecond', median(values)),
  );
}

const countOf = (quick: boolean): number => (quick ? 500 : 100_000);

function crashed(quick: boolean): Promise<Row[]> {
  const data = randomSet(countOf(quick));
  return measureCrashed(data, quick ? 1 : 7, frameOf('crash', data.name));
}

/** Opening until the first answer of an HNSW search, and the raw read of the same stored blocks. */
async function measureReopen(quick: boolean): Promise<Row[]> {
  const data = randomSet(countOf(quick));
  const frame = frameOf('reopen', data.name);
  console.log('reopen');
  await deleteDatabase('reopen');
  const fresh = await open('reopen');
  await fillDatabase(fresh, data, 'HNSW16', { ...frame, subject: 'shibumi', params: {} });
  const stalls = await checkpointStalls(fresh, data);
  await fresh.close();
  await deleteDatabase('reopen-encrypted');
  const encrypted = await open('reopen-encrypted', { encryption });
  await fillDatabase(encrypted, data, 'HNSW16', { ...frame, subject: 'shibumi', params: {} });
  await encrypted.close();
  const timeOpening = (name: string, options: OpenOptions) => async (): Promise<number> => {
    const { db, openMs } = await timeOpen(() => open(name, options), data);
    await db.close();
    return openMs;
  };
  const times = await interleaved(quick ? 1 : 7, {
    shibumi: timeOpening('reopen', {}),
    'shibumi encrypted': timeOpening('reopen-encrypted', { encryption }),
    'indexeddb-read': () => readStored('reopen', ['blocks']),
  });
  await deleteDatabase('reopen');
  await deleteDatabase('reopen-encrypted');
  return [
    makeRow(
      { ...frame, subject: 'shibumi', params: { indexType: 'HNSW16' } },
      'openMs',
      median(times.get('shibumi') ?? []),
    ),
    makeRow(
      { ...frame, subject: 'shibumi', params: { indexType: 'HNSW16', encryption: 'key' } },
      'openMs',
      median(times.get('shibumi encrypted') ?? []),
    ),
    makeRow(
      { ...frame, subject: 'indexeddb-read', params: {} },
      'readMs',
      median(times.get('indexeddb-read') ?? []),
    ),
    ...[...stalls].map(([checkpoint, latencies]) =>
      makeRow(
        { ...frame, scenario: 'checkpoint', subject: 'shibumi', params: { checkpoint } },
        'stallP99Ms',
        percentile(latencies, 99),
      ),
    ),
  ];
}

/** What one reader waits for its answers, with nothing else going on and while everything is put and stored once more. */
async function checkpointStalls(db: Database, data: DataSet): Promise<Map<string, number[]>> {
  const latencies = new Map<string, number[]>();
  const readWhile = async (checkpoint: string, work: Promise<unknown>): Promise<void> => {
    const took: number[] = [];
    let over = false;
    work.finally(() => {
      over = true;
    });
    for (let i = 0; !over || took.length === 0; i++) {
      const started = performance.now();
      await db.getVector((i * 7919) % (data.base.length / dimension));
      took.push(performance.now() - started);
    }
    await work;
    latencies.set(checkpoint, took);
  };
  await readWhile('none', new Promise((resolve) => setTimeout(resolve, 500)));
  const ids = BigInt64Array.from({ length: data.base.length / dimension }, (_, i) => BigInt(i));
  await db.insertVectors(ids, data.base);
  await db.waitForIndex();
  await readWhile('everything', db.checkpoint());
  return latencies;
}

/** Opening does not depend on what the numbers are. */
function randomSet(count: number): DataSet {
  let state = 1;
  const base = Float32Array.from({ length: count * dimension }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return state / 2 ** 31;
  });
  return {
    name: `random${count}x${dimension}`,
    metric: 'L2',
    dimension,
    base,
    queries: base.slice(0, dimension),
    truth: new Float64Array(1),
  };
}
