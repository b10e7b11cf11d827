// NubDB's line protocol: what its published clients send, as recorded, with the answers their authors meant.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { admin, RawClient, served } from './served.ts';

const recording = path.resolve(import.meta.dirname, '../../../shared/protocols/nubdb-clients.jsonl');
const isMissing = existsSync(recording) ? false : `the recording is not there: ${recording}`;

/** Quoted values are one value here: asked, what the real server answered, what is right. */
const meant = new Map([
  ['GET name\n""Alice""\n', '"Alice"\n'],
  ['GET city\n""New"\n', '"New York"\n'],
  ['GET t\n""x""\n', '"x"\n'],
  ['INCR counter\n1\n', '101\n'],
]);

test('recorded conversations', { skip: isMissing }, async (t) => {
  const { portOf } = await served(t, { nubdb: 0, guest: admin.username });
  let client = await RawClient.open(portOf('nubdb'));
  t.after(() => client[Symbol.dispose]());
  let count = 0;
  for (const line of readFileSync(recording, 'utf8').trim().split('\n')) {
    const { request, response } = JSON.parse(line) as { request: string; response: string };
    // A second is too short for a busy machine.
    const asked = request.replace('"x" 1\n', '"x" 1000\n');
    const expected = meant.get(`${request}${response}`) ?? response;
    assert.equal(await client.ask(asked), expected, request);
    if (request === 'QUIT\n') {
      assert.equal(await client.closed(), '');
      client = await RawClient.open(portOf('nubdb'));
    }
    count++;
  }
  assert.ok(count > 30);
});

test('case, blanks, errors, times to live, and lines that are too long', async (t) => {
  const { portOf, db } = await served(t, { nubdb: 0, nubdbSpace: 'lines', guest: admin.username });
  using client = await RawClient.open(portOf('nubdb'));
  assert.equal(await client.ask('  set\t k   v  \r\n'), 'OK\n');
  assert.equal(await db.get('k', { space: 'lines' }), 'v');
  client.send('\n\nEXISTS k\n');
  assert.equal(await client.line(), '1\n', 'an empty line gets no reply');
  for (const name of ['GET', 'DELETE', 'EXISTS', 'INCR', 'DECR'])
    assert.equal(await client.ask(`${name}\n`), `ERROR: ${name} requires key\n`);
  assert.equal(await client.ask('DEL\n'), 'ERROR: DELETE requires key\n');
  assert.equal(await client.ask('SET k\n'), 'ERROR: SET requires key and value\n');
  assert.equal(await client.ask('NOPE\n'), 'ERROR: Unknown command\n');
  assert.match(await client.ask('INCR k\n'), /^ERROR: .*expected an integer/);
  assert.equal(await client.ask('SET t "a b" 100\n'), 'OK\n');
  assert.ok(Number(await db.ttl('t', { space: 'lines' })) > 90_000);
  assert.equal(await client.ask('DECR n\n'), '-1\n');
  client.send('SET a 1\nGET a\nSIZE\nexit\nSIZE\n');
  assert.equal(await client.closed(), 'OK\n"1"\n4 keys\nGoodbye\n');
  using long = await RawClient.open(portOf('nubdb'));
  long.send(`SIZE\nSET k ${'x'.repeat(5000)}`);
  assert.equal(await long.closed(), '4 keys\n');
});

test('without a guest one signs in first, and a guest may do what its user may', async (t) => {
  const { portOf, db } = await served(t, { nubdb: 0 });
  using client = await RawClient.open(portOf('nubdb'));
  assert.equal(await client.ask('GET k\n'), 'ERROR: AUTH user password comes first\n');
  assert.match(await client.ask('AUTH root wrong\n'), /^ERROR: /);
  assert.equal(await client.ask(`AUTH root "${admin.password}"\n`), 'OK\n');
  assert.equal(await client.ask('GET k\n'), '(nil)\n');
  await db.createUser({ username: 'eve', password: 'pw of eve', permissions: { default: 'read' } });
  using eve = await RawClient.open(portOf('nubdb'));
  assert.equal(await eve.ask('AUTH eve "pw of eve"\n'), 'OK\n');
  assert.match(await eve.ask('SET k v\n'), /^ERROR: put needs write permission/);
});
