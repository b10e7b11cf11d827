// The reference of the API is what the sources say.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { apiReference, referenceFile } from '../../tools/api-reference.mjs';

test('every public declaration, and every member of one, is explained', () => {
  const lines = apiReference().split('\n');
  let members = 0;
  const bare = lines.filter((line, at) => {
    const isDeclaration = /^export (?:async )?(?:interface|type|function|class) /.test(line);
    const isMember =
      /^ {2}(?!\/?\*|\|)(?:readonly )?(\[[\w.]+\]|\w+)\??(?:<.*)?[(:]/.test(line) &&
      insideInterface(lines, at);
    if (isMember) members++;
    return (isDeclaration || isMember) && !lines[at - 1]?.endsWith('*/');
  });
  assert.ok(members > 150, `only ${members} members were found`);
  assert.deepEqual(bare, []);
});

/** Members of a function's head are its arguments. */
function insideInterface(lines: readonly string[], at: number): boolean {
  const head = lines.slice(0, at).findLast((line) => line.startsWith('export '));
  return /^export (?:interface|type)/.test(head ?? '') && head?.endsWith('{') === true;
}

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
