/** Every safeguard that is taken out (mutants.ts) is missed by the simulation, or by the tests that are named for it. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { suite, test } from 'node:test';
import { missingPart } from '../support/chromium.ts';
import { type Mutant, mutants } from './mutants.ts';
import { runSimulation } from './seeds.ts';

/** Stories it may take. */
const seedsMax = '400';
const preload = ['--import', path.join(import.meta.dirname, 'mutate.ts')];

// Each is a process of its own.
suite('safeguards that are taken out', { concurrency: 2 }, () => {
  for (const mutant of mutants) {
    const { name, caughtBy } = mutant;
    const skip = caughtBy.includes('/browser/') ? (missingPart() ?? false) : false;
    test(`${caughtBy === 'simulation' ? 'the simulation' : caughtBy} notices: ${name}`, {
      skip,
      timeout: 240_000,
    }, async (t) => {
      if (caughtBy === 'simulation') t.diagnostic(await seedThatNotices(mutant));
      else t.diagnostic(await testThatNotices(mutant));
    });
  }
});

async function seedThatNotices({ name }: Mutant): Promise<string> {
  const args = ['--from', '1', '--count', seedsMax];
  const found = await runSimulation(args, preload, { SHIBUMI_TEST_MUTANT: name }).then(
    () => undefined,
    (error: Error) => error.message,
  );
  assert.ok(found !== undefined, `${seedsMax} stories went well`);
  const seed = /^Seed (\d+).* failed: (.*)/.exec(found);
  assert.ok(seed !== null, `it does not run at all: ${found}`);
  return `seed ${seed[1]}: ${seed[2]?.slice(0, 100)}`;
}

async function testThatNotices({ name, caughtBy, pattern = '.' }: Mutant): Promise<string> {
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      ...preload,
      '--test',
      `--test-name-pattern=${pattern}`,
      caughtBy,
    ],
    {
      cwd: path.resolve(import.meta.dirname, '../..'),
      env: {
        ...withoutTestContext(),
        SHIBUMI_TEST_MUTANT: name,
        SHIBUMI_FUZZ_ROUNDS: '300',
        SHIBUMI_TEST_SEED: '1',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await new Promise((resolve) => child.on('close', resolve));
  const passed = Number(/^ℹ pass (\d+)/m.exec(output)?.[1]);
  const failed = [
    ...new Set(Array.from(output.matchAll(/^✖ (.*?)(?: \([\d.]+ms\))?$/gm), ([, title]) => title)),
  ];
  assert.ok(failed.length > 0, `nothing failed:\n${output.slice(-2000)}`);
  assert.ok(passed > 0, `nothing works any more:\n${output.slice(-2000)}`);
  return failed.filter((title) => title !== 'failing tests:').join('; ');
}

/** A test runner that is started by one thinks that it is part of it. */
function withoutTestContext(): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return env;
}
