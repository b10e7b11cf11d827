// Runs more of the deterministic simulation than the ordinary tests do: `npm run test:simulation -- --seeds 10000`.
//
//   --seeds N        how many stories (default 10000)
//   --from N         the first seed (default 1)
//   --seed N         tells the story of that one alone: every call, every step of storage, every end

import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { runSeeds } from '../test/crash/seeds.ts';
import { buildWasm } from './build-wasm.mjs';

process.chdir(path.dirname(import.meta.dirname));
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
  },
});
for (const [name, value] of Object.entries(values))
  if (!/^\d+$/.test(value)) throw new Error(`Got --${name} ${value}, expected a number`);

await buildWasm();
if (values.seed !== undefined) {
  const { status } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', 'test/crash/simulate.ts', '--seed', values.seed],
    { stdio: 'inherit' },
  );
  process.exitCode = status ?? 1;
} else {
  await tellAll(Number(values.from), Number(values.seeds));
}

/**
 * @param {number} from
 * @param {number} count
 */
async function tellAll(from, count) {
  const startMs = performance.now();
  try {
    const { stories, ...sum } = await runSeeds(from, count);
    const seconds = (performance.now() - startMs) / 1000;
    const each = Object.entries(sum).map(([what, total]) => `${(total / stories).toFixed(1)} ${what}`);
    console.log(`${stories} stories in ${seconds.toFixed(0)} s, each: ${each.join(', ')}`);
    console.log(`${stories} passed, 0 failed`);
  } catch (error) {
    console.error(/** @type {Error} */ (error).message);
    console.log('0 passed, 1 failed');
    process.exitCode = 1;
  }
}
