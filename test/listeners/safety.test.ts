// What all ports have in common: how many may come in, what becomes of those that do not read, TLS, and what is logged.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { Redis } from 'ioredis';
import { connect } from '../../src/bridge.ts';
import { folderFor } from '../cli/command.ts';
import { upgradeRequest } from './malformed.ts';
import { admin, RawClient, served } from './served.ts';

const timeout = 110_000;

test('connections of all ports are counted together, and by address', { timeout }, async (t) => {
  const { server, db, portOf } = await served(t, {
    resp: 0,
    shibudb: 0,
    connectionsMax: 10,
    connectionsPerAddress: 4,
  });
  assert.equal((await db.listSpaces()).length, 1);
  using _first = await RawClient.open(portOf('resp'));
  using second = await RawClient.open(portOf('shibudb'));
  using _third = await RawClient.open(portOf('resp'));
  using turnedAway = await RawClient.open(portOf('resp'));
  assert.equal(await turnedAway.closed(), '');
  await assert.rejects(connect(server.url, admin), { code: 'BRIDGE_UNAVAILABLE' });
  if (process.platform === 'linux') {
    // Another address of the same machine has its own share.
    using elsewhere = await RawClient.open(portOf('resp'), '127.0.0.3');
    assert.match(await elsewhere.ask('PING\r\n'), /^-NOAUTH/);
  }
  second.socket.destroy();
  for (;;) {
    using again = await RawClient.open(portOf('resp'));
    again.send('PING\r\n');
    if ((await again.until((text) => text.endsWith('\n'))) !== '') break;
  }
});

test('a WebSocket that is refused leaves no socket behind: the server can be closed', {
  timeout,
}, async (t) => {
  const { server } = await served(t, {});
  const elsewhere = upgradeRequest
    .toString()
    .replace('Host: a', 'Host: a\r\nOrigin: https://elsewhere.example');
  for (let i = 0; i < 10; i++) {
    using client = await RawClient.open(Number(new URL(server.url).port));
    // More than was asked for: who reads none of it does not see the client's end either.
    client.send(elsewhere + 'x'.repeat(100_000));
    assert.match(await client.until((text) => text.includes('\r\n\r\n')), /^(HTTP\/1\.1 403 |$)/);
  }
  await server.close();
});

test('a client of Redis that does not read is cut off, others go on', { timeout }, async (t) => {
  const { server, portOf, db } = await served(t, { resp: 0, guest: admin.username });
  /** The deaf one, the other one and the admin's. */
  const isStillServed = async (): Promise<boolean> => {
    const text = await (await fetch(`${server.url.replace(/^ws/, 'http')}metrics`)).text();
    return Number(/^shibumi_connections (\d+)$/m.exec(text)?.[1]) > 2;
  };
  await db.put('k', new Uint8Array(8 * 1024 * 1024), { space: 'default' });
  using deaf = await RawClient.open(portOf('resp'));
  deaf.socket.pause();
  const closed = new Promise((resolve) => deaf.socket.once('close', resolve));
  deaf.send('GET k\r\n'.repeat(40));
  using other = await RawClient.open(portOf('resp'));
  assert.equal(await other.ask('PING\r\n'), '+PONG\r\n');
  // It reads on only now, and finds that the connection has ended with less than it asked for.
  while (await isStillServed()) await new Promise((resolve) => setTimeout(resolve, 20));
  deaf.socket.resume();
  await closed;
  assert.ok(deaf.socket.bytesRead < 40 * 8 * 1024 * 1024);
  assert.equal(await other.ask('EXISTS k\r\n'), ':1\r\n');
});

test('rates are limited by user on every port', { timeout }, async (t) => {
  const { portOf, db } = await served(t, { resp: 0, shibudb: 0, callsPerSecond: 20, loginsPerMinute: 5 });
  await db.createUser({ username: 'ann', password: 'pw', permissions: { default: 'write' } });
  using ann = await RawClient.open(portOf('resp'));
  assert.equal(await ann.ask('AUTH ann pw\r\n'), '+OK\r\n');
  ann.send('GET k\r\n'.repeat(200));
  let answers = '';
  while (answers.split('\r\n').length <= 200) answers += await ann.line();
  assert.match(answers, /\$-1/);
  assert.match(answers, /-ERR There are more calls a second/);
  // The admin's share is another one.
  assert.equal((await db.listSpaces()).length, 1);
  using guess = await RawClient.open(portOf('shibudb'));
  for (let i = 0; i < 4; i++) await ann.ask(`AUTH ann wrong${i}\r\n`);
  assert.match(await ann.ask('AUTH ann pw\r\n'), /too many attempts/i);
  assert.match(await guess.ask('{"username":"ann","password":"pw"}\n'), /too many attempts/i);
});

test('the ports speak TLS with the certificate of the server', { timeout }, async (t) => {
  const folder = folderFor(t);
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => path.join(folder, name)) as [string, string];
  const made = spawnSync('openssl', [
    ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost'.split(
      ' ',
    ),
    ...['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert],
  ]);
  if (made.status !== 0) return t.skip('openssl is not there to make a certificate');
  const ca = readFileSync(cert);
  const { serve } = await import('../../src/server.ts');
  const server = await serve('tls', {
    storage: 'memory',
    admin,
    resp: 0,
    nubdb: 0,
    guest: admin.username,
    tls: { key: readFileSync(key), cert: ca },
  });
  t.after(() => server.close());
  const { resp = 0, nubdb = 0 } = server.listeners;
  const redis = new Redis({ port: resp, host: '127.0.0.1', tls: { ca }, maxRetriesPerRequest: 1 });
  redis.on('error', () => {});
  t.after(() => redis.disconnect());
  assert.equal(await redis.set('k', 'v'), 'OK');
  const socket = connectTls({ port: nubdb, host: '127.0.0.1', ca });
  t.after(() => socket.destroy());
  socket.write('GET k\n');
  assert.equal(String(await new Promise((resolve) => socket.once('data', resolve))), '"v"\n');
  using plain = await RawClient.open(resp);
  plain.send('PING\r\nPING\r\nPING\r\n');
  assert.doesNotMatch(await plain.closed(), /PONG/);
});

test('no port logs a name, a password, a key or a value', { timeout }, async (t) => {
  const { portOf, log, db } = await served(t, { resp: 0, shibudb: 0, nubdb: 0, loginsPerMinute: 1000 });
  await db.createUser({ username: 'secret-user', password: 'secret-password', permissions: {} });
  const secrets = ['secret-user', 'secret-password', 'secret-key', 'secret-value', 'secret-guess'];
  using resp = await RawClient.open(portOf('resp'));
  await resp.ask('AUTH secret-user secret-guess\r\n');
  await resp.ask('AUTH secret-user secret-password\r\n');
  await resp.ask('SET secret-key secret-value\r\n');
  resp.send('*2\r\n$10\r\nsecret-key\r\nsecret-value\r\n');
  await resp.closed();
  for (const password of ['secret-guess', 'secret-password']) {
    using shibudb = await RawClient.open(portOf('shibudb'));
    await shibudb.ask(`${JSON.stringify({ username: 'secret-user', password })}\n`);
    shibudb.send(
      '{"type":"PUT","space":"default","key":"secret-key","value":"secret-value"}\nno secret-value json\n',
    );
    shibudb.socket.end();
    await shibudb.closed();
  }
  using nubdb = await RawClient.open(portOf('nubdb'));
  await nubdb.ask('AUTH secret-user secret-guess\n');
  await nubdb.ask('SET secret-key secret-value\n');
  nubdb.send('secret-value'.repeat(1000));
  nubdb.send('\n');
  await nubdb.closed();
  for (const secret of secrets) assert.ok(!log.join('\n').includes(secret), `${secret} in ${log.join('\n')}`);
});
