/**
 * The process that is killed: goes on with the history of every space from the numbers it is given, and prints
 * `<space> <n>` when operation n is acknowledged. Arguments: folder, then one number a space.
 */

import fs from 'node:fs';
import { DatabaseClient } from '../../src/client/database-client.ts';
import { DirectTransport } from '../../src/local/direct-transport.ts';
import { openSession } from '../../src/node/open-engine.ts';
import { createSpaces, inFlight, run, type SpaceName, smallSettings, spaceNames } from './history.ts';

const [folder = '', ...starts] = process.argv.slice(2);

/** Synchronously: an acknowledgement must be in the pipe before this process can be killed for it. */
function report(line: string): void {
  fs.writeSync(1, `${line}\n`);
}

const session = await openSession(folder, { settings: smallSettings });
const db = new DatabaseClient(new DirectTransport(session));
await createSpaces(db);
report('ready');

async function go(space: SpaceName, from: number): Promise<void> {
  let next = from;
  const one = async (): Promise<void> => {
    for (;;) {
      const n = next++;
      await run(db, space, n);
      report(`${space} ${n}`);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
}

await Promise.all(spaceNames.map((space, i) => go(space, Number(starts[i] ?? 0))));
