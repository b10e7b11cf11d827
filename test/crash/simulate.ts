/**
 * Runs stories in a process of its own, because their time is their own too (virtual-time.ts). Started by seeds.ts.
 *
 *   --seed 1234                      tells the story of one seed
 *   --from 1 --step 2 --count 5000   tells what happened in all of them, as JSON
 *   --stops-of 1 --kind files        the first life of one seed, stopped at each of its steps in turn, done and not done
 *
 * Ends with status 1 at the first that fails, and says which.
 */

import { parseArgs } from 'node:util';
import { emptyTally, type Kind, type StoryOptions, simulate, type Tally } from './simulation.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    step: { type: 'string', default: '1' },
    count: { type: 'string', default: '1' },
    'stops-of': { type: 'string' },
    kind: { type: 'string' },
  },
});

const sum = { stories: 0, ...emptyTally() };

async function tell(seed: number, options: StoryOptions, how = ''): Promise<Tally> {
  try {
    const tally = await simulate(seed, options);
    for (const what of Object.keys(tally) as (keyof Tally)[]) sum[what] += tally[what];
    sum.stories++;
    return tally;
  } catch (error) {
    const reason = error instanceof Error ? error.stack : String(error);
    console.error(
      `Seed ${seed}${how} failed: ${reason}\nSee it again: npm run test:simulation -- --seed ${seed}`,
    );
    process.exit(1);
  }
}

/** Killed there, then another process writes and loses the power; or power is lost at once. */
async function tellStops(seed: number, kind: Kind): Promise<void> {
  const { steps } = await tell(seed, { kind, lives: [{ plan: {}, ending: 'process' }] });
  for (let step = 1; step <= steps; step++)
    for (const done of [false, true]) {
      const plan = { stop: { step, done } };
      const how = ` over ${kind}, stopped at step ${step}, ${done ? '' : 'not '}done,`;
      await tell(seed, { kind, lives: [{ plan, ending: 'power' }] }, how);
      const lives = [
        { plan, ending: 'process' },
        { plan: {}, ending: 'power' },
      ] as const;
      await tell(seed, { kind, lives }, how);
    }
}

if (values.seed !== undefined) {
  await tell(Number(values.seed), { trace: (line) => console.log(line) });
} else if (values['stops-of'] !== undefined) {
  await tellStops(Number(values['stops-of']), values.kind as Kind);
} else {
  const [from, step, count] = [Number(values.from), Number(values.step), Number(values.count)];
  for (let i = 0; i < count; i++) await tell(from + i * step, {});
}
console.log(JSON.stringify(sum));
process.exit(0);
