/**
 * A process that opens a database and keeps it until its input ends, or exits at once without closing it.
 * Arguments: folder, how long to wait for it in milliseconds, `exit` or nothing.
 */

import fs from 'node:fs';
import { isShibuDbError, open } from '../../src/node.ts';

const [folder = '', openTimeoutMs, ending] = process.argv.slice(2);
const report = (line: string): void => {
  fs.writeSync(1, `${line}\n`);
};

report('opening');
try {
  const db = await open(folder, { openTimeoutMs: Number(openTimeoutMs) });
  report(`open ${process.pid}`);
  if (ending === 'exit') process.exit(0);
  for await (const _ of process.stdin);
  await db.close();
} catch (error) {
  report(isShibuDbError(error) ? `failed ${error.code} ${error.details.pid ?? ''}` : `failed ${error}`);
}
