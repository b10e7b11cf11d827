// What several callers do at once through a bad network, in Node and in a page, and what must be true afterwards.

import type { Database } from '../../src/api/database.ts';

export const callers = 8;
/** Of one insertVectors. */
export const vectorsPerInsert = 100;

export interface Seen {
  /** What `increment` answered. */
  readonly sums: readonly number[];
  /** How many of the contended keys were won. */
  readonly won: number;
  /** Answers that were wrong. */
  readonly faults: readonly string[];
}

/** Rounds `from` to `until` in the spaces `kv` and `vec`; nothing here is Node's. */
export async function flakyLoad(
  db: Pick<Database, 'increment' | 'put' | 'putIf' | 'delete' | 'get' | 'insertVectors'>,
  from: number,
  until: number,
): Promise<Seen> {
  const space = 'kv';
  const sums: number[] = [];
  const faults: string[] = [];
  let won = 0;
  const call = async (caller: number): Promise<void> => {
    for (let i = from; i < until; i++) {
      const [key, value] = [`${caller}/${i}`, `value of ${caller}/${i}`];
      sums.push(Number(await db.increment('count', 1, { space })));
      await db.put(key, value, { space });
      // Conditional writes of one key: exactly one of all callers may win each turn.
      if (await db.putIf(`lock/${i}`, String(caller), undefined, { space })) won++;
      if (i % 5 === 0) {
        if (!(await db.delete(key, { space }))) faults.push(`${key} was not there to delete`);
      } else if ((await db.get(key, { space })) !== value) faults.push(`${key} is not what was put`);
    }
  };
  const insert = async (): Promise<void> => {
    for (let i = from; i < until; i += 4) {
      const ids = Array.from({ length: vectorsPerInsert }, (_, row) => i * vectorsPerInsert + row);
      await db.insertVectors(ids, new Float32Array(vectorsPerInsert * 8).fill(i), { space: 'vec' });
    }
  };
  await Promise.all([...Array.from({ length: callers }, (_, caller) => call(caller)), insert()]);
  return { sums, won, faults };
}
