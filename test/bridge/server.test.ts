// The bridge's server from outside: who gets in and who does not, its HTTP side, its limits, what it does with clients that
// do not behave, and that nothing secret is logged.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { WebSocket as WsClient } from 'ws';
import type { ShibuDbError } from '../../src/api/errors.ts';
import { encodeFrame, FrameType, framesOf, valuesOf } from '../../src/bridge/protocol/frames.ts';
import { subprotocol, ticketProtocolPrefix } from '../../src/bridge/protocol/hello.ts';
import { connect } from '../../src/bridge.ts';
import { type RunningServer, type ServeOptions, serve } from '../../src/server.ts';
import { folderFor, start } from '../cli/command.ts';
import { rejects } from '../support/check.ts';

const admin = { username: 'root', password: 'a password that is only here' };

async function serving(
  t: TestContext,
  options: ServeOptions = {},
): Promise<RunningServer & { log: string[]; http: string }> {
  const log: string[] = [];
  const server = await serve('test', { storage: 'memory', admin, log: (line) => log.push(line), ...options });
  t.after(() => server.close());
  return Object.assign(server, { log, http: server.url.replace(/^ws/, 'http') });
}

function basic({ username, password }: { username: string; password: string }): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}

test('credentials: the right ones get in, wrong ones and none do not', async (t) => {
  const server = await serving(t);
  const db = await connect(server.url, admin);
  t.after(() => db.close());
  await db.createSpace('kv', 'key-value');
  await db.put('k', 'v', { space: 'kv' });

  await rejects(connect(server.url, { ...admin, password: 'wrong' }), 'INVALID_CREDENTIALS');
  await rejects(connect(server.url, { username: 'nobody', password: 'x' }), 'INVALID_CREDENTIALS');
  const stranger = await connect(server.url);
  t.after(() => stranger.close());
  await rejects(stranger.get('k', { space: 'kv' }), 'NOT_AUTHENTICATED');
  await rejects(stranger.stats(), 'NOT_AUTHENTICATED');
  await stranger.authenticate(admin.username, admin.password);
  assert.equal(await stranger.get('k', { space: 'kv' }), 'v');
});

test('permissions hold over the bridge, and what is taken away is gone in open connections', async (t) => {
  const server = await serving(t);
  await using db = await connect(server.url, admin);
  await db.createSpace('notes', 'key-value');
  await db.createSpace('secret', 'key-value');
  await db.createUser({ username: 'eve', password: 'pw of eve', permissions: { notes: 'read' } });
  await using eve = await connect(server.url, { username: 'eve', password: 'pw of eve' });
  assert.equal(await eve.get('k', { space: 'notes' }), undefined);
  await rejects(eve.put('k', 'v', { space: 'notes' }), 'PERMISSION_DENIED');
  await rejects(eve.get('k', { space: 'secret' }), 'PERMISSION_DENIED');
  await rejects(eve.createSpace('mine', 'key-value'), 'PERMISSION_DENIED');
  await db.updateUserPermissions('eve', {});
  await rejects(eve.get('k', { space: 'notes' }), 'PERMISSION_DENIED');
  await db.deleteUser('eve');
  await rejects(eve.get('k', { space: 'notes' }), 'NOT_AUTHENTICATED');
});

test('who is deleted or gets another password is cut off; who changes the own one stays', async (t) => {
  const server = await serving(t);
  await using db = await connect(server.url, admin);
  await db.createSpace('notes', 'key-value');
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${server.http}metrics`)).text();
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
  };
  const onlyOneIsLeft = async (): Promise<void> => {
    while ((await metric('shibumi_connections')) > 1 || (await metric('shibumi_sessions')) > 1)
      await new Promise((resolve) => setTimeout(resolve, 10));
  };
  for (const revoke of [() => db.updateUserPassword('eve', 'another'), () => db.deleteUser('eve')]) {
    const eve = { username: 'eve', password: 'pw of eve' };
    await db.deleteUser('eve').catch(() => {});
    await db.createUser({ ...eve, permissions: { notes: 'write' } });
    const open = await connect(server.url, eve);
    await open.put('k', 'v', { space: 'notes' });
    await revoke();
    await onlyOneIsLeft();
    await rejects(open.get('k', { space: 'notes' }), 'NOT_AUTHENTICATED');
    await open.close();
  }
  const other = await connect(server.url, admin);
  await db.updateUserPassword(admin.username, 'another one');
  await onlyOneIsLeft();
  await rejects(other.listSpaces(), 'NOT_AUTHENTICATED');
  await other.close();
  assert.equal((await db.listSpaces()).length, 1, 'who changed it goes on');
});

test('without users an admin is made, whose password is told once', async () => {
  const server = await serve('first', { storage: 'memory' });
  try {
    const { username = '', password = '' } = server.createdAdmin ?? {};
    assert.equal(username, 'admin');
    assert.ok(password.length >= 20);
    await using db = await connect(server.url, { username, password });
    assert.deepEqual(
      (await db.listUsers()).map((user) => user.role),
      ['admin'],
    );
  } finally {
    await server.close();
  }
});

test('a ticket lets one connection in, once', async (t) => {
  const server = await serving(t);
  assert.equal((await fetch(`${server.http}ticket`, { method: 'POST' })).status, 401);
  const answer = await fetch(`${server.http}ticket`, { method: 'POST', headers: basic(admin) });
  const { ticket, expiresInMs } = (await answer.json()) as { ticket: string; expiresInMs: number };
  assert.ok(expiresInMs > 1000 && expiresInMs <= 60_000);
  assert.match(ticket, /^[\w-]{20,}$/, 'fit for a subprotocol');
  await using db = await connect(server.url, { ticket });
  assert.deepEqual(await db.listSpaces(), []);
  await rejects(connect(server.url, { ticket }), 'BRIDGE_UNAVAILABLE');
  await rejects(connect(server.url, { ticket: 'made-up' }), 'BRIDGE_UNAVAILABLE');
});

test('health for anybody, metrics in Prometheus text, limits for admins', async (t) => {
  const server = await serving(t, { connectionsMax: 3 });
  assert.deepEqual(await (await fetch(`${server.http}health`)).json(), { status: 'ok', storage: 'memory' });
  await using db = await connect(server.url, admin);
  await rejects(db.get('k', { space: 'none' }), 'SPACE_NOT_FOUND');
  const metrics = await (await fetch(`${server.http}metrics`)).text();
  assert.match(metrics, /^shibumi_connections 1$/m);
  assert.match(metrics, /^shibumi_calls_total\{method="get",code="SPACE_NOT_FOUND"\} 1$/m);
  assert.match(metrics, /^shibumi_call_duration_seconds_bucket\{method="get",le="\+Inf"\} 1$/m);
  for (const line of metrics.trimEnd().split('\n'))
    assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{[^}]+\})? [\d.e+-]+)$/);

  await db.createUser({ username: 'eve', password: 'pw of eve' });
  assert.equal((await fetch(`${server.http}limit`)).status, 401);
  const asEve = await fetch(`${server.http}limit`, {
    headers: basic({ username: 'eve', password: 'pw of eve' }),
  });
  assert.equal(asEve.status, 403);
  const put = (limit: unknown): Promise<Response> =>
    fetch(`${server.http}limit`, { method: 'PUT', headers: basic(admin), body: JSON.stringify({ limit }) });
  assert.equal((await put(0)).status, 400);
  assert.equal((await put('many')).status, 400);
  await using _second = await connect(server.url, admin);
  assert.deepEqual(await (await put(2)).json(), { limit: 2, connections: 2 });
  await rejects(connect(server.url, admin), 'BRIDGE_UNAVAILABLE');
  assert.equal((await put(3)).status, 200);
  await using _third = await connect(server.url, admin);
  assert.equal((await fetch(`${server.http}nothing`)).status, 404);
});

test('a page’s origin must be on the list', async (t) => {
  const server = await serving(t, { origins: ['https://app.example'] });
  const attempt = (origin: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const socket = new WsClient(server.url, [subprotocol], { origin });
      socket.on('open', () => {
        socket.close();
        resolve(101);
      });
      socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
      socket.on('error', reject);
    });
  assert.equal(await attempt('https://app.example'), 101);
  assert.equal(await attempt('https://evil.example'), 403);
  assert.equal(await attempt('null'), 403);
  const answer = await fetch(`${server.http}ticket`, {
    method: 'OPTIONS',
    headers: { origin: 'https://app.example', 'access-control-request-method': 'POST' },
  });
  assert.equal(answer.headers.get('access-control-allow-origin'), 'https://app.example');
  const evil = await fetch(`${server.http}ticket`, {
    method: 'OPTIONS',
    headers: { origin: 'https://evil.example' },
  });
  assert.equal(evil.headers.get('access-control-allow-origin'), null);
});

test('attempts to log in, and calls, are limited', async (t) => {
  const server = await serving(t, { loginsPerMinute: 3, callsPerSecond: 5 });
  await using db = await connect(server.url, admin);
  await using stranger = await connect(server.url);
  await rejects(stranger.authenticate('x', 'wrong'), 'INVALID_CREDENTIALS');
  await rejects(connect(server.url, { username: 'y', password: 'wrong' }), 'INVALID_CREDENTIALS');
  await rejects(connect(server.url, admin), 'RATE_LIMITED');
  const codes = (await Promise.allSettled(Array.from({ length: 50 }, () => db.listSpaces()))).map((result) =>
    result.status === 'fulfilled' ? 'OK' : (result.reason as ShibuDbError).code,
  );
  assert.ok(codes.includes('OK') && codes.includes('RATE_LIMITED'), `${new Set(codes).size}`);
});

/** A bare socket that has said hello, and what it got. */
async function bare(url: string, hello: unknown = undefined): Promise<{ socket: WsClient; got: Buffer[] }> {
  const socket = new WsClient(url, [subprotocol]);
  const got: Buffer[] = [];
  socket.on('message', (data: Buffer) => got.push(data));
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send(
    encodeFrame(
      FrameType.Hello,
      0,
      0,
      hello ?? { versions: [1], features: ['x'], client: 'test', window: 65_536, credentials: admin },
    ),
  );
  return { socket, got };
}

const closed = (socket: WsClient): Promise<number> =>
  new Promise((resolve) => socket.once('close', (code: number) => resolve(code)));

test('a client of another version is told so', async (t) => {
  const server = await serving(t);
  const { socket, got } = await bare(server.url, {
    versions: [99],
    features: [],
    client: 'new',
    window: 65_536,
  });
  await closed(socket);
  const [frame] = [...framesOf(got[0] as Buffer)];
  const [{ code, message }] = valuesOf(frame as never, 1) as [{ code: string; message: string }];
  assert.equal(code, 'VERSION_MISMATCH');
  assert.match(message, /Got protocol versions 99, expected one of 1/);
});

test('malformed and misplaced frames end their connection alone, and say why', async (t) => {
  const server = await serving(t);
  await using db = await connect(server.url, admin);
  await db.createSpace('kv', 'key-value');
  for (const bytes of [
    Buffer.from('{"type":"GET"}'),
    Buffer.alloc(0),
    Buffer.alloc(16),
    encodeFrame(FrameType.Welcome, 0, 0, {}),
    encodeFrame(FrameType.Call, 5, 0, 'get'),
    encodeFrame(FrameType.Call, 5, 0, 7, []),
    encodeFrame(FrameType.Hello, 0, 0, {}),
    encodeFrame(FrameType.Credit, 0xffff_ffff).fill(0xff, 2, 4),
  ]) {
    const { socket } = await bare(server.url);
    await new Promise((resolve) => socket.once('message', resolve));
    const ended = closed(socket);
    socket.send(bytes);
    assert.equal(await ended, 1002);
  }
  const { socket } = await bare(server.url);
  await new Promise((resolve) => socket.once('message', resolve));
  const ended = closed(socket);
  socket.send(Buffer.alloc(1024 * 1024 + 1));
  assert.equal(await ended, 1009, 'more than a message may have');
  await db.put('k', 'v', { space: 'kv' });
  assert.ok(server.log.some((line) => line.includes('PROTOCOL_ERROR')));
});

test('methods that there are not, and names that are no methods, are refused', async (t) => {
  const server = await serving(t);
  const { socket, got } = await bare(server.url);
  await new Promise((resolve) => socket.once('message', resolve));
  got.length = 0;
  for (const [id, name] of ['constructor', '__proto__', 'resume', '#engine', ''].entries())
    socket.send(encodeFrame(FrameType.Call, id + 1, 0, name, {}));
  while (got.flatMap((message) => [...framesOf(message)]).length < 5)
    await new Promise((resolve) => socket.once('message', resolve));
  for (const frame of got.flatMap((message) => [...framesOf(message)])) {
    assert.equal(frame.type, FrameType.Error);
    assert.equal((valuesOf(frame, 1)[0] as { code: string }).code, 'INVALID_ARGUMENT');
  }
  socket.close();
});

test('a client that does not read its answers is cut off, others go on', async (t) => {
  const server = await serving(t);
  await using db = await connect(server.url, admin);
  await db.createSpace('kv', 'key-value');
  await db.put('large', new Uint8Array(4 * 1024 * 1024), { space: 'kv' });
  const { socket } = await bare(server.url);
  await new Promise((resolve) => socket.once('message', resolve));
  const ended = closed(socket);
  // It gives no credit back: past its window nothing is sent, and what waits for it is counted.
  for (let id = 1; id <= 40; id++)
    socket.send(encodeFrame(FrameType.Call, id, 0, 'get', { space: 'kv', key: 'large' }));
  assert.equal(await ended, 4008);
  assert.equal((await db.get('large', { space: 'kv' }))?.length, 4 * 1024 * 1024);
});

test('no secret reaches the log, and a server that ends tells its clients', async (t) => {
  const server = await serving(t);
  const db = await connect(server.url, { timeoutMs: 2000 });
  await rejects(
    connect(server.url, { username: 'root', password: 'not-the-password' }),
    'INVALID_CREDENTIALS',
  );
  const socket = new WsClient(server.url, [subprotocol, `${ticketProtocolPrefix}a-secret-ticket`]);
  await new Promise((resolve) => socket.once('error', resolve));
  await server.close();
  await rejects(db.listSpaces(), 'BRIDGE_UNAVAILABLE');
  await db.close();
  for (const secret of [admin.password, 'not-the-password', 'a-secret-ticket'])
    assert.ok(!server.log.join('\n').includes(secret));
});

test('over TLS, with a certificate that the client trusts', async (t) => {
  const folder = folderFor(t);
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => path.join(folder, name)) as [string, string];
  const made = spawnSync('openssl', [
    ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost'.split(
      ' ',
    ),
    ...['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert],
  ]);
  if (made.status !== 0) return t.skip('openssl is not there to make a certificate');
  const server = await serving(t, { tls: { key: readFileSync(key), cert: readFileSync(cert) } });
  assert.match(server.url, /^wss:/);
  const script = `
    import { connect } from ${JSON.stringify(path.resolve(import.meta.dirname, '../../src/bridge.ts'))};
    const db = await connect(process.argv[1], { username: 'root', password: process.argv[2] });
    console.log((await db.stats()).name);
    await db.close();`;
  const { spawn } = await import('node:child_process');
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, server.url, admin.password], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: cert },
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  assert.equal(await new Promise((resolve) => child.once('close', resolve)), 0, output);
  assert.match(output, /^test$/m);
});

test('shibumi serve and the command over its address', async (t) => {
  const folder = folderFor(t);
  const server = start(['serve', folder, '--port', '0']);
  let printed = '';
  await new Promise<void>((resolve) => {
    server.stdout.on('data', (chunk) => {
      printed += chunk;
      if (printed.includes('told only now')) resolve();
    });
  });
  const [, url = ''] = /at (ws:\S+)/.exec(printed) ?? [];
  const [, password = ''] = /password (\S+)/.exec(printed) ?? [];
  const run = (env: Record<string, string>): Promise<string> =>
    new Promise((resolve) => {
      const commands = ['CREATE-SPACE notes', 'USE notes', 'PUT k "a value"', 'GET k'];
      process.env.SHIBUMI_PASSWORD = env.password ?? '';
      const child = start([url.replace('//', '//admin@'), ...commands.flatMap((command) => ['-c', command])]);
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk) => {
          output += chunk;
        });
      child.once('close', () => resolve(output));
    });
  assert.match(await run({ password }), /a value/);
  assert.match(await run({ password: 'wrong' }), /no such user, or the password/);
  delete process.env.SHIBUMI_PASSWORD;
  const ended = new Promise((resolve) => server.once('close', resolve));
  server.kill('SIGTERM');
  assert.equal(await ended, 0);
});

test('a bulk insert larger than a message or a frame may be goes in parts, and reports as one', async (t) => {
  const server = await serving(t);
  await using db = await connect(server.url, admin);
  const dimension = 1024;
  const count = 12_000;
  await db.createSpace('bulk', 'vector', { dimension, durability: 'none' });
  const vectors = new Float32Array(count * dimension);
  for (let i = 0; i < count; i++) vectors[i * dimension] = i;
  const ids = Array.from({ length: count }, (_, i) => i);
  let last = 0;
  await db.insertVectors(ids, vectors, {
    space: 'bulk',
    onProgress: ({ done, total }) => {
      assert.ok(done >= last && done <= total && total === count, `${done} of ${total} after ${last}`);
      last = done;
    },
  });
  assert.equal(last, count);
  assert.equal(await db.countVectors({ space: 'bulk' }), count);
  assert.equal((await db.getVector(count - 1, { space: 'bulk' }))?.[0], count - 1);
  // What fails in a later part tells of the parts before it too.
  ids[count - 1] = -0.5;
  await assert.rejects(db.insertVectors(ids, vectors, { space: 'bulk' }), (error: ShibuDbError) => {
    assert.equal(error.code, 'INVALID_ARGUMENT');
    assert.ok(Number(error.details.acknowledged) > count / 2);
    return true;
  });
});
