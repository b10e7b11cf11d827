// The file that says which space lies where.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRoutes, openUpstream, parseConfig } from '../../src/server/upstreams/config.ts';
import { Routes } from '../../src/server/upstreams/routes.ts';
import type { Upstream } from '../../src/server/upstreams/upstream.ts';

test('passwords come from the environment, escaped for an address', () => {
  const text = '{"upstreams":{"a":"redis://app:\u0024{PASSWORD}@host"},"spaces":{"*":"a"}}';
  assert.equal(parseConfig(text, { PASSWORD: 'p@ss/word' }).upstreams.a, 'redis://app:p%40ss%2Fword@host');
  assert.throws(() => parseConfig(text, {}), /PASSWORD, which is not set/);
});

test('what is no config is refused by what is wrong with it', async () => {
  assert.throws(() => parseConfig('{', {}), /not JSON/);
  assert.throws(() => parseConfig('null', {}), /upstreams/);
  assert.throws(() => parseConfig('{"upstreams":{},"spaces":{},"space":{}}', {}), /"space"/);
  assert.throws(() => parseConfig('{"upstreams":{"a":1},"spaces":{}}', {}), /object of texts/);
  await assert.rejects(openRoutes({ upstreams: {}, spaces: { '*': 'nowhere' } }), /expected one of embedded/);
  await assert.rejects(openUpstream('mysql://user:secret@host'), (error: Error) => {
    assert.match(error.message, /scheme mysql:/);
    assert.doesNotMatch(error.message, /secret/);
    return true;
  });
  await assert.rejects(openUpstream('nubdb://127.0.0.1:1'), { code: 'BRIDGE_UNAVAILABLE' });
  await assert.rejects(openUpstream('redis://127.0.0.1:1'), { code: 'BRIDGE_UNAVAILABLE' });
  await assert.rejects(openUpstream('postgres://127.0.0.1:1/x'), { code: 'BRIDGE_UNAVAILABLE' });
});

test('the first pattern that fits a name says where it lies', () => {
  const [a, b] = [{} as Upstream, {} as Upstream];
  const routes = new Routes([
    { pattern: 'logs-*.old', upstream: a },
    { pattern: 'logs-*', upstream: b },
    { pattern: 'own', upstream: undefined },
    { pattern: 'o*', upstream: a },
  ]);
  assert.equal(routes.upstreamOf('logs-1.old'), a);
  assert.equal(routes.upstreamOf('logs-1xold'), b);
  assert.equal(routes.upstreamOf('own'), undefined);
  assert.equal(routes.upstreamOf('other'), a);
  assert.equal(routes.upstreamOf('elsewhere'), undefined);
  assert.deepEqual(routes.all(), [a, b]);
});
