/**
 * `memoryBudgetBytes`: a key-value space that is several times as large as its budget answers as a map does, through random
 * writes, reads, scans and reopening, and stays within it.
 */

import type { Database } from '../../../src/api/database.ts';
import { check, same } from '../../support/check.ts';
import { Random } from '../../support/random.ts';
import type { Case } from '../case.ts';
import { all } from './spaces.ts';

const memoryBudgetBytes = 8 * 1024 * 1024;
const keyCount = 8000;
/** What one call writes, and a checkpoint under way, may take beside it. */
const mostBytes = 3 * memoryBudgetBytes;

const keyOf = (i: number): string => `key ${String(i).padStart(6, '0')}`;

/** 500 to 4500 characters, the same for the same number. */
function textOf(number: number): string {
  const random = new Random(number);
  return `${number} `.padEnd(500 + random.below(4000), random.pick(['abc', 'xyz-', 'é']));
}

async function withinBudget(db: Database): Promise<void> {
  const { memoryBytes, memoryBudgetBytes: told } = await db.stats();
  // Elsewhere it is the server's.
  if (told !== memoryBudgetBytes) return;
  check(memoryBytes <= mostBytes, `${memoryBytes} bytes are taken, expected at most ${mostBytes}`);
}

export const memoryBudgetCases: Case[] = [
  {
    name: 'a key-value space several times its memory budget answers as a map does, and opens again at once',
    reopens: true,
    async run(t) {
      let db = await t.open('', { memoryBudgetBytes });
      await db.createSpace('kv', 'key-value', { durability: 'relaxed' });
      await db.useSpace('kv');
      const random = new Random(601);
      const model = new Map<string, string>();
      for (let from = 0; from < keyCount; from += 100) {
        const entries = Array.from({ length: 100 }, (_, i) => {
          return { key: keyOf(from + i), value: textOf(from + i) };
        });
        await db.putMany(entries);
        for (const { key, value } of entries) model.set(key, value);
      }
      await db.checkpoint();
      const { storedBytes } = await db.describeSpace('kv');
      check(storedBytes > 2 * memoryBudgetBytes, `${storedBytes} bytes are stored`);
      await withinBudget(db);
      for (let round = 0; round < 2; round++) {
        for (let i = 0; i < 250; i++) {
          const key = keyOf(random.below(keyCount + 100));
          const kind = random.below(10);
          if (kind < 3) {
            const value = textOf(random.below(1e6));
            await db.put(key, value);
            model.set(key, value);
          } else if (kind < 4) {
            same(await db.delete(key), model.delete(key), `delete ${key}`);
          } else if (kind < 5) {
            const expected = model.get(key);
            same(await db.putIf(key, 'changed', expected), true, `putIf ${key}`);
            model.set(key, 'changed');
          } else if (kind < 8) {
            same(await db.get(key), model.get(key), key);
          } else if (kind < 9) {
            const keys = Array.from({ length: 40 }, () => keyOf(random.below(keyCount)));
            same(
              await db.getMany(keys),
              keys.map((one) => model.get(one)),
              'many',
            );
          } else {
            const reverse = random.below(2) === 0;
            const found = await all(db.scan({ start: key, limit: 20, reverse }));
            const later = [...model].filter(([one]) => one >= key).sort(([a], [b]) => (a < b ? -1 : 1));
            if (reverse) later.reverse();
            same(
              found,
              later.slice(0, 20).map(([one, value]) => ({ key: one, value })),
              'a scan',
            );
          }
        }
        await withinBudget(db);
        await db.close();
        db = await t.open('', { memoryBudgetBytes });
        await db.useSpace('kv');
        same(await db.get(keyOf(7)), model.get(keyOf(7)));
        await withinBudget(db);
      }
      same(await db.size(), model.size);
      let count = 0;
      for await (const { key, value } of db.scan()) {
        same(value, model.get(key), key);
        count++;
      }
      same(count, model.size);
      await withinBudget(db);
    },
  },
];
