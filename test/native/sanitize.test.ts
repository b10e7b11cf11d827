// The C++ core's own tests, compiled by the machine's compiler with the address and undefined-behaviour sanitizers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSanitized } from '../../tools/sanitize.mjs';

test('the native core passes its tests under address and undefined-behaviour sanitizers', async (t) => {
  const { outcome, output } = await runSanitized();
  if (outcome === 'skipped') return t.skip(output);
  assert.ok(outcome === 'passed', output);
});
