/**
 * The conformance suite inside workerd: the engine in a Durable Object over its SQLite storage, and, with the other build, the
 * same reached from another object by RPC, of whose cases it takes those that depend on the way.
 */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { callCases, suite } from '../conformance/suite.ts';
import { takesAllCases } from '../support/all-cases.ts';
import { missingWorkerd, startWorkerd, type Workerd } from './workerd.ts';

const skip = missingWorkerd();
const timeoutMs = 60_000;
let workerd: Workerd | undefined;
after(() => workerd?.dispose());

for (const [over, build, cases] of [
  ['storage', 'relaxed', suite],
  ['rpc', 'simd128', takesAllCases ? suite : callCases],
] as const)
  test(`conformance in workerd, Durable Object ${over}, ${build}`, { skip }, async (t) => {
    workerd ??= await startWorkerd({
      script: 'test/edge/worker.ts',
      objects: { CASES: 'CaseRunner', HOSTS: 'SessionHost' },
    });
    for (const { name } of cases)
      await t.test(name, { timeout: timeoutMs }, async () => {
        const body = JSON.stringify({ name, build, over });
        const response = await workerd?.dispatchFetch('http://edge.test/', { method: 'POST', body });
        const answer = (await response?.json()) as { failure?: string };
        assert.equal(answer.failure, undefined);
      });
  });
