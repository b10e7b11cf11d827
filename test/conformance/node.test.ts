/** The conformance suite in this process: the engine over the memory backend, both builds. */

import { test } from 'node:test';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { openNodeDatabase } from '../support/node-database.ts';
import { type Platform, runCase, suite } from './suite.ts';

const timeoutMs = 60_000;

for (const build of ['simd128', 'relaxed'] as const) {
  const disks = new Map<string, MemoryDisk>();
  const platform: Platform = {
    build,
    storage: 'memory',
    open(name, options) {
      const disk = disks.get(name) ?? new MemoryDisk();
      disks.set(name, disk);
      return openNodeDatabase(name, { backend: new MemoryBackend(disk), build, ...options });
    },
    async deleteDatabase(name) {
      disks.delete(name);
    },
  };
  test(`conformance in Node, memory, ${build}`, async (t) => {
    for (const entry of suite)
      await t.test(entry.name, { timeout: timeoutMs }, () => runCase(entry, platform));
  });
}
