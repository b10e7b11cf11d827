/** Runs seeds of the simulation side by side, in processes of their own (simulate.ts). */

import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { Tally } from './simulation.ts';

export type Sum = Tally & { stories: number };

/** Heaps are small and memories pooled: collecting garbage on further threads only takes processors from the other process. */
const nodeFlags = [
  '--disable-warning=ExperimentalWarning',
  '--single-threaded-gc',
  '--max-semi-space-size=64',
  '--initial-old-space-size=400',
];

/** What simulate.ts prints, with these arguments and perhaps with something loaded before. @throws with its errors */
export function runSimulation(
  args: readonly string[],
  preload: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const script = path.join(import.meta.dirname, 'simulate.ts');
  const child = spawn(process.execPath, [...nodeFlags, ...preload, script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => {
      if (status === 0) resolve(output);
      else reject(new Error(errors.trim() || `The simulation ended with ${status ?? signal}`));
    });
  });
}

/** Runs `count` seeds from `from` on. @throws what the first that fails says */
export async function runSeeds(from: number, count: number): Promise<Sum> {
  const processes = Math.max(1, Math.min(2, availableParallelism(), count));
  const sums = await Promise.all(
    Array.from({ length: processes }, async (_, i): Promise<Sum> => {
      const own = Math.ceil((count - i) / processes);
      const args = ['--from', from + i, '--step', processes, '--count', own];
      return JSON.parse(await runSimulation(args.map(String)));
    }),
  );
  const total = sums[0] as Sum;
  for (const sum of sums.slice(1))
    for (const what of Object.keys(sum) as (keyof Sum)[]) total[what] += sum[what];
  return total;
}
