/**
 * What runs in the page until the disk loses its power, and what is read when it is back (test/browser/power-loss.test.ts): relaxed
 * puts, some of over 64 KiB, which Chromium keeps in files of their own, among strict ones, which promise that all before them is there.
 */

import { open } from 'shibumi';
import { Random } from '../random.ts';

const name = 'power-loss';
const keyOf = (i: number): string => String(i).padStart(8, '0');

/** Some time small ones, then some of tens of KiB, then some that are kept in files. */
function relaxedValue(i: number): Uint8Array {
  const bytes = [500, 20_000, 70_000][(i >> 6) % 3] as number;
  return new Random(i).bytes(bytes + (i % 7) * (bytes >> 2));
}

function strictValue(i: number): string {
  return `value ${i} `.repeat(1 + (i % 20));
}

/** How many there are of each, from the first on. */
export interface Puts {
  strict: number;
  relaxed: number;
}

/**
 * Goes on from what is there, until storage fails. Tells `r 7` when the relaxed put number 7 is acknowledged, `s 4 7` when the
 * strict one number 4 is, which was made when seven relaxed ones had been acknowledged.
 */
export async function writeMixedPuts({ strict, relaxed }: Puts, tell: (fact: string) => void): Promise<void> {
  const db = await open(name);
  const spaces = (await db.listSpaces()).map((space) => space.name);
  for (const durability of ['relaxed', 'strict'] as const)
    if (!spaces.includes(durability)) await db.createSpace(durability, 'key-value', { durability });
  let acknowledged = relaxed;
  const writeRelaxed = async (): Promise<never> => {
    for (let i = relaxed; ; i++) {
      await db.put(keyOf(i), relaxedValue(i), { space: 'relaxed' });
      acknowledged = i + 1;
      tell(`r ${i}`);
    }
  };
  const writeStrict = async (): Promise<never> => {
    for (let i = strict; ; i++) {
      const before = acknowledged;
      await db.put(keyOf(i), strictValue(i), { space: 'strict' });
      tell(`s ${i} ${before}`);
      // Meanwhile relaxed ones gather that no flush covers.
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  };
  // What was in the log is in blocks then, and the log is gone.
  const checkpoint = async (): Promise<never> => {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 120));
      await db.checkpoint();
    }
  };
  await Promise.race([writeRelaxed(), writeStrict(), checkpoint()]).catch(() => {});
}

/** What is there of each, and what is wrong with it. */
export async function readMixedPuts(): Promise<Puts & { faults: string[] }> {
  await using db = await open(name);
  const found = { strict: 0, relaxed: 0, faults: [] as string[] };
  for await (const { key, value } of db.scan({ space: 'strict' })) {
    if (key !== keyOf(found.strict))
      found.faults.push(`${key} comes where strict put ${found.strict} should`);
    if (value !== strictValue(found.strict++)) found.faults.push(`strict put ${key} has another value`);
  }
  for await (const { key, value } of db.scan({ space: 'relaxed' })) {
    if (key !== keyOf(found.relaxed))
      found.faults.push(`${key} comes where relaxed put ${found.relaxed} should`);
    const expected = relaxedValue(found.relaxed++);
    if (expected.length !== value.length || expected.some((byte, i) => byte !== value[i]))
      found.faults.push(`relaxed put ${key} has another value`);
  }
  return found;
}
