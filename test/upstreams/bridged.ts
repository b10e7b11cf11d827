// A server whose spaces lie in upstreams, and a client of it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { Database } from '../../src/api/database.ts';
import { isShibuDbError } from '../../src/api/errors.ts';
import { connect } from '../../src/bridge.ts';
import { type RunningServer, type ServeOptions, serve } from '../../src/server.ts';

export const admin = { username: 'root', password: 'a password that is only here' };

export async function bridged(
  t: TestContext,
  upstream: string,
  options: ServeOptions = {},
): Promise<{ db: Database; server: RunningServer }> {
  const routing = { upstreams: { u: upstream }, spaces: { 'local*': 'embedded', '*': 'u' } };
  const server = await serve('upstreams', { storage: 'memory', admin, routing, ...options });
  t.after(() => server.close());
  const db = await connect(server.url, admin);
  t.after(() => db.close());
  return { db, server };
}

export async function refused(call: Promise<unknown>, upstream: string, name: string): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(isShibuDbError(error), String(error));
    assert.equal(error.code, 'UNSUPPORTED', error.message);
    assert.match(error.message, new RegExp(`^${name} is not supported by the upstream ${upstream}: `));
    return true;
  });
}

const docs = readFileSync(path.resolve(import.meta.dirname, '../../docs/bridge.md'), 'utf8');
const facts = ['durability', 'atomicity', 'order', 'ids', 'metrics', 'retries'] as const;

/** What a space says of its upstream: every fact, and the page has a column for it. */
export async function checkCapabilities(db: Database, space: string, name: string): Promise<void> {
  const { upstream } = await db.describeSpace(space);
  assert.equal(upstream?.name, name);
  for (const fact of facts)
    assert.ok((upstream?.[fact] ?? '').length > 0, `${name} tells nothing of ${fact}`);
  const [columns = ''] = /^\| \| .*Postgres.*$/m.exec(docs) ?? [];
  assert.ok(columns.includes(`\`${name}:\``), `docs/bridge.md has no column for ${name}`);
}

/** What every key-value upstream with all calls must do as the engine does. */
export async function checkKeyValue(db: Database, space: string): Promise<void> {
  const kv = db.space(space);
  assert.equal(await kv.get('none'), undefined);
  await kv.put('k', 'värde');
  assert.equal(await kv.get('k'), 'värde');
  const bytes = Uint8Array.of(0, 1, 0x62, 255);
  await kv.put('bytes', bytes);
  assert.deepEqual(await kv.get('bytes'), bytes);
  await kv.put('text bytes', Uint8Array.of(65));
  assert.deepEqual(await kv.get('text bytes'), Uint8Array.of(65), 'bytes that are text stay bytes');
  await kv.put('marked', '\0bA');
  assert.equal(await kv.get('marked'), '\0bA');
  await kv.put('empty', '');
  assert.equal(await kv.get('empty'), '');
  assert.equal(await kv.exists('empty'), true);
  assert.equal(await kv.delete('empty'), true);
  assert.equal(await kv.delete('empty'), false);
  assert.equal(await kv.increment('n'), 1);
  assert.equal(await kv.increment('n', -5), -4);
  await kv.put('big', '9223372036854775806');
  assert.equal(await kv.increment('big'), 9223372036854775807n);
  await assert.rejects(kv.increment('big'), { code: 'OVERFLOW' });
  await assert.rejects(kv.increment('k'), { code: 'NOT_A_NUMBER' });
  await assert.rejects(kv.put('', 'v'), { code: 'INVALID_ARGUMENT' });
  assert.deepEqual(
    (await Promise.all(Array.from({ length: 50 }, () => kv.increment('many'))))
      .map(Number)
      .sort((a, b) => a - b),
    Array.from({ length: 50 }, (_, i) => i + 1),
  );
  assert.equal(await kv.putIf('once', 'a', undefined), true);
  assert.equal(await kv.putIf('once', 'b', undefined), false);
  assert.equal(await kv.putIf('once', 'b', 'x'), false);
  assert.equal(await kv.putIf('once', 'b', Uint8Array.of(97)), false, 'another type');
  assert.equal(await kv.putIf('once', 'b', 'a', { ttlMs: 60_000 }), true);
  assert.ok(Number(await kv.ttl('once')) > 50_000);
  assert.equal(await kv.ttl('k'), Number.POSITIVE_INFINITY);
  assert.equal(await kv.ttl('none'), undefined);
  assert.equal(await kv.expire('once', Number.POSITIVE_INFINITY), true);
  assert.equal(await kv.ttl('once'), Number.POSITIVE_INFINITY);
  assert.equal(await kv.expire('none', 1000), false);
  await kv.put('soon', 'gone', { ttlMs: 20 });
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(await kv.get('soon'), undefined);
  assert.equal(await kv.putIf('soon', 'new', undefined), true, 'what has expired is not there');
}

/** Walks in the order of the keys' bytes, whatever the upstream's own order is. */
export async function checkScans(db: Database, space: string): Promise<void> {
  const kv = db.space(space);
  const keys = [
    '',
    '\u{ffff}',
    '\u{10000}',
    ...Array.from({ length: 600 }, (_, i) => String(i).padStart(4, '0')),
  ].map((k) => `s:${k}`);
  const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  await Promise.all(keys.map((key) => kv.put(key, `value of ${key}`)));
  const collect = async (options: object): Promise<string[]> => {
    const found: string[] = [];
    for await (const { key, value } of kv.scan(options)) {
      assert.equal(value, `value of ${key}`);
      found.push(key);
    }
    return found;
  };
  assert.deepEqual(await collect({ prefix: 's:' }), sorted);
  assert.deepEqual(
    await collect({ prefix: 's:', reverse: true, limit: 300 }),
    sorted.toReversed().slice(0, 300),
  );
  assert.deepEqual(await collect({ start: 's:0100', end: 's:0103' }), ['s:0100', 's:0101', 's:0102']);
  const scan = kv.scan({ prefix: 's:0' });
  for await (const { key } of scan) if (key === 's:0299') break;
  assert.equal((await collect({ prefix: 's:0', cursor: scan.cursor }))[0], 's:0300');
}
