/** The conformance suite over files: `open` of shibumi/node as it is, both builds. */

import path from 'node:path';
import { test } from 'node:test';
import { deleteDatabase, open } from '../../src/node.ts';
import { type Platform, runCase, suite } from '../conformance/suite.ts';
import { freshFolder } from './places.ts';

const timeoutMs = 60_000;

for (const build of ['simd128', 'relaxed'] as const) {
  test(`conformance in Node, files, ${build}`, async (t) => {
    await using folder = await freshFolder();
    const placeOf = (name: string): string => path.join(folder.path, encodeURIComponent(name));
    const platform: Platform = {
      build,
      storage: 'files',
      open: (name, options) => open(placeOf(name), { build, ...options }),
      deleteDatabase: (name) => deleteDatabase(placeOf(name)),
    };
    for (const entry of suite)
      await t.test(entry.name, { timeout: timeoutMs }, () => runCase(entry, platform));
  });
}
