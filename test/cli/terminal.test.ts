// What a person at a terminal sees. `script` (util-linux) makes the terminal.

import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { entry, folderFor } from './command.ts';

const escapeCharacter = String.fromCharCode(27);
const skip: string | false =
  spawnSync('script', ['--version']).status !== 0 && 'no `script` (util-linux) here to make a terminal with';

test('a terminal gets a prompt, completion, and a history that lasts and holds no password', {
  skip,
}, async (t) => {
  const folder = folderFor(t);
  const history = path.join(folder, 'history');
  const command = [process.execPath, entry, path.join(folder, 'db')].map((part) => `'${part}'`).join(' ');
  const env = { ...process.env, SHIBUMI_HISTORY: history, TERM: 'xterm', NODE_OPTIONS: '' };
  // What to wait for on the screen, then what to type. Text that comes together with a Tab counts as pasted.
  const steps: [seen: string, typed: string][] = [
    ['shibumi> ', 'create-space animals\r'],
    ['OK', 'USE ani'],
    ['USE ani', '\t'],
    ['mals', '\r'],
    ['shibumi:animals> ', 'PUT cat "meow"\r'],
    ['OK', 'GET cat\r'],
    ['"meow"', 'LOGIN root never-to-be-kept\r'],
    ['ERROR: ', 'QUI'],
    ['QUI', '\t'],
    ['T', '\r'],
  ];
  const running = promisify(execFile)('script', ['-qec', command, '/dev/null'], { env, timeout: 20_000 });
  let unseen = '';
  running.child.stdout?.on('data', (text: string) => {
    unseen += text;
    const [seen, typed] = steps[0] ?? ['Goodbye', ''];
    const at = unseen.indexOf(seen);
    if (at < 0 || typed === '') return;
    unseen = unseen.slice(at + seen.length);
    steps.shift();
    running.child.stdin?.write(typed);
  });
  const { stdout } = await running;
  assert.equal(steps.length, 0, `waited for ${steps[0]?.[0]}`);
  assert.match(stdout, /shibumi:animals> /);
  assert.match(stdout, /"meow"\r\n/);
  assert.match(stdout, /Goodbye/);
  assert.deepEqual(
    readFileSync(history, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.trim()),
    ['create-space animals', 'USE animals', 'PUT cat "meow"', 'GET cat', 'QUIT'],
  );
  assert.equal(statSync(history).mode & 0o777, 0o600);
});

test('an import and an export show how far they are', { skip }, async (t) => {
  const folder = folderFor(t);
  const file = path.join(folder, 'rows.jsonl');
  const rows = Array.from({ length: 60_000 }, (_, i) =>
    JSON.stringify({ key: `k${i}`, value: 'v'.repeat(100) }),
  );
  writeFileSync(file, rows.join('\n'));
  const shown = async (...args: string[]): Promise<string> => {
    const command = [process.execPath, entry, ...args].map((part) => `'${part}'`).join(' ');
    const env = { ...process.env, TERM: 'xterm', NODE_OPTIONS: '' };
    return (await promisify(execFile)('script', ['-qec', command, '/dev/null'], { env, timeout: 60_000 }))
      .stdout;
  };
  const db = path.join(folder, 'db');
  const imported = await shown('import', db, 'rows', file);
  // The line renews itself in its place.
  assert.match(imported.replaceAll(escapeCharacter, 'ESC'), /\rESC\[K\d+ rows stored, \d+ % of the file/);
  assert.match(imported, /60000 rows of .*rows\.jsonl imported into rows in \d+(\.\d)? s/);
  const exported = await shown('export', db, 'rows', path.join(folder, 'again.jsonl'));
  assert.match(exported, /60000 rows of rows exported to .*again\.jsonl in \d+(\.\d)? s/);
});
