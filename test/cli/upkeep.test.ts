// `shibumi verify`, `shibumi bench`, and the session's commands on users.

import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { folderFor, shibumi } from './command.ts';

test('verify finds nothing in what is intact, and the damage in what is not', async (t) => {
  const folder = folderFor(t);
  await shibumi([folder, '-c', 'SET k v', '-c', 'CREATE-SPACE v --engine vector --dimension 2']);
  const intact = await shibumi(['verify', folder]);
  assert.equal(intact.status, 0, intact.stderr);
  assert.match(intact.stdout, /^default .*intact$/m);
  assert.match(intact.stdout, /Everything is intact/);
  const shell = await shibumi([folder, '-c', 'VERIFY', '--json']);
  assert.equal((JSON.parse(shell.stdout) as { ok: boolean }).ok, true);
  // A bit of every stored block: whichever it is, it is found.
  const files = globSync('**/*', { cwd: folder, withFileTypes: true }).filter((file) => file.isFile());
  for (const file of files) {
    const name = path.join(file.parentPath, file.name);
    const bytes = readFileSync(name);
    if (bytes.length < 100_000) continue;
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(name, bytes);
  }
  const damaged = await shibumi(['verify', folder, '--json']);
  assert.equal(damaged.status, 1, damaged.stdout + damaged.stderr);
  const { ok, spaces } = JSON.parse(damaged.stdout) as { ok: boolean; spaces: { faults: unknown[] }[] };
  assert.equal(ok, false);
  assert.ok(spaces.some(({ faults }) => faults.length > 0));
  assert.match((await shibumi(['verify', folder, '--shallow'])).stdout, /ERROR: there is damage/);
  assert.equal((await shibumi(['verify', path.join(folder, 'nothing')])).status, 2);
});

test('bench measures in spaces of its own, and leaves none', async (t) => {
  const folder = folderFor(t);
  const size = ['--vectors', '300', '--dimension', '8'];
  const { status, stdout, stderr } = await shibumi(['bench', folder, '--json', ...size]);
  assert.equal(status, 0, stderr);
  const figures = JSON.parse(stdout) as { what: string; perSecond: number }[];
  assert.ok(figures.length >= 6 && figures.every(({ perSecond }) => perSecond > 0), stdout);
  assert.equal((await shibumi([folder, '--json', '-c', 'LIST-SPACES'])).stdout, '[]\n');
  assert.equal((await shibumi(['bench', folder, '--vectors', '0'])).status, 2);
});

test('a session makes users, signs in as them, and may then do what they may', async (t) => {
  const folder = folderFor(t);
  const lines = [
    'SET k v',
    'CREATE-USER root "pw of root" --role admin',
    'GET k',
    'LOGIN root wrong',
    'LOGIN root "pw of root"',
    'CREATE-USER ann "pw of ann" default=read',
    'LIST-USERS',
    'LOGIN ann "pw of ann"',
    'GET k',
    'SET k w',
    'LOGIN root "pw of root"',
    'UPDATE-USER-PERMISSIONS ann default=write',
    'UPDATE-USER-ROLE ann admin',
    'GET-USER ann',
    'UPDATE-USER-PASSWORD ann another',
    'LOGIN ann another',
    'DELETE-USER ann',
    'LIST-USERS',
    'GET-USER nobody',
  ];
  const { stdout, status } = await shibumi([folder, '--json'], `${lines.join('\n')}\n`);
  assert.equal(status, 1, 'some were refused');
  const replies = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const codes = replies.map((reply) => reply?.error?.code ?? reply);
  const root = { username: 'root', role: 'admin', permissions: {} };
  const ann = { username: 'ann', role: 'user', permissions: { default: 'read' } };
  assert.deepEqual(codes, [
    'OK',
    'OK',
    'NOT_AUTHENTICATED',
    'INVALID_CREDENTIALS',
    'OK',
    'OK',
    [ann, root],
    'OK',
    'v',
    'PERMISSION_DENIED',
    'OK',
    'OK',
    'OK',
    { username: 'ann', role: 'admin', permissions: { default: 'write' } },
    'OK',
    'OK',
    'OK',
    'NOT_AUTHENTICATED',
    'NOT_AUTHENTICATED',
  ]);
});
