// Damages stored data and exported streams, more often than the ordinary tests do: `npm run test:fuzz -- --rounds 8000`.
//
//   --rounds N       how many damages to storage, and how many to a stream (default 6000)
//   --seed N         to see a failure again: it is printed as SHIBUMI_TEST_SEED (default: another each time)

import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';

const root = path.dirname(import.meta.dirname);
/** About 20 ms each; a loaded machine takes several times as long. */
const msPerRound = 200;

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '6000' }, seed: { type: 'string' } },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1)
  throw new Error(`Got --rounds ${values.rounds}, expected a number`);
const { status } = spawnSync(
  process.execPath,
  [path.join(import.meta.dirname, 'test.mjs'), 'test/fuzz/', 'test/unit/transfer.test.ts'],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      SHIBUMI_FUZZ_ROUNDS: String(rounds),
      SHIBUMI_TEST_FILE_TIMEOUT_MS: String(120_000 + rounds * msPerRound),
      ...(values.seed === undefined ? {} : { SHIBUMI_TEST_SEED: values.seed }),
    },
  },
);
process.exitCode = status ?? 1;
