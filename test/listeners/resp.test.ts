// Clients of Redis, as they are, on the RESP port: the commands mean what they mean in Redis, in both versions of the protocol,
// pipelined, inline, and with the permissions of whoever is signed in.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { missing } from '../support/debian.ts';
import { admin, RawClient, type Served, served } from './served.ts';

interface RespServed extends Served {
  port: number;
}

async function servedResp(t: TestContext, options = {}): Promise<RespServed> {
  const made = await served(t, { resp: 0, respSpaces: { 0: 'default', 1: 'other' }, ...options });
  return { ...made, port: made.portOf('resp') };
}

function ioredis(t: TestContext, port: number, options = {}): Redis {
  const client = new Redis({ port, host: '127.0.0.1', ...admin, maxRetriesPerRequest: 1, ...options });
  client.on('error', () => {});
  t.after(() => client.disconnect());
  return client;
}

/** Everything that a program prints, until it ends. */
function outputOf(program: string, args: string[]): Promise<string> {
  const child = spawn(program, args);
  let output = '';
  const keep = (chunk: Buffer): void => {
    output += chunk;
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return new Promise((resolve) => child.once('close', () => resolve(output.trim())));
}

test('ioredis: strings, conditions, counters and times to live', async (t) => {
  const { port, db } = await servedResp(t);
  const redis = ioredis(t, port);
  assert.equal(await redis.ping(), 'PONG');
  assert.equal(await redis.set('k', 'värde'), 'OK');
  assert.equal(await redis.get('k'), 'värde');
  assert.equal(await db.get('k', { space: 'default' }), 'värde');
  assert.equal(await redis.get('missing'), null);
  assert.equal(await redis.set('k', 'x', 'NX'), null);
  assert.equal(await redis.set('n', 'x', 'NX'), 'OK');
  assert.equal(await redis.set('missing', 'x', 'XX'), null);
  assert.equal(await redis.set('n', 'y', 'XX'), 'OK');
  assert.equal(await redis.set('n', 'z', 'GET'), 'y');
  assert.equal(await redis.setnx('n', 'w'), 0);
  assert.equal(await redis.get('n'), 'z');
  assert.equal(await redis.set('t', 'v', 'EX', 100), 'OK');
  assert.ok((await redis.ttl('t')) > 90 && (await redis.pttl('t')) > 90_000);
  assert.equal(await redis.set('t', 'w', 'KEEPTTL'), 'OK');
  assert.ok((await redis.ttl('t')) > 90);
  assert.equal(await redis.persist('t'), 1);
  assert.equal(await redis.ttl('t'), -1);
  assert.equal(await redis.ttl('missing'), -2);
  assert.equal(await redis.expire('t', 50), 1);
  assert.equal(await redis.expire('t', 20, 'GT'), 0);
  assert.equal(await redis.expire('missing', 50), 0);
  assert.equal(await redis.expire('t', 0), 1);
  assert.equal(await redis.exists('t'), 0);
  await redis.set('p', 'v', 'PX', 30);
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(await redis.get('p'), null);
  assert.equal(await redis.incr('c'), 1);
  assert.equal(await redis.incrby('c', 41), 42);
  assert.equal(await redis.decr('c'), 41);
  assert.equal(await redis.decrby('c', 1), 40);
  await assert.rejects(redis.incr('k'), /value is not an integer/);
  await redis.set('big', '9223372036854775807');
  await assert.rejects(redis.incr('big'), /would overflow/);
  assert.equal(await redis.mset('a', '1', 'b', '2'), 'OK');
  assert.deepEqual(await redis.mget('a', 'missing', 'b'), ['1', null, '2']);
  assert.equal(await redis.exists('a', 'b', 'missing', 'a'), 3);
  assert.equal(await redis.del('a', 'b', 'missing'), 2);
  assert.equal(await redis.type('k'), 'string');
  assert.equal(await redis.strlen('k'), 6);
  await assert.rejects(redis.set('k', 'v', 'EX', 0), /invalid expire time/);
  await assert.rejects(redis.call('SET', 'k', 'v', 'NOPE'), /syntax error/);
  await assert.rejects(redis.call('LPUSH', 'k', 'v'), /unknown command 'LPUSH'/);
  await assert.rejects(redis.call('GET'), /wrong number of arguments for 'get'/);
});

test('bytes that are no text come back as they were; text that was put as bytes stays text for others', async (t) => {
  const { port, db } = await servedResp(t);
  const redis = ioredis(t, port);
  const bytes = Buffer.from([0, 255, 254, 13, 10, 0]);
  await redis.set('bytes', bytes);
  assert.deepEqual(await redis.getBuffer('bytes'), bytes);
  assert.deepEqual(await db.get('bytes', { space: 'default' }), Uint8Array.from(bytes));
  await redis.set('text', Buffer.from('日本'));
  assert.equal(await db.get('text', { space: 'default' }), '日本');
  await assert.rejects(redis.set(Buffer.from([0xff]), 'v'), /UTF-8/);
  const large = 'x'.repeat(5_000_000);
  await redis.set('large', large);
  assert.equal(await redis.get('large'), large);
});

test('KEYS, SCAN, DBSIZE, FLUSHDB and SELECT work on the space of the number', async (t) => {
  const { port, db } = await servedResp(t);
  const redis = ioredis(t, port);
  const all = Array.from({ length: 250 }, (_, i) => `user:${String(i).padStart(3, '0')}`);
  await redis.mset(Object.fromEntries([...all.map((key) => [key, '1']), ['a*b', '1'], ['axb', '1']]));
  assert.equal(await redis.dbsize(), 252);
  assert.deepEqual(await redis.keys('user:00[0-4]'), all.slice(0, 5));
  assert.deepEqual(await redis.keys('a\\*b'), ['a*b']);
  assert.deepEqual(await redis.keys('a?b'), ['a*b', 'axb']);
  assert.deepEqual(
    await redis.keys('*:0[^0]9'),
    ['019', '029', '039', '049', '059', '069', '079', '089', '099'].map((n) => `user:${n}`),
  );
  const seen: string[] = [];
  let steps = 0;
  for await (const keys of redis.scanStream({ match: 'user:*', count: 7 })) {
    seen.push(...keys);
    steps++;
  }
  assert.deepEqual(seen, all);
  assert.ok(steps > 30);
  await redis.select(1);
  assert.equal(await redis.dbsize(), 0);
  await redis.set('here', '1');
  assert.equal(await db.get('here', { space: 'other' }), '1');
  await assert.rejects(redis.select(7), /out of range/);
  await redis.select(0);
  assert.equal(await redis.flushdb(), 'OK');
  assert.equal(await redis.dbsize(), 0);
  assert.equal(await db.size({ space: 'other' }), 1);
});

for (const RESP of [2, 3] as const) {
  test(`node-redis over RESP${RESP}`, async (t) => {
    const { port } = await servedResp(t);
    const redis = createClient({ url: `redis://127.0.0.1:${port}`, ...admin, RESP, name: 'test' });
    redis.on('error', () => {});
    await redis.connect();
    t.after(() => redis.destroy());
    assert.equal(await redis.set('k', 'v', { expiration: { type: 'EX', value: 100 } }), 'OK');
    assert.equal(await redis.get('k'), 'v');
    assert.deepEqual(await redis.mGet(['k', 'none']), ['v', null]);
    assert.equal(await redis.incrBy('n', 5), 5);
    assert.equal(await redis.clientGetName(), 'test');
    assert.ok(await redis.vAdd('movies', [1, 0, 0], 'x'));
    await redis.vAdd('movies', [0.9, 0.1, 0], 'near');
    await redis.vAdd('movies', [-1, 0, 0], 'opposite');
    assert.equal(await redis.vAdd('movies', [1, 0, 0], 'x'), false, 'it was there');
    assert.deepEqual(await redis.vSim('movies', [1, 0, 0], { COUNT: 2 }), ['x', 'near']);
    const scores = await redis.vSimWithScores('movies', 'x');
    assert.equal(scores.x, 1);
    assert.ok(Math.abs(Number(scores.opposite)) < 1e-6);
    assert.equal(await redis.vCard('movies'), 3);
    assert.equal(await redis.vDim('movies'), 3);
    assert.deepEqual(await redis.vEmb('movies', 'opposite'), [-1, 0, 0]);
    assert.equal(await redis.vRem('movies', 'near'), true);
    assert.equal(await redis.vRem('movies', 'near'), false);
    const keys: string[] = [];
    for await (const some of redis.scanIterator({ COUNT: 1 })) keys.push(...some);
    assert.deepEqual(keys.sort(), ['k', 'n']);
  });
}

test('who is signed in may do what they may do, and no more, also when it is taken away', async (t) => {
  const { port, db } = await servedResp(t, { loginsPerMinute: 1000 });
  await db.createUser({ username: 'eve', password: 'pw of eve', permissions: { default: 'read' } });
  using raw = await RawClient.open(port);
  assert.equal(await raw.ask('GET k\r\n'), '-NOAUTH Authentication required.\r\n');
  assert.match(await raw.ask('HELLO 3\r\n'), /^-NOAUTH/);
  assert.match(await raw.ask('AUTH eve wrong\r\n'), /^-WRONGPASS/);
  assert.equal(await raw.ask('AUTH eve "pw of eve"\r\n'), '+OK\r\n');
  assert.equal(await raw.ask('GET k\r\n'), '$-1\r\n');
  assert.match(await raw.ask('SET k v\r\n'), /^-NOPERM put needs write permission/);
  assert.match(await raw.ask('VADD mine VALUES 1 1 a\r\n'), /^-NOPERM/);
  await db.updateUserPermissions('eve', {});
  assert.match(await raw.ask('GET k\r\n'), /^-NOPERM/);
  await db.deleteUser('eve');
  assert.equal(await raw.closed(), '', 'the connection ends with the user');
});

test('inline commands, and the class that comes with NubDB: +OK, $5, $-1', async (t) => {
  const { port } = await servedResp(t, { guest: admin.username });
  using raw = await RawClient.open(port);
  assert.equal(await raw.ask('SET name "Alice"\n'), '+OK\r\n');
  assert.equal(await raw.ask('GET name\n'), '$5\r\nAlice\r\n');
  assert.equal(await raw.ask('GET nope\n'), '$-1\r\n');
  assert.equal(await raw.ask("set \"two words\" 'it\\'s'\r\n"), '+OK\r\n');
  assert.equal(await raw.ask('get "two words"\r\n'), "$4\r\nit's\r\n");
  assert.equal(await raw.ask('SET hex "\\x41\\n"\r\n'), '+OK\r\n');
  raw.send('\r\n\r\nGET hex\r\nPING\r\n');
  assert.equal(await raw.until((text) => text.includes('PONG')), '$2\r\nA\n\r\n+PONG\r\n');
  raw.send('ECHO "open\r\n');
  assert.equal(await raw.closed(), '-ERR Protocol error: unbalanced quotes in request\r\n');
});

test('a pipeline is answered in its order, and each command sees those before it', async (t) => {
  const { port } = await servedResp(t);
  const redis = ioredis(t, port);
  const pipeline = redis.pipeline();
  for (let i = 0; i < 2000; i++) {
    pipeline
      .set(`k${i % 10}`, String(i))
      .get(`k${i % 10}`)
      .incr('n');
    if (i % 7 === 0) pipeline.del('k3').exists('k3').set('k3', 'again', 'NX');
  }
  const answers = (await pipeline.exec()) ?? [];
  let at = 0;
  const next = (): unknown => answers[at++]?.[1];
  for (let i = 0; i < 2000; i++) {
    assert.equal(next(), 'OK');
    assert.equal(next(), String(i));
    assert.equal(next(), i + 1);
    if (i % 7 === 0) {
      next();
      assert.equal(next(), 0);
      assert.equal(next(), 'OK');
    }
  }
  assert.equal(at, answers.length);
});

test('a command in many pieces, and a client that leaves in the middle of one', async (t) => {
  const { port } = await servedResp(t, { guest: admin.username });
  using raw = await RawClient.open(port);
  for (const byte of Buffer.from('*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n')) {
    raw.send(Uint8Array.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(await raw.line(), '+OK\r\n');
  using other = await RawClient.open(port);
  other.send('*2\r\n$3\r\nGET\r\n$100\r\nab');
  other.socket.resetAndDestroy();
  assert.match(await raw.ask('*2\r\n$3\r\nGET\r\n$1\r\nk\r\n'), /^\$4\r\na\r\nb\r\n$/);
  raw.send('QUIT\r\nPING\r\n');
  assert.equal(await raw.closed(), '+OK\r\n', 'nothing after QUIT');
});

const redisCli = '/usr/bin/redis-cli';
test('redis-cli and redis-benchmark', { skip: missing(redisCli, 'redis-tools') }, async (t) => {
  const { port } = await servedResp(t, { guest: admin.username });
  const cli = (...args: string[]): Promise<string> => outputOf(redisCli, ['-p', String(port), ...args]);
  assert.equal(await cli('set', 'k', 'v'), 'OK');
  assert.equal(await cli('get', 'k'), 'v');
  assert.equal(await cli('-3', 'incr', 'n'), '1');
  assert.match(await cli('info'), /redis_version:7/);
  assert.equal(await cli('--scan'), 'k\nn');
  assert.match(await cli('command', 'docs', 'get'), /get/);
  const args = ['-p', String(port), '-t', 'set,get,incr,mset', '-n', '2000', '-P', '16', '-q'];
  const output = await outputOf('/usr/bin/redis-benchmark', args);
  assert.match(output, /SET: .* requests per second/);
  assert.match(output, /MSET \(10 keys\): .* requests per second/);
});

const python = '/usr/bin/python3';
const pythonRedis =
  missing(python, 'python3') || missing('/usr/lib/python3/dist-packages/redis/__init__.py', 'python3-redis');
test('python3-redis', { skip: pythonRedis }, async (t) => {
  const { port } = await servedResp(t);
  const program = `
import redis, sys
r = redis.Redis(port=${port}, username='root', password=sys.argv[1], decode_responses=True)
assert r.ping()
assert r.set('k', 'v', ex=100) is True
assert r.get('k') == 'v'
assert r.set('k', 'w', nx=True) is None
assert r.incr('n', 3) == 3
p = r.pipeline(transaction=False)
for i in range(100): p.set('p:%d' % i, i)
assert all(p.execute())
assert sorted(r.scan_iter('p:*', count=9)) == sorted('p:%d' % i for i in range(100))
assert r.mget(['k', 'none']) == ['v', None]
assert r.ttl('k') > 90
assert r.delete('k', 'n') == 2
assert r.info()['redis_mode'] == 'standalone'
print('done')
`;
  assert.equal(await outputOf(python, ['-c', program, admin.password]), 'done');
});
