// The reference of the API is what the sources say.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { apiReference, referenceFile } from '../../tools/api-reference.mjs';

test('docs/api.md has every public declaration as it is', () => {
  const written = readFileSync(referenceFile, 'utf8');
  assert.ok(written === apiReference(), 'docs/api.md is out of date: run node tools/api-reference.mjs');
  for (const call of [
    'createSpace',
    'putIf',
    'insertVectors',
    'searchTopK',
    'createUser',
    'exportTo',
    'verify',
  ])
    assert.match(written, new RegExp(`^  ${call}[<(]`, 'm'));
  for (const name of ['open', 'deleteDatabase', 'connect', 'createConnectionPool', 'ShibuDbError'])
    assert.match(written, new RegExp(`^### \`${name}\`$`, 'm'));
});
