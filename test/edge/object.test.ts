/** `ShibumiObject` inside workerd, as an application has it: HTTP, RPC, users, alarms, and what a stop leaves. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { killRuntimes, missingWorkerd, startWorkerd, type Workerd } from './workerd.ts';

const skip = missingWorkerd();
const password = 'a long enough password';
const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-edge-'));
let workerd: Promise<Workerd> | undefined;

after(async () => {
  await (await workerd)?.dispose();
  rmSync(folder, { recursive: true });
});

function start(): Promise<Workerd> {
  return startWorkerd({
    script: 'test/edge/object-worker.ts',
    objects: { NOTES: 'Notes', OPEN: 'Open' },
    bindings: { ADMIN_PASSWORD: password },
    persist: folder,
  });
}

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

async function ask(
  method: string,
  target: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  workerd ??= start();
  const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  const response = await (await workerd).dispatchFetch(`http://edge.test${target}`, init);
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  return { status: response.status, body: isJson ? JSON.parse(text) : { text } };
}

async function login(object: string): Promise<Record<string, string>> {
  const { status, body } = await ask('POST', `/notes/${object}/login`, { username: 'admin', password });
  assert.equal(status, 200);
  return { authorization: `Bearer ${body.token}` };
}

test('without users an object answers nothing but its health', { skip }, async () => {
  assert.equal((await ask('GET', '/open/a/health')).status, 200);
  const refused = await ask('GET', '/open/a/spaces');
  assert.equal(refused.status, 403);
  assert.equal(refused.body.code, 'NO_USERS');
});

test('whoever does not sign in is refused', { skip }, async () => {
  assert.equal((await ask('GET', '/notes/a/spaces')).status, 401);
  assert.equal((await ask('GET', '/notes/a/spaces', undefined, { authorization: 'Bearer x.y' })).status, 401);
  const wrong = await ask('POST', '/notes/a/login', { username: 'admin', password: 'another' });
  assert.deepEqual([wrong.status, wrong.body.code], [401, 'INVALID_CREDENTIALS']);
  const basic = Buffer.from(`admin:${password}`).toString('base64');
  assert.equal(
    (await ask('GET', '/notes/a/spaces', undefined, { authorization: `Basic ${basic}` })).status,
    200,
  );
});

test('keys over HTTP: put, get, page, increment, delete', { skip }, async () => {
  const as = await login('keys');
  assert.equal((await ask('PUT', '/notes/keys/spaces/kv', { engine: 'key-value' }, as)).status, 201);
  assert.equal((await ask('PUT', '/notes/keys/spaces/kv', { engine: 'key-value' }, as)).status, 409);
  for (const key of ['a', 'b/c', 'ü'])
    assert.equal(
      (await ask('PUT', `/notes/keys/spaces/kv/keys/${encodeURIComponent(key)}`, key, as)).status,
      204,
    );
  assert.equal((await ask('GET', '/notes/keys/spaces/kv/keys/b%2Fc', undefined, as)).body.text, '"b/c"');
  const page = await ask('GET', '/notes/keys/spaces/kv/keys?limit=2', undefined, as);
  assert.deepEqual(
    (page.body.entries as { key: string }[]).map(({ key }) => key),
    ['a', 'b/c'],
  );
  const next = await ask(
    'GET',
    `/notes/keys/spaces/kv/keys?limit=2&cursor=${encodeURIComponent(String(page.body.cursor))}`,
    undefined,
    as,
  );
  assert.deepEqual(
    (next.body.entries as { key: string }[]).map(({ key }) => key),
    ['ü'],
  );
  assert.equal(next.body.cursor, undefined);
  assert.equal((await ask('POST', '/notes/keys/spaces/kv/keys/n/increment', { by: 7 }, as)).body.value, 7);
  assert.equal((await ask('DELETE', '/notes/keys/spaces/kv/keys/n', undefined, as)).body.deleted, true);
  assert.equal((await ask('GET', '/notes/keys/spaces/kv/keys/n', undefined, as)).status, 404);
});

test('vectors over HTTP: insert, search, range, get, delete; what makes no sense is refused', {
  skip,
}, async () => {
  const as = await login('vectors');
  await ask('PUT', '/notes/vectors/spaces/v', { engine: 'vector', dimension: 2 }, as);
  const stored = await ask(
    'POST',
    '/notes/vectors/spaces/v/vectors',
    {
      ids: [1, 2, 3],
      vectors: [
        [0, 0],
        [1, 0],
        [5, 5],
      ],
    },
    as,
  );
  assert.deepEqual([stored.status, stored.body.stored], [201, 3]);
  const found = await ask('POST', '/notes/vectors/spaces/v/search', { vector: [0.9, 0], k: 2 }, as);
  assert.deepEqual(
    (found.body.hits as { id: number }[]).map(({ id }) => id),
    [2, 1],
  );
  const near = await ask('POST', '/notes/vectors/spaces/v/range', { vector: [0, 0], radius: 2 }, as);
  assert.deepEqual(
    (near.body.hits as { id: number }[]).map(({ id }) => id),
    [1, 2],
  );
  assert.deepEqual(
    (await ask('GET', '/notes/vectors/spaces/v/vectors/3', undefined, as)).body.vector,
    [5, 5],
  );
  assert.equal((await ask('DELETE', '/notes/vectors/spaces/v/vectors/3', undefined, as)).body.deleted, true);
  assert.equal((await ask('GET', '/notes/vectors/spaces/v/vectors/3', undefined, as)).status, 404);
  for (const [method, target, body] of [
    ['POST', '/spaces/v/search', { vector: [1], k: 2 }],
    ['POST', '/spaces/v/vectors', { ids: [1], vectors: [] }],
    ['POST', '/spaces/v/vectors', { ids: [1], vectors: [['x', 1]] }],
    ['GET', '/spaces/v/vectors/abc', undefined],
    ['GET', '/spaces/v/vectors?limit=0', undefined],
  ] as const) {
    const refused = await ask(method, `/notes/vectors${target}`, body, as);
    assert.deepEqual([refused.status, refused.body.code], [400, 'INVALID_ARGUMENT'], target);
  }
  assert.equal((await ask('POST', '/notes/vectors/spaces/none/search', { vector: [1, 1] }, as)).status, 404);
  assert.equal((await ask('POST', '/notes/vectors/spaces', {}, as)).status, 405);
  assert.equal((await ask('GET', '/notes/vectors/elsewhere', undefined, as)).status, 404);
});

test('another Worker uses an object as a Database by RPC', { skip }, async () => {
  const { body } = await ask('GET', '/rpc/by-rpc');
  assert.deepEqual(body, { refused: 'NOT_AUTHENTICATED', hits: ['east', 'north'], ids: ['east', 'north'] });
});

test('expired keys are removed by an alarm, also when the object was put out of memory meanwhile', {
  skip,
}, async () => {
  const as = await login('alarms');
  await ask('PUT', '/notes/alarms/spaces/kv', { engine: 'key-value' }, as);
  await ask('PUT', '/notes/alarms/spaces/kv/keys/gone?ttlMs=1500', 'x', as);
  await ask('PUT', '/notes/alarms/spaces/kv/keys/stays', 'x', as);
  const { alarmAtMs } = (await ask('GET', '/inspect/alarms')).body;
  assert.ok(Number(alarmAtMs) <= Date.now() + 1500, `the alarm is at ${alarmAtMs}`);
  await restart();
  const deadline = Date.now() + 30_000;
  // The alarm of an object that nobody calls: it opens the database, sweeps, and has nothing left to do.
  while ((await ask('GET', '/inspect/alarms')).body.alarmAtMs !== null) {
    assert.ok(Date.now() < deadline, 'the alarm never came');
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  const described = await ask('GET', '/notes/alarms/spaces/kv', undefined, as);
  assert.equal(described.body.count, 1);
});

test('a load is checkpointed and linked over alarms, a slice in each', { skip }, async () => {
  const as = await login('load');
  const dimension = 16;
  await ask('PUT', '/notes/load/spaces/v', { engine: 'vector', dimension, indexType: 'HNSW8' }, as);
  for (let from = 0; from < 9000; from += 3000) {
    const ids = Array.from({ length: 3000 }, (_, i) => from + i);
    const vectors = ids.map((id) => Array.from({ length: dimension }, (_, i) => Math.sin(id * (i + 1))));
    assert.equal((await ask('POST', '/notes/load/spaces/v/vectors', { ids, vectors }, as)).status, 201);
  }
  const deadline = Date.now() + 60_000;
  for (;;) {
    const { index } = (await ask('GET', '/notes/load/spaces/v', undefined, as)).body as {
      index: { pending: number };
    };
    const { alarmAtMs, rows, pendingAtAlarms } = (await ask('GET', '/inspect/load')).body as {
      alarmAtMs: number | null;
      rows: { blocks: number };
      pendingAtAlarms: number[];
    };
    if (index.pending === 0 && alarmAtMs === null && rows.blocks > 0) {
      // 9,000 vectors at 2,000 an event, in batches: the first of them before any alarm, the rest a slice an alarm.
      const working = pendingAtAlarms.filter((pending) => pending > 0);
      assert.ok(working.length >= 4, `to be linked at the alarms: ${pendingAtAlarms}`);
      for (const [i, pending] of pendingAtAlarms.slice(1).entries())
        assert.ok(
          (pendingAtAlarms[i] ?? 0) - pending <= 2100,
          `to be linked at the alarms: ${pendingAtAlarms}`,
        );
      break;
    }
    assert.ok(
      Date.now() < deadline,
      `${index.pending} vectors are still not linked; the alarm is at ${alarmAtMs}`,
    );
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
});

test('what was acknowledged is there after the runtime was killed', { skip }, async () => {
  let as = await login('killed');
  await ask('PUT', '/notes/killed/spaces/kv', { engine: 'key-value' }, as);
  await ask('PUT', '/notes/killed/spaces/v', { engine: 'vector', dimension: 2 }, as);
  let acknowledged = 0;
  for (let round = 0; round < 3; round++) {
    const until = acknowledged + 20;
    while (acknowledged < until) {
      const i = acknowledged;
      assert.equal((await ask('PUT', `/notes/killed/spaces/kv/keys/${i}`, i, as)).status, 204);
      assert.equal(
        (await ask('POST', '/notes/killed/spaces/v/vectors', { ids: [i], vectors: [[i, 0]] }, as)).status,
        201,
      );
      acknowledged++;
    }
    await kill();
    as = await login('killed');
    for (let i = 0; i < acknowledged; i++) {
      assert.equal(
        (await ask('GET', `/notes/killed/spaces/kv/keys/${i}`, undefined, as)).body.text,
        String(i),
      );
      assert.deepEqual((await ask('GET', `/notes/killed/spaces/v/vectors/${i}`, undefined, as)).body.vector, [
        i,
        0,
      ]);
    }
  }
});

async function restart(): Promise<void> {
  await (await workerd)?.dispose();
  workerd = start();
  await workerd;
}

/** SIGKILL for the runtime's process, in the middle of whatever it does. */
async function kill(): Promise<void> {
  assert.equal(killRuntimes(), 1);
  await restart();
}
