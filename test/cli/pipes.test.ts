// Named pipes with clients that open and close them per command.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { folderFor, shibumi, start } from './command.ts';

const unix = process.platform !== 'win32';

/** A client in the shell, with a limit of time. */
async function sh(folder: string, script: string): Promise<string> {
  const { stdout } = await promisify(execFile)('timeout', ['20', 'sh', '-c', script], { cwd: folder });
  return stdout;
}

test('named pipes serve client after client, whichever end they close first', { skip: !unix }, async (t) => {
  const folder = folderFor(t);
  const [pipeIn, pipeOut] = [path.join(folder, 'in'), path.join(folder, 'out')];
  execFileSync('mkfifo', [pipeIn]);
  const child = start([path.join(folder, 'db'), '--pipe-in', pipeIn, '--pipe-out', pipeOut]);
  t.after(() => child.kill('SIGKILL'));
  await once(child.stderr, 'data');

  // A client a command: the reader meets an end of file after its reply.
  for (let i = 1; i <= 5; i++) assert.equal(await sh(folder, 'echo INCR n > in; cat out'), `${i}\n`);
  // The reader is there first, and another one that leaves after its line.
  assert.equal(
    await sh(folder, 'cat out & printf "SET city \\"New York\\"\\nGET city\\n" > in; wait'),
    'OK\n"New York"\n',
  );
  assert.equal(await sh(folder, 'echo GET n > in; read line < out; echo $line'), '"5"\n');
  // An error, an end of the session and an empty visit leave it standing.
  assert.match(await sh(folder, 'echo FROB > in; cat out'), /^ERROR: Unknown command FROB/);
  assert.equal(await sh(folder, 'echo QUIT > in; cat out'), 'Goodbye\n');
  await sh(folder, ': > in');
  // One client that keeps both ends open.
  const kept = 'exec 3>in 4<out; for i in 1 2 3; do echo INCR n >&3; read line <&4; echo $line; done';
  assert.equal(await sh(folder, kept), '6\n7\n8\n');
  // More than a pipe holds.
  const many = `(seq 1 20000 | sed 's/.*/SET k& v&/' > in) & cat out | sort | uniq -c`;
  assert.match(await sh(folder, many), /^\s*20000 OK\n$/);
  assert.equal(await sh(folder, 'echo SIZE > in; cat out'), '20002 keys\n');

  child.kill('SIGTERM');
  const [status] = await once(child, 'close');
  assert.equal(status, 143);
  assert.equal(existsSync(pipeIn), true, 'a pipe of the user was removed');
  assert.equal(existsSync(pipeOut), false, 'its own pipe was left behind');
  const after = await shibumi([path.join(folder, 'db'), '-c', 'GET n']);
  assert.equal(after.stdout, '"8"\n');
});

test('a file in the place of a pipe is refused', { skip: !unix }, async (t) => {
  const folder = folderFor(t);
  const file = path.join(folder, 'file');
  writeFileSync(file, 'precious');
  const args = [path.join(folder, 'db'), '--pipe-in', file, '--pipe-out', path.join(folder, 'out')];
  const { status, stderr } = await shibumi(args);
  assert.equal(status, 2);
  assert.match(stderr, /file, expected a named pipe/);
  assert.equal(readFileSync(file, 'utf8'), 'precious');
});
