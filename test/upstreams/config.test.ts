// The file that says which space lies where.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { connect } from '../../src/bridge.ts';
import { openRoutes, openUpstream, parseConfig } from '../../src/server/upstreams/config.ts';
import { Routes } from '../../src/server/upstreams/routes.ts';
import type { Upstream } from '../../src/server/upstreams/upstream.ts';
import { serve } from '../../src/server.ts';
import { folderFor, start } from '../cli/command.ts';
import { admin } from './bridged.ts';

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

test('serve --config: each space lies where the file says', async (t) => {
  const far = await serve('far', { storage: 'memory', admin, nubdb: 0, shibudb: 0, guest: admin.username });
  t.after(() => far.close());
  const folder = folderFor(t);
  const file = path.join(folder, 'routes.json');
  const { shibudb, nubdb } = far.listeners;
  writeFileSync(
    file,
    JSON.stringify({
      upstreams: {
        words: `nubdb://127.0.0.1:${nubdb}/words`,
        docs: `shibudb://${admin.username}:\u0024{FAR_PASSWORD}@127.0.0.1:${shibudb}`,
      },
      spaces: { words: 'words', 'docs-own': 'embedded', 'docs-*': 'docs' },
    }),
  );
  const child = start(['serve', path.join(folder, 'data'), '--port', '0', '--config', file], {
    FAR_PASSWORD: admin.password,
  });
  t.after(() => child.kill());
  let printed = '';
  child.stderr.on('data', (chunk) => {
    printed += chunk;
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      printed += chunk;
      if (printed.includes('told only now')) resolve();
    });
    child.once('close', () => reject(new Error(printed)));
  });
  const [, url = ''] = /at (ws:\S+)/.exec(printed) ?? [];
  const [, password = ''] = /password (\S+)/.exec(printed) ?? [];
  const db = await connect(url, { username: 'admin', password });
  for (const space of ['docs-far', 'docs-own', 'elsewhere'])
    await db.createSpace(space, 'key-value', { durability: 'none' });
  const places: (string | undefined)[] = [];
  for (const space of ['words', 'docs-far', 'docs-own', 'elsewhere']) {
    await db.put('k', `of ${space}`.replace(' ', '-'), { space });
    places.push((await db.describeSpace(space)).upstream?.name);
  }
  assert.deepEqual(places, ['nubdb', 'shibudb', undefined, undefined]);
  const there = await connect(far.url, admin);
  t.after(() => there.close());
  assert.equal(await there.get('k', { space: 'docs-far' }), 'of-docs-far');
  assert.deepEqual((await db.listSpaces()).map(({ name }) => name).sort(), [
    'docs-far',
    'docs-own',
    'elsewhere',
    'words',
  ]);
  await db.close();
});
