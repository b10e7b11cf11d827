// A session's commands through a pipe: replies, order, exit status, misuse.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { commands } from '../../src/cli/commands.ts';
import { folderFor, shibumi, start } from './command.ts';

/** Pairs of a command and its reply. */
async function converse(folder: string, pairs: readonly (readonly [string, string])[]): Promise<void> {
  const { stdout, stderr } = await shibumi([folder], pairs.map(([command]) => `${command}\n`).join(''));
  assert.equal(stdout, pairs.map(([, reply]) => `${reply}\n`).join(''), stderr);
}

for (const name of ['cli.md', 'from-nubdb.md'])
  test(`the worked session of docs/${name} gives what the page shows`, async (t) => {
    const page = readFileSync(path.resolve(import.meta.dirname, '../../docs', name), 'utf8');
    const session = /<!-- session -->\n((?: {4}.*\n|\n)+)/.exec(page)?.[1];
    assert.ok(session, `docs/${name} has no worked session`);
    const lines = session.split('\n').map((line) => line.slice(4));
    const prompt = /^shibumi[^>]*> /;
    const typed = lines.filter((line) => prompt.test(line)).map((line) => line.replace(prompt, ''));
    const shown = lines.filter((line) => line !== '' && !prompt.test(line));
    assert.ok(typed.length > 8);
    const { status, stdout } = await shibumi([folderFor(t)], typed.join('\n'));
    assert.deepEqual(stdout.split('\n').filter(Boolean), shown);
    assert.equal(status, 0);
  });

test('keys: the words of both seeds, in any case, with quotes and escapes', async (t) => {
  const folder = folderFor(t);
  await converse(folder, [
    ['SET city "New York"', 'OK'],
    ['get city', '"New York"'],
    ['put quote "a \\"b\\" \\n\\u00e9"', 'OK'],
    ['GET quote', '"a \\"b\\" \\né"'],
    ["SET single 'a \\n b'", 'OK'],
    ['GET single', '"a \\\\n b"'],
    ['GET nope', '(nil)'],
    ['EXISTS city', '1'],
    ['EXISTS nope', '0'],
    ['INCR n', '1'],
    ['INCR n 41', '42'],
    ['DECR n', '41'],
    ['SIZE', '4 keys'],
    ['TTL city', '-1'],
    ['EXPIRE city 100', '1'],
    ['TTL city', '100'],
    ['EXPIRE nope 1', '0'],
    ['TTL nope', '-2'],
    ['SET short "x" 0.001', 'OK'],
    ['DEL city', 'OK'],
    ['DELETE city', '(not found)'],
    ['CLEAR', 'OK'],
    ['SIZE', '0 keys'],
    ['QUIT', 'Goodbye'],
  ]);
  assert.deepEqual(globSync('lock-*', { cwd: folder }), [], 'the lock was left behind');
});

test('vectors: from CREATE-SPACE to DELETE-SPACE', async (t) => {
  await converse(folderFor(t), [
    ['CREATE-SPACE docs --engine vector --dimension 3 --index HNSW16 --metric L2', 'OK'],
    ['CREATE-SPACE names --engine=vector --dimension=2 --ids string', 'OK'],
    ['USE docs', 'OK'],
    ['INSERT-VECTOR 1 1,2,3', 'OK'],
    ['INSERT-VECTOR 2 -1,0.1,[3]'.replace('[3]', '3'), 'OK'],
    ['INSERT-VECTOR 9007199254740993 [9,9,9]', 'OK'],
    ['GET-VECTOR 2', '-1,0.1,3'],
    ['GET-VECTOR 5', '(nil)'],
    ['SEARCH-TOPK 1,2,3 2', 'id  distance\n--  --------\n 1         0\n 2      7.61'],
    ['RANGE-SEARCH 1,2,3 1', 'id  distance\n--  --------\n 1         0'],
    ['RANGE-SEARCH 100,2,3 1', '(none)'],
    [
      'SCAN --limit 2',
      'id  vector\n--  --------\n 1  1,2,3\n 2  -1,0.1,3\n(more; SCAN --limit n shows n of them)',
    ],
    ['SIZE', '3 vectors'],
    ['DELETE-VECTOR 9007199254740993', 'OK'],
    ['DELETE-VECTOR 5', '(not found)'],
    ['USE names', 'OK'],
    ['INSERT-VECTOR "first one" 1,2', 'OK'],
    ['SEARCH-TOPK 1,3', 'id         distance\n---------  --------\nfirst one         1'],
    ['DELETE-SPACE names', 'OK'],
    ['SET k v', 'OK'],
    ['GET k', '"v"'],
  ]);
});

test('what was written in one session is there in the next', async (t) => {
  const folder = folderFor(t);
  assert.equal((await shibumi([folder, '-c', 'SET k "kept"'])).status, 0);
  const { status, stdout } = await shibumi([folder, '-c', 'GET k', '-c', 'SIZE']);
  assert.deepEqual([status, stdout], [0, '"kept"\n1 keys\n']);
});

test('misuse is answered in plain words and the session goes on', async (t) => {
  const cases: [string, RegExp][] = [
    ['FROB 1', /^ERROR: Unknown command FROB; HELP lists all$/],
    ['SET onlykey', /^ERROR: Got 1 argument, expected: SET key value \[ttlSeconds\]$/],
    ['GET a b', /^ERROR: Got 2 arguments, expected: GET key$/],
    ['SET k "open', /^ERROR: Got a " that is not closed/],
    ['SET k "bad \\x"', /^ERROR: .*expected only the escapes/],
    ['SET k v soon', /^ERROR: Got "soon" for ttlSeconds, expected a number$/],
    ['SET k abc', /^OK$/],
    ['INCR k', /^ERROR: Got "abc" under "k", expected an integer/],
    ['USE nowhere', /^ERROR: .*nowhere/],
    ['SEARCH-TOPK 1,2,3', /^ERROR: SEARCH-TOPK needs a vector space: choose one with USE name$/],
    ['CREATE-SPACE v --engine vector', /^ERROR: Got no --dimension/],
    [
      'CREATE-SPACE v --engine vector --dimension 3 --metric Manhatten',
      /^ERROR: Got "Manhatten" for metric, expected one of /,
    ],
    ['CREATE-SPACE v --dimension 3', /^ERROR: .*only with --engine vector/],
    ['CREATE-SPACE v --engine vector --dimension 3 --colour red', /^ERROR: Got the option --colour/],
    ['CREATE-SPACE v --engine vector --dimension 3', /^OK$/],
    ['USE v', /^OK$/],
    ['INSERT-VECTOR 1 1,x,3', /^ERROR: Got "x" for component 2 of the vector, expected a number$/],
    ['INSERT-VECTOR 1 1,,3', /^ERROR: Got "" for component 2/],
    ['INSERT-VECTOR 1 1,2,1e39', /^ERROR: Got "1e39" for component 3/],
    ['INSERT-VECTOR 1 1,2', /^ERROR: .*2 components, expected 3$/],
    ['INSERT-VECTOR one 1,2,3', /^ERROR: Got "one" for id, expected an integer of 64 bits$/],
    ['PUT k v', /^ERROR: .*"v" is a vector space/],
    ['SIZE', /^0 vectors$/],
  ];
  const { status, stdout, stderr } = await shibumi(
    [folderFor(t)],
    cases.map(([command]) => command).join('\n'),
  );
  const replies = stdout.trimEnd().split('\n');
  assert.equal(replies.length, cases.length, stdout);
  for (const [i, [command, expected]] of cases.entries()) assert.match(replies[i] ?? '', expected, command);
  assert.equal(status, 1);
  assert.match(stderr, /^shibumi: 19 of 23 commands failed, the first in line 1$/m);
});

test('--json gives one value a line, errors too', async (t) => {
  const input = 'SET k "a\\nb"\nGET k\nGET no\nINCR n\nSCAN\nBAD\nLIST-SPACES\nHELP\n';
  const { stdout } = await shibumi([folderFor(t), '--json'], input);
  const values = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const scanned = [
    { key: 'k', value: 'a\nb' },
    { key: 'n', value: '1' },
  ];
  assert.deepEqual(values.slice(0, 5), ['OK', 'a\nb', null, 1, scanned]);
  assert.equal(values[5].error.code, 'INVALID_ARGUMENT');
  assert.deepEqual(values[6], [{ name: 'default', engine: 'key-value', durability: 'strict' }]);
  assert.deepEqual(
    values[7].map(({ name }: { name: string }) => name),
    [...new Set([...commands.values()].map(({ name }) => name))],
  );
});

test('control sequences in stored data do not reach the terminal', async (t) => {
  const { stdout } = await shibumi(
    [folderFor(t)],
    'SET "k\\u001b[2J" "v\\u001b[2J"\nGET "k\\u001b[2J"\nSCAN\n',
  );
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what is looked for
  assert.doesNotMatch(stdout, /\u001b/);
  assert.match(stdout, /\\u001b/);
});

test('a batch keeps its order: thousands of writes among reads', async (t) => {
  const lines = [
    '# counts up',
    '',
    ...Array.from({ length: 5000 }, (_, i) => (i % 500 === 499 ? 'GET n' : 'INCR n')),
  ];
  const { status, stdout } = await shibumi([folderFor(t)], lines.join('\r\n'));
  let n = 0;
  const expected = Array.from({ length: 5000 }, (_, i) => (i % 500 === 499 ? `"${n}"` : String(++n)));
  assert.equal(status, 0);
  assert.deepEqual(stdout.trimEnd().split('\n'), expected);
});

test('--stop-on-error runs nothing behind the first failure', async (t) => {
  const folder = folderFor(t);
  const input = 'SET a 1\nSET b\nSET c 3\n';
  const stopped = await shibumi([folder, '--stop-on-error'], input);
  assert.equal(stopped.status, 1);
  assert.equal(stopped.stdout.split('\n').length, 3);
  assert.equal((await shibumi([folder, '-c', 'SIZE'])).stdout, '1 keys\n');
  assert.equal((await shibumi([folder], input)).status, 1);
  assert.equal((await shibumi([folder, '-c', 'SIZE'])).stdout, '2 keys\n');
});

test('QUIT ends a session whose input stays open, and each reply comes at once', async (t) => {
  const child = start([folderFor(t)]);
  const replies = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.stdin.write('SET k v\n');
  assert.equal((await replies.next()).value, 'OK');
  child.stdin.write('GET k\n');
  assert.equal((await replies.next()).value, '"v"');
  child.stdin.write('exit\n');
  assert.equal((await replies.next()).value, 'Goodbye');
  const [status] = await once(child, 'close');
  assert.equal(status, 0);
});

test('nothing is begun with a wrong command line or a folder that cannot be used', async (t) => {
  const folder = folderFor(t);
  writeFileSync(path.join(folder, 'file'), 'no folder');
  const cases: [string[], RegExp][] = [
    [[], /Got 0 arguments, expected: shibumi <folder>/],
    [['a', 'b'], /Got 2 arguments/],
    [['--frob'], /--frob/],
    [[path.join(folder, 'new'), '--pipe-in', 'x'], /expected both/],
    [[path.join(folder, 'file')], /file/],
    [['stats', path.join(folder, 'none')], /There is no database in/],
    [['export', path.join(folder, 'none'), 'space', 'x.csv'], /There is no database in/],
    [['import', path.join(folder, 'new'), 'space', path.join(folder, 'none.csv')], /Cannot read .*none\.csv/],
    [['import', path.join(folder, 'new'), 'space', 'x.parquet'], /does not tell its format/],
  ];
  const outcomes = await Promise.all(cases.map(([args]) => shibumi(args)));
  for (const [i, [args, message]] of cases.entries()) {
    const { status, stdout, stderr } = outcomes[i]!;
    assert.equal(status, 2, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, message);
    assert.equal(stdout, '');
  }
  assert.equal(existsSync(path.join(folder, 'new')), false, 'a database was made');
  const help = await shibumi(['--help']);
  assert.equal(help.status, 0);
  assert.match(help.stdout, /shibumi import <folder> <space> <file>/);
});

test('a database that is open elsewhere is refused by name of the process; SIGTERM lets it go', async (t) => {
  const folder = folderFor(t);
  mkdirSync(path.join(folder, 'db'));
  const child = start([path.join(folder, 'db')]);
  child.stdin.write('SET k v\n');
  await once(child.stdout, 'data');
  const second = await shibumi([path.join(folder, 'db'), '-c', 'GET k']);
  assert.equal(second.status, 2);
  assert.match(second.stderr, new RegExp(`is open in process ${child.pid}`));
  child.kill('SIGTERM');
  const [status] = await once(child, 'close');
  assert.equal(status, 143);
  assert.equal((await shibumi([path.join(folder, 'db'), '-c', 'GET k'])).stdout, '"v"\n');
});

test('a reader that goes away ends the command', async (t) => {
  const child = start([folderFor(t)]);
  child.stdin.on('error', () => {});
  child.stdin.write('HELP\n'.repeat(20_000));
  await once(child.stdout, 'data');
  child.stdout.destroy();
  const [status, signal] = await once(child, 'close');
  assert.deepEqual([status, signal], [0, null]);
});

test('stats tells of the database and every space', async (t) => {
  const folder = folderFor(t);
  await shibumi([folder, '-c', 'SET k v', '-c', 'CREATE-SPACE "a b" --engine vector --dimension 2']);
  const { status, stdout } = await shibumi(['stats', folder, '--json']);
  const [whole, ...spaces] = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(status, 0);
  assert.equal(whole.storage, 'files');
  assert.deepEqual(
    spaces.map(({ name, count }) => [name, count]),
    [
      ['default', 1],
      ['a b', 0],
    ],
  );
});
