/**
 * `shibumi/node` in Node, Bun and Deno: a smoke test, the backend suite and some kills in each. Bun and Deno come from npm, by the package.json
 * in test/runtimes, when this file first runs; where they cannot be had, their tests are skipped and say why.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { backendCases } from '../support/backend-cases.ts';
import { missingPackages } from '../support/npm-install.ts';
import { node, type Runtime, start } from './child.ts';
import { killAgainAndAgain } from './kill-cycle.ts';
import { checksum, freshFolder } from './places.ts';

const home = path.resolve(import.meta.dirname, '../runtimes');
const entry = pathToFileURL(path.resolve(import.meta.dirname, '../../src/node.ts')).href;
const seed = Number(process.env.SHIBUMI_SEED ?? Date.now() % 1_000_000);

const others: Runtime[] = [
  { name: 'bun', command: path.join(home, 'node_modules/.bin/bun'), args: ['run'] },
  {
    name: 'deno',
    command: path.join(home, 'node_modules/.bin/deno'),
    args: ['run', '--allow-all', '--no-check'],
  },
];

/** Why a runtime does not run; `undefined` when it does. */
function trouble({ name, command }: Runtime): string | undefined {
  const { status, stdout, stderr, error } = spawnSync(command, ['--version'], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  if (status === 0) {
    console.log(`${name}: ${stdout.trim().split('\n')[0]}`);
    return undefined;
  }
  // An install script that npm held back is one cause.
  return `${name} does not run: ${error?.message ?? stderr.trim().split('\n').at(-1)}`;
}

const notInstalled = missingPackages(home);
const reasons = new Map(others.map((runtime) => [runtime, notInstalled || trouble(runtime)]));
const skipping = (runtime: Runtime): { skip?: string } => {
  const reason = reasons.get(runtime);
  return reason === undefined ? {} : { skip: reason };
};

for (const runtime of [node, ...others]) {
  const skip = skipping(runtime);

  test(`${runtime.name}: open, put, insertVectors, search, close, open again`, skip, async () => {
    await using folder = await freshFolder();
    const script = start(runtime, 'smoke.ts', [path.join(folder.path, 'db'), entry]);
    const { code, errors } = await script.ended;
    assert.equal(code, 0, errors);
    assert.match(script.lines.at(-1) ?? '', /^fine, build (relaxed|simd128)$/);
  });

  test(`${runtime.name}: the backend suite over files`, skip, async () => {
    const script = start(runtime, 'backend-suite.ts', []);
    const { code, errors } = await script.ended;
    assert.equal(code, 0, [...script.lines, errors].join('\n'));
    assert.equal(script.lines.at(-1), `fine ${backendCases(checksum).length}`);
  });

  test(`${runtime.name}: a process that is killed loses nothing acknowledged`, skip, async () => {
    console.log(`seed ${seed} (SHIBUMI_SEED)`);
    await using folder = await freshFolder();
    const tally = await killAgainAndAgain(runtime, folder.path, 6, seed);
    console.log(runtime.name, tally);
    assert.ok(tally.acknowledged > 0);
  });
}

for (const runtime of others) {
  test(`${runtime.name} and Node keep each other out`, skipping(runtime), async () => {
    for (const [first, second] of [
      [runtime, node],
      [node, runtime],
    ] as const) {
      await using folder = await freshFolder();
      const owner = start(first, 'opener.ts', [folder.path, '0']);
      await owner.line('open ');
      const refused = start(second, 'opener.ts', [folder.path, '0']);
      assert.match(await refused.line('failed'), /^failed LOCKED \d+$/);
      await refused.ended;
      owner.child.stdin?.end();
      assert.equal((await owner.ended).code, 0);
    }
  });
}
