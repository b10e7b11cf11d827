/**
 * What runs in the page while the browser is killed, and what is checked when it is back.
 *
 * A workload tells `report` what was acknowledged, at once; Node keeps the reports. After the kill its verifier gets them and
 * says what is wrong: something acknowledged that is not there, or something that is there in part.
 */

import { type Database, open, type Value } from 'shibumi';
import { Random } from '../random.ts';

/** Resolves when Node has it: an intention has to be known before what is intended can have happened. */
type Report = (fact: string) => Promise<void>;
type Workload = (round: number, report: Report) => Promise<void>;
/** Resolves with the faults found. `facts` are those of all rounds so far. */
type Verifier = (facts: string[]) => Promise<string[]>;

const dimension = 64;
const rowsPerInsert = 20_000;
const rowsPerChunk = 4096;
const rowsPerBatch = 500;

async function hasSpace(db: Database, space: string): Promise<boolean> {
  return (await db.listSpaces()).some(({ name }) => name === space);
}

/** A value that can be told from its key, 10 bytes to 40 KiB. */
function valueFor(key: string): Value {
  let seed = 0;
  for (const unit of key) seed = (Math.imul(seed, 31) + unit.charCodeAt(0)) | 0;
  const random = new Random(seed);
  const length = random.unit() < 0.05 ? random.below(40_000) : 10 + random.below(300);
  return random.unit() < 0.5 ? `${key} `.repeat(Math.ceil(length / (key.length + 1))) : random.bytes(length);
}

function sameValue(a: Value | undefined, b: Value): boolean {
  if (typeof a === 'string' || typeof b === 'string' || a === undefined) return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Many callers at once, each writing new keys and one it replaces again and again. Facts: `key`, `caller=number`. */
function puts(space: string, durability: 'strict' | 'relaxed', checkpoints: boolean): Workload {
  return async (round, report) => {
    const db = await open('kill');
    if (!(await hasSpace(db, space))) await db.createSpace(space, 'key-value', { durability });
    const handle = db.space(space);
    const caller = async (number: number): Promise<never> => {
      for (let i = 0; ; i++) {
        const key = `${round}/${number}/${i}`;
        await handle.put(key, valueFor(key));
        report(key);
        if (i % 7 === 0) await handle.delete(`${key}/never`);
        const count = round * 1e6 + i;
        await handle.put(`caller ${number}`, String(count));
        report(`caller ${number}=${count}`);
      }
    };
    const work = Array.from({ length: 48 }, (_, number) => caller(number));
    if (checkpoints) work.push(checkpointForEver(db, report));
    await Promise.all(work);
  };
}

async function checkpointForEver(db: Database, report: Report): Promise<never> {
  for (let i = 0; ; i++) {
    await db.checkpoint();
    report(`checkpoint ${i}`);
  }
}

function verifyPuts(space: string): Verifier {
  return async (facts) => {
    const faults: string[] = [];
    await using db = await open('kill');
    const stored = new Map<string, Value>();
    for await (const { key, value } of db.scan({ space })) stored.set(key, value);
    for (const fact of facts) {
      const [key = '', count] = fact.split('=');
      if (count === undefined) {
        if (!key.startsWith('checkpoint') && !stored.has(key))
          faults.push(`${key} was acknowledged and is gone`);
      } else if (Number(stored.get(key)) < Number(count)) {
        faults.push(`${key} went back from ${count} to ${stored.get(key)}`);
      }
    }
    for (const [key, value] of stored)
      if (!key.startsWith('caller') && !sameValue(value, valueFor(key)))
        faults.push(`${key} has another value`);
    return faults;
  };
}

function rowOf(id: number): Float32Array {
  return new Random(id).vectors(dimension);
}

/** Bulk inserts of many chunks. Facts: `round=rows acknowledged`. */
function bulk(checkpoints: boolean): Workload {
  return async (round, report) => {
    const db = await open('kill');
    if (!(await hasSpace(db, 'bulk'))) await db.createSpace('bulk', 'vector', { dimension });
    const from = round * rowsPerInsert;
    const ids = Array.from({ length: rowsPerInsert }, (_, i) => from + i);
    const vectors = new Float32Array(rowsPerInsert * dimension);
    for (const [i, id] of ids.entries()) vectors.set(rowOf(id), i * dimension);
    if (checkpoints) checkpointForEver(db, report);
    report(`begin ${round}`);
    for (;;)
      await db.insertVectors(ids, vectors, {
        space: 'bulk',
        onProgress: ({ done }) => report(`${round}=${done}`),
      });
  };
}

const verifyBulk: Verifier = async (facts) => {
  const faults: string[] = [];
  await using db = await open('kill');
  const stored = new Map<number, number>();
  for await (const { id, vector } of db.scanVectors({ space: 'bulk' })) {
    const expected = rowOf(Number(id));
    if (!vector.every((component, i) => component === expected[i]))
      faults.push(`vector ${id} is another one`);
    const round = Math.floor(Number(id) / rowsPerInsert);
    const rows = stored.get(round) ?? 0;
    if (Number(id) !== round * rowsPerInsert + rows) faults.push(`there is a hole before vector ${id}`);
    stored.set(round, rows + 1);
  }
  for (const fact of facts) {
    const [round, done] = fact.split('=').map(Number) as [number, number | undefined];
    if (done !== undefined && (stored.get(round) ?? 0) < done)
      faults.push(`round ${round}: ${done} rows were acknowledged, ${stored.get(round) ?? 0} are there`);
  }
  for (const [round, rows] of stored)
    if (rows % rowsPerChunk !== 0 && rows !== rowsPerInsert)
      faults.push(`round ${round} ends in part of a chunk: ${rows}`);
  return faults;
};

/** Single inserts, replacements and deletions while the graph is being linked and stored. Facts: `*first of a batch`, `-id`, `?id`. */
const linking: Workload = async (round, report) => {
  const db = await open('kill');
  if (!(await hasSpace(db, 'graph')))
    await db.createSpace('graph', 'vector', { dimension, indexType: 'HNSW16' });
  const graph = db.space('graph');
  const from = round * rowsPerInsert;
  const batch = async (at: number): Promise<void> => {
    const ids = Array.from({ length: rowsPerBatch }, (_, i) => from + at + i);
    const vectors = new Float32Array(ids.length * dimension);
    for (const [i, id] of ids.entries()) vectors.set(rowOf(id), i * dimension);
    await graph.insertVectors(ids, vectors);
    report(`*${from + at}`);
  };
  for (let at = 0; ; at += rowsPerBatch) {
    await batch(at);
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const id = from + at + i * 25;
        await report(`?${id}`);
        await graph.deleteVector(id);
        report(`-${id}`);
      }),
    );
    if (at % 2000 === 0) await db.checkpoint();
    if (at % 3000 === 0) await graph.waitForIndex();
  }
};

const verifyLinking: Verifier = async (facts) => {
  const faults: string[] = [];
  await using db = await open('kill');
  const graph = db.space('graph');
  const there = new Set<number>();
  for await (const { id, vector } of graph.scanVectors()) {
    const expected = rowOf(Number(id));
    there.add(Number(id));
    if (!vector.every((component, i) => component === expected[i]))
      faults.push(`vector ${id} is another one`);
  }
  const last = new Map<number, string>();
  for (const fact of facts) {
    const id = Number(fact.slice(1));
    if (fact[0] !== '*') last.set(id, fact[0] ?? '');
    else for (let i = 0; i < rowsPerBatch; i++) last.set(id + i, '+');
  }
  for (const [id, state] of last) {
    if (state === '+' && !there.has(id)) faults.push(`vector ${id} was acknowledged and is gone`);
    if (state === '-' && there.has(id)) faults.push(`vector ${id} was deleted and is back`);
  }
  const sample = [...there].filter((_, i) => i % 97 === 0);
  const search = async (when: string): Promise<void> => {
    for (const id of sample) {
      const [hit] = await graph.searchTopK(rowOf(id), 1);
      if (hit?.id !== id || hit.distance !== 0)
        faults.push(`${when}: vector ${id} does not find itself but ${hit?.id}`);
    }
  };
  const before = (await db.describeSpace('graph')).index;
  if (before === undefined || before.linked + before.pending !== there.size)
    faults.push(`the index has ${before?.linked} + ${before?.pending} of ${there.size}`);
  await search('while linking goes on');
  await graph.waitForIndex();
  const after = (await db.describeSpace('graph')).index;
  if (after?.linked !== there.size || after.pending !== 0)
    faults.push(`the index has ${after?.linked} of ${there.size}`);
  await search('after linking');
  return faults;
};

/** Spaces made, filled, deleted and made again. Facts: `+name`, `?name`, `-name`. */
const spaces: Workload = async (round, report) => {
  const db = await open('kill');
  const lane = async (number: number): Promise<never> => {
    for (let i = 0; ; i++) {
      const name = `lane ${number} ${i % 5}`;
      if (round > 0 || i >= 5) {
        await report(`?${name}`);
        await db.deleteSpace(name).catch((error) => {
          if (error.code !== 'SPACE_NOT_FOUND') throw error;
        });
        report(`-${name}`);
      }
      await report(`?${name}`);
      if (i % 2 === 0) {
        await db.createSpace(name, 'key-value');
        await db.put('who', `${name} ${round} ${i}`, { space: name });
      } else {
        await db.createSpace(name, 'vector', { dimension: 2 });
        await db.insertVector(i, [round, i], { space: name });
      }
      report(`+${name}`);
    }
  };
  await Promise.all(Array.from({ length: 4 }, (_, number) => lane(number)));
};

const verifySpaces: Verifier = async (facts) => {
  const faults: string[] = [];
  await using db = await open('kill');
  const there = new Map((await db.listSpaces()).map((space) => [space.name, space]));
  const last = new Map<string, string>();
  for (const fact of facts) last.set(fact.slice(1), fact[0] ?? '');
  for (const [name, state] of last) {
    const space = there.get(name);
    if (state === '-' && space !== undefined) faults.push(`space ${name} was deleted and is back`);
    if (state === '+' && space === undefined) faults.push(`space ${name} was acknowledged and is gone`);
    if (space === undefined) continue;
    const { count } = await db.describeSpace(name);
    // A space whose making was cut short is empty at most, never another's contents.
    if (count > 1 || (state === '+' && count !== 1))
      faults.push(`space ${name} (${state}) has ${count} items`);
    if (space.engine === 'key-value' && count === 1) {
      const who = await db.get('who', { space: name });
      if (!String(who).startsWith(name)) faults.push(`space ${name} has the contents of ${who}`);
    }
  }
  return faults;
};

export const workloads = {
  'strict puts': puts('strict', 'strict', false),
  'relaxed puts': puts('relaxed', 'relaxed', false),
  'puts during checkpoints': puts('checkpointed', 'strict', true),
  'bulk insert': bulk(false),
  'bulk insert during checkpoints': bulk(true),
  linking,
  'creating and deleting spaces': spaces,
} satisfies Record<string, Workload>;

export type WorkloadName = keyof typeof workloads;

export const verifiers: Record<WorkloadName, Verifier> = {
  'strict puts': verifyPuts('strict'),
  'relaxed puts': verifyPuts('relaxed'),
  'puts during checkpoints': verifyPuts('checkpointed'),
  'bulk insert': verifyBulk,
  'bulk insert during checkpoints': verifyBulk,
  linking: verifyLinking,
  'creating and deleting spaces': verifySpaces,
};
