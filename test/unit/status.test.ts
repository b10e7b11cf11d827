/** The list of statuses is written twice, once a language: they must say the same. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Status } from '../../src/kernel/status.ts';

test("the core's statuses and ours are one list", () => {
  const header = readFileSync(path.resolve(import.meta.dirname, '../../wasm/core/status.h'), 'utf8');
  const listed = [...header.matchAll(/^ {2}k(\w+) = (-?\d+),/gm)].map(([, name, value]) => [
    name,
    Number(value),
  ]);
  assert.deepEqual(Object.fromEntries(listed), { ...Status });
});
