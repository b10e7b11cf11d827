/**
 * The conformance suite over files: `open` of shibumi/node as it is, and, encrypted, what has to do with storage. Both builds take it over memory
 * (conformance/node.test.ts).
 */

import path from 'node:path';
import { test } from 'node:test';
import { deleteDatabase, open } from '../../src/node.ts';
import { type Platform, runCase, storageCases, suite } from '../conformance/suite.ts';
import { freshFolder } from './places.ts';

const timeoutMs = 60_000;

const key = new Uint8Array(32).fill(1);
const platforms = [
  { build: 'relaxed', files: 'files', cases: suite },
  { build: 'relaxed', files: 'encrypted files', cases: storageCases, encryption: { key } },
] as const;

for (const { build, files, cases, ...rest } of platforms) {
  test(`conformance in Node, ${files}, ${build}`, async (t) => {
    await using folder = await freshFolder();
    const placeOf = (name: string): string => path.join(folder.path, encodeURIComponent(name));
    const platform: Platform = {
      build,
      storage: 'files',
      open: (name, options) => open(placeOf(name), { build, ...rest, ...options }),
      deleteDatabase: (name) => deleteDatabase(placeOf(name)),
    };
    for (const entry of cases)
      await t.test(entry.name, { timeout: timeoutMs }, () => runCase(entry, platform));
  });
}
