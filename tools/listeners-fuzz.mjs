// Sends what is no protocol to every listener of the server, more of it than the ordinary tests do:
// `npm run test:listeners-fuzz`.
//
//   --rounds N        how many frames, lines or requests to each (default 100000)
//   --listener NAME   only to this one: frames, websocket, http, resp, shibudb, nubdb
//   --seed N          to see a failure again: every test prints its own

import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';

const msPerRound = 15;
const listeners = 6;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '100000' },
    listener: { type: 'string' },
    seed: { type: 'string' },
  },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1)
  throw new Error(`Got --rounds ${values.rounds}, expected a number`);
const { status } = spawnSync(
  process.execPath,
  [path.join(import.meta.dirname, 'test.mjs'), 'test/listeners/fuzz'],
  {
    cwd: path.dirname(import.meta.dirname),
    stdio: 'inherit',
    env: {
      ...process.env,
      SHIBUMI_FUZZ: String(rounds),
      SHIBUMI_TEST_FILE_TIMEOUT_MS: String(120_000 + rounds * listeners * msPerRound),
      ...(values.listener === undefined ? {} : { SHIBUMI_FUZZ_LISTENER: values.listener }),
      ...(values.seed === undefined ? {} : { SHIBUMI_TEST_SEED: values.seed }),
    },
  },
);
process.exitCode = status ?? 1;
