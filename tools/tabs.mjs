// Kills, stops, freezes, closes and reloads tabs, more of them than the ordinary tests do, and runs the conformance suite from a
// tab that does not own the database, and all of its cases over memory in a page and by every way to an object at the edge:
// `npm run test:tabs -- --blows 300`.
//
//   --blows N   how many, in each campaign of test/tabs/histories.test.ts (default 100)
//   --seed N    of a run that is to be made again, as far as a real browser does the same twice

import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';

const root = path.dirname(import.meta.dirname);
/** A blow takes 1 to 8 s with what comes after it; there are three campaigns. */
const msPerBlow = 30_000;

const { values } = parseArgs({
  options: { blows: { type: 'string', default: '100' }, seed: { type: 'string' } },
});
const blows = Number(values.blows);
if (!Number.isInteger(blows) || blows < 2)
  throw new Error(`Got --blows ${values.blows}, expected a number of 2 or more`);

const { status } = spawnSync(
  process.execPath,
  [
    path.join(import.meta.dirname, 'test.mjs'),
    'test/tabs/histories.test.ts',
    'test/tabs/conformance.test.ts',
    'test/conformance/browser.test.ts',
    'test/edge/conformance.test.ts',
    'test/edge/bridge.test.ts',
  ],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      SHIBUMI_TEST_TABS_BLOWS: String(blows),
      SHIBUMI_TEST_ALL_CASES: '1',
      SHIBUMI_TEST_FILE_TIMEOUT_MS: String(15 * 60_000 + blows * msPerBlow),
      ...(values.seed === undefined ? {} : { SHIBUMI_TEST_SEED: values.seed }),
    },
  },
);
process.exitCode = status ?? 1;
