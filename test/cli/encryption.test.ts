// An encrypted folder at the command line: its password comes from the environment or a file, and a wrong one begins nothing.

import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { connect } from '../../src/bridge.ts';
import { serve } from '../../src/server.ts';
import { folderFor, shibumi } from './command.ts';

const timeout = 110_000;
const secret = 'the password of the folder';
const variables = { SHIBUMI_ENCRYPTION_PASSWORD: secret };

test('a session opens an encrypted folder by the environment or a file', { timeout }, async (t) => {
  const folder = path.join(folderFor(t), 'data');
  const made = await shibumi([folder, '-c', 'SET plainly-visible value-to-hide'], '', variables);
  assert.equal(made.status, 0, made.stderr);
  for (const file of globSync('**/*', { cwd: folder, withFileTypes: true }).filter((each) => each.isFile())) {
    const bytes = readFileSync(path.join(file.parentPath, file.name));
    assert.ok(!bytes.includes('plainly-visible') && !bytes.includes('value-to-hide'), file.name);
  }
  const file = path.join(folderFor(t), 'password');
  writeFileSync(file, `${secret}\nanother line\n`);
  const byFile = await shibumi([folder, '-c', 'GET plainly-visible'], '', {
    SHIBUMI_ENCRYPTION_PASSWORD_FILE: file,
  });
  assert.equal(byFile.status, 0, byFile.stderr);
  assert.match(byFile.stdout, /value-to-hide/);

  const wrong = await shibumi([folder, '-c', 'GET plainly-visible'], '', {
    SHIBUMI_ENCRYPTION_PASSWORD: 'a wrong one',
  });
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /password/i);
  assert.ok(!wrong.stderr.includes('a wrong one'));
  const none = await shibumi([folder, '-c', 'GET plainly-visible']);
  assert.equal(none.status, 2);
  assert.match(none.stderr, /encrypted/i);
  const both = { ...variables, SHIBUMI_ENCRYPTION_PASSWORD_FILE: file };
  const unclear = await shibumi([folder, '-c', 'GET plainly-visible'], '', both);
  assert.equal(unclear.status, 2);
  assert.match(unclear.stderr, /expected one of them/);
});

test('serve opens an encrypted folder, and refuses a wrong password', { timeout }, async (t) => {
  const folder = path.join(folderFor(t), 'data');
  const admin = { username: 'root', password: 'of root' };
  {
    await using server = await serve(folder, { admin, encryption: { password: secret } });
    await using db = await connect(server.url, admin);
    await db.createSpace('kv', 'key-value');
    await db.put('k', 'v', { space: 'kv' });
  }
  await assert.rejects(serve(folder, { encryption: { password: 'wrong' } }), { code: 'INVALID_CREDENTIALS' });
  await assert.rejects(serve(folder), { code: 'ENCRYPTED' });
  const refused = await shibumi(['serve', folder, '--port', '0'], '', {
    SHIBUMI_ENCRYPTION_PASSWORD: 'wrong',
  });
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /password/i);
  await using server = await serve(folder, { encryption: { password: secret } });
  await using db = await connect(server.url, admin);
  assert.equal(await db.get('k', { space: 'kv' }), 'v');
});
