// Takes the power from disks that are written to, more often than the ordinary tests do: `npm run test:power-loss -- --losses 30`.
//
//   --losses N       how many, of files as Node keeps them and of each of Chromium's stores (default 20)

import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';

const root = path.dirname(import.meta.dirname);
/** A browser is started twice for each. */
const msPerLoss = 90_000;

const { values } = parseArgs({ options: { losses: { type: 'string', default: '20' } } });
const losses = Number(values.losses);
if (!Number.isInteger(losses) || losses < 1)
  throw new Error(`Got --losses ${values.losses}, expected a number`);
const { status } = spawnSync(
  process.execPath,
  [
    path.join(import.meta.dirname, 'test.mjs'),
    'test/crash/power-loss.test.ts',
    'test/browser/power-loss.test.ts',
  ],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      SHIBUMI_TEST_POWER_LOSSES: String(losses),
      SHIBUMI_TEST_FILE_TIMEOUT_MS: String(120_000 + losses * msPerLoss),
    },
  },
);
process.exitCode = status ?? 1;
