/** One owner at a time: within a process, across processes, against locks that nobody holds any more. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdir, symlink, unlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lockFolder } from '../../src/node/folder-lock.ts';
import { deleteDatabase, isShibuDbError, open } from '../../src/node.ts';
import { node, start } from './child.ts';
import { freshFolder } from './places.ts';

const locksIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder)).filter((name) => name.startsWith('lock-'));

function startOf(pid: number): string {
  if (process.platform !== 'linux') return '0';
  const { stdout } = spawnSync('cat', [`/proc/${pid}/stat`], { encoding: 'utf8' });
  return stdout.slice(stdout.lastIndexOf(')') + 2).split(' ')[19] ?? '0';
}

/** A number that no process has: that of one that has ended. */
function deadPid(): number {
  return spawnSync(process.execPath, ['-e', ''], { encoding: 'utf8' }).pid;
}

test('a second open in the same process is another session of the same database', async () => {
  await using folder = await freshFolder();
  const alias = `${folder.path}-alias`;
  await symlink(folder.path, alias);
  const build = 'simd128';
  const [first, second] = await Promise.all([open(folder.path, { build }), open(alias, { build })]);
  assert.equal((await locksIn(folder.path)).length, 1);
  await first.createSpace('kv', 'key-value');
  await first.useSpace('kv');
  await first.put('k', 'v');
  await assert.rejects(second.get('k'), { code: 'NO_SPACE_SELECTED' });
  assert.equal(await second.get('k', { space: 'kv' }), 'v');
  await assert.rejects(open(folder.path, { build: 'relaxed' }), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(
    () => deleteDatabase(folder.path),
    (error) => {
      assert.ok(isShibuDbError(error));
      assert.equal(error.code, 'LOCKED');
      assert.match(error.message, /open in this process since \d{4}-/);
      assert.equal(error.details.pid, process.pid);
      return true;
    },
  );
  await first.close();
  await first.close();
  await second.put('k', 'w', { space: 'kv' });
  assert.equal((await locksIn(folder.path)).length, 1, 'the second still has it');
  // One that comes while the last is going opens it anew.
  const [, third] = await Promise.all([second.close(), open(folder.path)]);
  assert.equal(await third.get('k', { space: 'kv' }), 'w');
  await third.close();
  await unlink(alias);
  assert.deepEqual(await locksIn(folder.path), []);
  await (await open(folder.path)).close();
});

test('another process is LOCKED out and told by whom; it waits if it is asked to', async () => {
  await using folder = await freshFolder();
  const db = await open(folder.path);
  const refused = start(node, 'opener.ts', [folder.path, '0']);
  assert.equal(await refused.line('failed'), `failed LOCKED ${process.pid}`);
  await refused.ended;
  const patient = start(node, 'opener.ts', [folder.path, '20000']);
  await patient.line('opening');
  await sleep(150);
  assert.deepEqual(patient.lines, ['opening']);
  await db.close();
  await patient.line('open ');
  await assert.rejects(() => open(folder.path), {
    code: 'LOCKED',
    message: new RegExp(`process ${patient.child.pid}\\b`),
  });
  patient.child.stdin?.end();
  assert.equal((await patient.ended).code, 0);
  assert.deepEqual(await locksIn(folder.path), []);
});

test('the lock of a killed process is taken over', async () => {
  await using folder = await freshFolder();
  const other = start(node, 'opener.ts', [folder.path, '0']);
  await other.line('open ');
  assert.equal((await locksIn(folder.path)).length, 1);
  other.child.kill('SIGKILL');
  await other.ended;
  assert.equal((await locksIn(folder.path)).length, 1);
  await (await open(folder.path)).close();
  assert.deepEqual(await locksIn(folder.path), []);
});

test('a process that exits without closing leaves no lock', async () => {
  await using folder = await freshFolder();
  const other = start(node, 'opener.ts', [folder.path, '0', 'exit']);
  await other.line('open ');
  await other.ended;
  assert.deepEqual(await locksIn(folder.path), []);
});

test('locks of processes that are gone are removed, whatever is in them', async () => {
  await using folder = await freshFolder();
  const gone = deadPid();
  await writeFile(path.join(folder.path, `lock-held-${gone}-12345-aa`), '');
  await writeFile(path.join(folder.path, `lock-claim-${gone}-12345-bb`), '{"pid": 1, "ho');
  await writeFile(path.join(folder.path, 'lock-of-mine'), 'not ours');
  await (await open(folder.path)).close();
  assert.deepEqual(await locksIn(folder.path), ['lock-of-mine']);
});

test('a process with the number of a former owner, but a later start, is not the owner', async (t) => {
  if (process.platform !== 'linux') return t.skip('this system tells no start times');
  await using folder = await freshFolder();
  const start = Number(startOf(process.pid));
  await writeFile(path.join(folder.path, `lock-held-${process.pid}-${start - 1}-aa`), '');
  await (await open(folder.path)).close();
  await writeFile(path.join(folder.path, `lock-held-${process.pid}-${start}-aa`), '');
  await assert.rejects(() => open(folder.path), { code: 'LOCKED' });
});

test('a lock of another host stands, and the message says what to do', async () => {
  await using folder = await freshFolder();
  const name = `lock-held-${deadPid()}-0-aa`;
  await writeFile(path.join(folder.path, name), JSON.stringify({ pid: 1, host: `not-${os.hostname()}` }));
  await assert.rejects(() => open(folder.path), {
    code: 'LOCKED',
    message: new RegExp(`on not-${os.hostname()} \\(if that is gone, remove .*${name}\\)`),
  });
});

test('of many who open at once, one at a time has the folder', async () => {
  await using folder = await freshFolder();
  let owners = 0;
  let turns = 0;
  const contend = async (): Promise<void> => {
    const lock = await lockFolder(folder.path, 30_000);
    assert.equal(++owners, 1);
    await sleep(2);
    turns++;
    owners--;
    lock.release();
  };
  await Promise.all(Array.from({ length: 12 }, contend));
  assert.equal(turns, 12);
});

test('of many processes that find a stale lock at once, one takes it over', async () => {
  for (let round = 0; round < 2; round++) {
    await using folder = await freshFolder();
    await writeFile(path.join(folder.path, `lock-held-${deadPid()}-12345-aa`), '');
    const others = Array.from({ length: 5 }, () => start(node, 'opener.ts', [folder.path, '0']));
    const outcomes = await Promise.all(
      others.map((other) => Promise.race([other.line('open '), other.line('failed')])),
    );
    assert.equal(outcomes.filter((line) => line.startsWith('open ')).length, 1, outcomes.join('; '));
    for (const line of outcomes) assert.match(line, /^(open |failed LOCKED)/);
    for (const other of others) other.child.stdin?.end();
    await Promise.all(others.map(({ ended }) => ended));
  }
});

test('processes that take the lock as often as they can never have it together', async () => {
  await using folder = await freshFolder();
  const lockers = Array.from({ length: 4 }, () => start(node, 'locker.ts', [folder.path, '2500']));
  let turns = 0;
  for (const { ended, lines } of lockers) {
    const { code, errors } = await ended;
    assert.equal(code, 0, errors);
    turns += Number(lines[0]?.slice('took '.length));
  }
  assert.ok(turns > 100, `only ${turns} turns`);
});
