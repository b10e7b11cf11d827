/**
 * Writes to a database until the disk goes away (power-loss.test.ts), and tells what was acknowledged: `r 7` for the relaxed put
 * number 7, `s 4 7` for the strict one number 4, made when seven relaxed ones had been acknowledged; `e` and why it ended.
 */

import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { open } from '../../src/node.ts';
import { relaxedValue, strictValue } from './power-loss-values.ts';

const db = await open(process.argv[2] as string);
const [relaxedFrom, strictFrom] = [Number(process.argv[3]), Number(process.argv[4])];
const spaces = (await db.listSpaces()).map(({ name }) => name);
if (!spaces.includes('relaxed')) await db.createSpace('relaxed', 'key-value', { durability: 'relaxed' });
if (!spaces.includes('strict')) await db.createSpace('strict', 'key-value', { durability: 'strict' });

let acknowledged = relaxedFrom;
const tell = (line: string): void => {
  writeSync(1, `${line}\n`);
};

async function writeRelaxed(): Promise<never> {
  for (let i = relaxedFrom; ; i++) {
    await db.put(String(i).padStart(8, '0'), relaxedValue(i), { space: 'relaxed' });
    acknowledged = i + 1;
    tell(`r ${i}`);
  }
}

async function writeStrict(): Promise<never> {
  for (let i = strictFrom; ; i++) {
    const before = acknowledged;
    await db.put(String(i).padStart(8, '0'), strictValue(i), { space: 'strict' });
    tell(`s ${i} ${before}`);
    // Meanwhile relaxed ones gather that no flush covers.
    await sleep(25);
  }
}

// Whichever the disk fails first ends the program.
await Promise.race([writeRelaxed(), writeStrict()]).catch((error) => tell(`e ${error}`));
process.exit(0);
