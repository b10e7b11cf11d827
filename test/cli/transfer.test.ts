// Import and export with the real process: round trips of every format, and what is said of faulty files.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { csv } from '../../src/cli/transfer/csv.ts';
import { open } from '../../src/node.ts';
import { StaticHost } from '../static/static-host.ts';
import { folderFor, shibumi } from './command.ts';

async function done(args: readonly string[], input: string | Uint8Array = ''): Promise<string> {
  const { status, stdout, stderr } = await shibumi(args, input);
  assert.equal(status, 0, stderr);
  return stdout;
}

/** Seeded numbers that float32 cannot hold in few digits. */
function vectors(rows: number, dimension: number): Float32Array[] {
  let state = 7;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) * 10 ** ((state % 9) - 4);
  };
  return Array.from({ length: rows }, () => Float32Array.from({ length: dimension }, next));
}

function fvecsOf(rows: readonly Float32Array[]): Buffer {
  return Buffer.concat(
    rows.flatMap((row) => [Buffer.from(Int32Array.of(row.length).buffer), Buffer.from(row.buffer)]),
  );
}

/** As `numpy.save` writes it. */
function npyOf(descr: string, shape: string, data: Uint8Array, order = 'False'): Buffer {
  const text = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;
  const padded = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`;
  const head = Buffer.from(`\x93NUMPY\x01\x00\x00\x00${padded}`, 'latin1');
  head.writeUInt16LE(padded.length, 8);
  return Buffer.concat([head, data]);
}

test('vectors go through every format and come back bit for bit', async (t) => {
  const folder = folderFor(t);
  const db = path.join(folder, 'db');
  const rows = vectors(300, 24);
  const first = path.join(folder, 'first.fvecs');
  writeFileSync(first, fvecsOf(rows));
  await done(['import', db, 'fvecs', first, '--index', 'HNSW8', '--metric', 'Cosine']);
  let from = 'fvecs';
  for (const format of ['jsonl', 'csv', 'npy']) {
    const file = path.join(folder, `from-${from}.${format}`);
    await done(['export', db, from, file]);
    await done(['import', db, format, file]);
    from = format;
  }
  const last = path.join(folder, 'last.fvecs');
  await done(['export', db, 'npy', last]);
  assert.ok(readFileSync(last).equals(fvecsOf(rows)));
  const described = JSON.parse(await done([db, '--json', '-c', 'DESCRIBE fvecs']));
  assert.deepEqual(
    [described.count, described.indexType, described.metric, described.index.pending],
    [300, 'HNSW8', 'Cosine', 0],
  );
  // The bytes that numpy.save writes for the same array.
  const written = readFileSync(path.join(folder, 'from-csv.npy'));
  const data = Buffer.concat(rows.map((row) => Buffer.from(row.buffer)));
  assert.ok(written.equals(npyOf('<f4', '(300, 24)', data)));
});

test('keys, bytes and deadlines go through JSON lines; CSV takes texts of every kind', async (t) => {
  const folder = folderFor(t);
  const db = path.join(folder, 'db');
  const expiresAtMs = Date.now() + 3_600_000;
  const texts = ['', ' padded ', 'a,b', 'say "hi"', 'two\nlines', 'cr\r\nlf', 'né 漢字 🦀', '"'];
  const entries: object[] = texts.map((value, i) => ({ key: `k,"${i}`, value }));
  const lines = entries.map((entry) => JSON.stringify(entry));
  await done(['import', db, 'texts', '-', '--format', 'jsonl'], lines.join('\n'));
  const file = path.join(folder, 'texts.csv');
  await done(['export', db, 'texts', file]);
  await done(['import', db, 'again', file]);
  assert.deepEqual(
    (await done(['export', db, 'again', '-', '--format', 'jsonl'])).trimEnd().split('\n'),
    lines,
  );

  const others = [
    { key: 'bytes', bytes: Buffer.from([0, 255, 10, 13]).toString('base64') },
    { key: 'gone', value: 'v', expiresAtMs: Date.now() - 1000 },
    { key: 'short', value: 'v', expiresAtMs },
  ].map((entry) => JSON.stringify(entry));
  await done(['import', db, 'others', '-', '--format', 'jsonl'], others.join('\n'));
  const [bytes, short, ...rest] = (await done(['export', db, 'others', '-', '--format', 'jsonl']))
    .trimEnd()
    .split('\n');
  assert.equal(bytes, others[0]);
  assert.ok(Math.abs(JSON.parse(short ?? '').expiresAtMs - expiresAtMs) < 100, short);
  assert.deepEqual(rest, []);
  const refused = await shibumi(['export', db, 'others', path.join(folder, 'others.csv')]);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /"bytes" is bytes, which CSV cannot hold/);
  assert.equal(existsSync(path.join(folder, 'others.csv')), false);
  assert.equal(existsSync(path.join(folder, 'others.csv.part')), false);
});

test('string ids and large integer ids keep what they are', async (t) => {
  const folder = folderFor(t);
  const db = path.join(folder, 'db');
  await done(['import', db, 'names', '-', '--format', 'csv'], 'id,x,y\n"a, b",1,2\nc,3,-4.5\n');
  await done(['import', db, 'large', '-', '--format', 'csv'], 'id,x\n9007199254740993,1\n-5,2\n');
  const names = await done(['export', db, 'names', '-', '--format', 'jsonl']);
  assert.equal(names, '{"id":"a, b","vector":[1,2]}\n{"id":"c","vector":[3,-4.5]}\n');
  const large = await done(['export', db, 'large', '-', '--format', 'jsonl']);
  assert.equal(large, '{"id":-5,"vector":[2]}\n{"id":"9007199254740993","vector":[1]}\n');
  await done(['import', db, 'copy', '-', '--format', 'jsonl'], large.split('\n').reverse().join('\n'));
  assert.equal(await done(['export', db, 'copy', '-', '--format', 'jsonl']), large);
});

test('many rows and values larger than a batch arrive whole', async (t) => {
  const db = path.join(folderFor(t), 'db');
  const rows = Array.from({ length: 25_000 }, (_, i) => JSON.stringify({ key: `k${i}`, value: String(i) }));
  const large = ['x', 'y'].map((key) => JSON.stringify({ key, value: key.repeat(18_000_000) }));
  await done(['import', db, 'kv', '-', '--format', 'jsonl'], [...rows, ...large].join('\n'));
  assert.equal(await done([db, '-c', 'USE kv', '-c', 'SIZE']), 'OK\n25002 keys\n');
  const exported = await done(['export', db, 'kv', '-', '--format', 'jsonl']);
  assert.deepEqual(exported.trimEnd().split('\n').sort(), [...rows, ...large].sort());
});

test('float64 arrays are read; rows count from --first-id', async (t) => {
  const db = path.join(folderFor(t), 'db');
  const data = new Uint8Array(Float64Array.of(0.1, -2, 3, 4.5).buffer);
  const args = ['import', db, 'v', '-', '--format', 'npy', '--first-id', '10'];
  await done(args, npyOf('<f8', '(2, 2)', data));
  assert.equal(await done(['export', db, 'v', '-', '--format', 'csv']), 'id,0,1\n10,0.1,-2\n11,3,4.5\n');
});

test('a faulty file is named by line, row or byte, and what stands before is stored', async (t) => {
  const db = path.join(folderFor(t), 'db');
  await done([db], 'CREATE-SPACE kv\nCREATE-SPACE v --engine vector --dimension 2\n');
  const floats = (...numbers: number[]): Buffer => Buffer.from(Float32Array.from(numbers).buffer);
  const cases: [format: string, space: string, content: string | Buffer, message: RegExp][] = [
    ['jsonl', 'kv', '{"key":"a","value":"1"}\n{"key":"b"', /line 2: no JSON.*; 1 rows before it are stored/],
    ['jsonl', 'kv', '{"key":"a","value":1}', /line 1: Got 1 for value, expected a string/],
    ['jsonl', 'kv', '{"key":"","value":"1"}', /line 1: Got an empty key/],
    ['jsonl', 'kv', '{"key":"a","value":"\\ud800"}', /line 1: .*lone surrogate/],
    ['jsonl', 'kv', '{"key":"a","bytes":"###"}', /line 1: .*expected base64/],
    ['jsonl', 'kv', Buffer.from([123, 255, 10]), /Line 1 is not UTF-8/],
    ['jsonl', 'kv', '{"id":1,"vector":[1,2]}', /line 1: Got a vector, expected a key/],
    [
      'jsonl',
      'v',
      '{"id":1,"vector":[1,2]}\n\n{"id":2,"vector":[1]}',
      /line 3: .* 1 components, expected 2; 1 rows/,
    ],
    ['jsonl', 'v', '{"id":1.5,"vector":[1,2]}', /line 1: Got 1.5 for id/],
    ['jsonl', 'v', '{"id":1,"vector":[1,null]}', /line 1: Got null for component 2/],
    ['csv', 'kv', 'name,value\n', /line 1: Got "name,value" for the header/],
    ['csv', 'kv', 'key,value\na,"1\n2"\nb,"3', /line 4: .*inside quotes/],
    ['csv', 'kv', 'key,value\na,b,c\n', /line 2: Got 3 fields, expected 2/],
    ['csv', 'v', 'id,x,y\n1,2,three\n', /line 2: Got "three" for component 2/],
    ['csv', 'v', 'id,x,y\none,2,3\n', /line 2: Got "one" for id/],
    ['npy', 'v', 'no numpy at all', /byte 0: .*expected the magic/],
    ['npy', 'v', npyOf('<i4', '(1, 2)', floats(1, 2)), /Got "<i4" for the array's type/],
    ['npy', 'v', npyOf('<f4', '(2,)', floats(1, 2)), /Got the shape \(2,\)/],
    ['npy', 'v', npyOf('<f4', '(1, 2)', floats(1, 2), 'True'), /Got fortran_order True/],
    ['npy', 'v', npyOf('<f4', '(2, 2)', floats(1, 2, 3)), /row 2 \(byte 136\): Got 4 bytes .*expected 8/],
    ['npy', 'v', npyOf('<f4', '(1, 2)', floats(1, 2, 3)), /byte 136: Got more data/],
    ['npy', 'v', npyOf('<f4', '(1, 2)', floats(1, Number.NaN)), /row 1: Got NaN for component 2/],
    ['fvecs', 'v', Buffer.from([2, 0, 0, 0, 1]), /row 1 \(byte 0\): Got 1 bytes/],
    ['fvecs', 'v', Buffer.from('this is text'), /row 1 \(byte 0\): Got the dimension/],
    [
      'fvecs',
      'v',
      fvecsOf([Float32Array.of(1, 2), Float32Array.of(1, 2, 3)]),
      /row 2: .*3 components, expected 2/,
    ],
  ];
  for (const [format, space, content, message] of cases) {
    const { status, stderr } = await shibumi(['import', db, space, '-', '--format', format], content);
    assert.equal(status, 1, `${message}: ${stderr}`);
    assert.match(stderr, message);
  }
  assert.equal(await done([db, '-c', 'GET a', '-c', 'USE kv', '-c', 'GET a']), '(nil)\nOK\n"1\\n2"\n');
});

test('CSV is read the same however its bytes are cut', async () => {
  const bytes = Buffer.from(
    '\ufeffkey,value\r\n"a ""q""",é漢\r\n\r\nb,"x\r\n,y"\nc,"" \n'.replace('"" ', '""'),
  );
  const readIn = async (size: number): Promise<unknown[]> => {
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    };
    return Array.fromAsync(csv.read(chunks()));
  };
  const expected = [
    { at: 2, key: 'a "q"', value: 'é漢' },
    { at: 4, key: 'b', value: 'x\r\n,y' },
    { at: 6, key: 'c', value: '' },
  ];
  for (let size = 1; size <= bytes.length; size++)
    assert.deepEqual(await readIn(size), expected, `cut to ${size}`);
});

test('export --static writes a snapshot that opens over HTTP, of the spaces that are named', async (t) => {
  const folder = folderFor(t);
  const target = path.join(folder, 'public');
  await done([folder], 'CREATE-SPACE a\nCREATE-SPACE b\nUSE b\nSET key value\n');
  await done(['export', folder, 'b', '--static', target]);
  const host = new StaticHost(target);
  await using db = await open({ from: await host.start() });
  assert.deepEqual(
    (await db.listSpaces()).map(({ name }) => name),
    ['b'],
  );
  assert.equal(await db.get('key', { space: 'b' }), 'value');
  await host.stop();
  const { status, stderr } = await shibumi(
    ['export', folder, 'b', path.join(folder, 'x.csv'), '--prune'],
    '',
  );
  assert.equal(status, 2);
  assert.match(stderr, /--prune, which goes with --static/);
});
