/** The conformance suite over `connect` to real servers on loopback, in Node. */

import { test } from 'node:test';
import { runCase, suite } from '../conformance/suite.ts';
import { BridgeServers, bridgePlatform } from './bridge-platform.ts';

const timeoutMs = 60_000;

test('conformance over the bridge, Node', async (t) => {
  await using servers = new BridgeServers('simd128');
  const platform = bridgePlatform(servers, 'simd128');
  for (const entry of suite) await t.test(entry.name, { timeout: timeoutMs }, () => runCase(entry, platform));
});
