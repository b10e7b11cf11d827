// `shibumi users`: the first admin of a folder, others, and what they may then do at the shell. Passwords come by standard
// input and the environment; none may stand in a reply or an error.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serve } from '../../src/server.ts';
import { folderFor, type Outcome, shibumi } from './command.ts';

function as(password: string, args: readonly string[], input = ''): Promise<Outcome> {
  return shibumi(args, input, { SHIBUMI_PASSWORD: password });
}

async function fails(outcome: Promise<Outcome>, message: RegExp): Promise<void> {
  const { status, stderr } = await outcome;
  assert.notEqual(status, 0);
  assert.match(stderr, message);
}

test('a folder gets users, who may do at the shell what they are permitted', async (t) => {
  const folder = folderFor(t);
  await shibumi([folder, '-c', 'SET k v']);
  await fails(shibumi(['users', 'create', folder, 'eve'], 'pw of eve\n'), /admin/);
  const made = await shibumi(['users', 'create', folder, 'root', '--role', 'admin'], 'pw of root\n');
  assert.deepEqual([made.status, made.stdout], [0, 'OK\n'], made.stderr);
  await fails(shibumi(['users', 'list', folder]), /authenticate/);

  const root = (args: readonly string[], input = ''): Promise<Outcome> =>
    as('pw of root', [...args, '--user', 'root'], input);
  const created = await root(['users', 'create', folder, 'ann', 'default=read'], 'pw of ann\n');
  assert.equal(created.status, 0, created.stderr);
  const listed = await root(['users', 'list', folder]);
  assert.equal(
    listed.stdout,
    [
      'name  role   permissions',
      '----  -----  ------------',
      'ann   user   default=read',
      'root  admin',
      '',
    ].join('\n'),
  );
  const ann = (...commands: string[]): Promise<Outcome> => {
    const given = ['USE default', ...commands].flatMap((command) => ['-c', command]);
    return as('pw of ann', [folder, '--user', 'ann', ...given]);
  };
  const { stdout } = await ann('GET k', 'SET k w');
  assert.match(stdout, /^OK\n"v"\nERROR: .*write/);

  await root(['users', 'permit', folder, 'ann', 'default=write', 'a=b=read']);
  assert.match((await ann('SET k w')).stdout, /OK\nOK/);
  const shown = await root(['users', 'show', folder, 'ann', '--json']);
  assert.deepEqual(JSON.parse(shown.stdout), {
    username: 'ann',
    role: 'user',
    permissions: { 'a=b': 'read', default: 'write' },
  });
  await root(['users', 'role', folder, 'ann', 'admin']);
  await root(['users', 'password', folder, 'ann'], 'another\n');
  assert.equal((await as('another', ['stats', folder, '--user', 'ann'])).status, 0);
  await root(['users', 'delete', folder, 'ann']);
  await fails(root(['users', 'show', folder, 'ann']), /no user "ann"/);
});

test('a served database has its users changed from afar', async (t) => {
  const server = await serve('users', { storage: 'memory', admin: { username: 'root', password: 'pw' } });
  t.after(() => server.close());
  const created = await shibumi(['users', 'create', server.url, 'bob', '--user', 'root'], '', {
    SHIBUMI_PASSWORD: 'pw',
    SHIBUMI_NEW_PASSWORD: 'pw of bob',
  });
  assert.equal(created.status, 0, created.stderr);
  const listed = await as('pw', ['users', 'list', server.url.replace('//', '//root@'), '--json']);
  assert.deepEqual(
    (JSON.parse(listed.stdout) as { username: string }[]).map(({ username }) => username),
    ['bob', 'root'],
  );
});

test('misuse is refused before anything is opened, and says what was expected', async (t) => {
  const folder = folderFor(t);
  await fails(shibumi(['users']), /list\|show\|create/);
  await fails(shibumi(['users', 'toString', folder]), /"toString"/);
  await fails(shibumi(['users', 'delete', folder]), /users delete <folder> <name>/);
  await fails(shibumi(['users', 'list', folder, '--role', 'admin']), /users list <folder>$/m);
  await fails(shibumi(['users', 'create', folder, 'ann', 'books']), /"books"/);
  await fails(shibumi(['users', 'create', folder, 'root', '--role', 'admin']), /no password/);
});
