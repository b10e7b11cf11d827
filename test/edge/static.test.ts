/**
 * A static snapshot read by a Worker inside workerd: its spaces come with different requests, writes are refused; the same from a
 * bucket of R2, and from the Cache API when the host is gone.
 */

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { exportStatic, open } from '../../src/node.ts';
import { StaticHost } from '../static/static-host.ts';
import { missingWorkerd, startWorkerd } from './workerd.ts';

const skip = missingWorkerd();

test('a Worker searches a snapshot on a static host, request after request', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-edge-static-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  await using source = await open('source', { storage: 'memory' });
  await source.createSpace('docs', 'vector', { dimension: 8, indexType: 'HNSW8,SQ8' });
  const vectors = Float32Array.from({ length: 500 * 8 }, (_, i) => Math.sin(i * i));
  await source.insertVectors([...Array(500).keys()], vectors, { space: 'docs' });
  await source.createSpace('texts', 'key-value');
  await source.put('7', 'the seventh', { space: 'texts' });
  await exportStatic(source, folder);
  const host = new StaticHost(folder);
  const from = await host.start();
  t.after(() => host.stop().catch(() => {}));
  const workerd = await startWorkerd({
    script: 'test/edge/static-worker.ts',
    objects: {},
    buckets: ['INDEX'],
  });
  t.after(() => workerd.dispose());
  const ask = async (call: object): Promise<unknown> =>
    (
      await workerd.dispatchFetch('http://edge.test/', {
        method: 'POST',
        body: JSON.stringify({ from, ...call }),
      })
    ).json();
  const query = [...vectors.subarray(56, 64)];
  const hits = (await ask({ space: 'docs', query })) as { id: number }[];
  assert.ok(Array.isArray(hits), JSON.stringify(hits));
  assert.deepEqual(
    hits.map(({ id }) => id),
    (await source.searchTopK(query, 3, { space: 'docs' })).map(({ id }) => id),
  );
  assert.equal(await ask({ space: 'texts', key: '7' }), 'the seventh');
  assert.deepEqual(await ask({ space: 'texts' }), { code: 'READ_ONLY' });
  assert.equal(((await ask({ space: 'docs', query })) as { id: number }[])[0]?.id, 7);
  assert.equal(await ask({ closes: true }), 'closed');
  assert.equal(((await ask({ space: 'docs', query })) as { id: number }[])[0]?.id, 7);
  // From a bucket of R2, by ranges.
  const bucket = await workerd.getR2Bucket('INDEX');
  for (const name of readdirSync(folder)) await bucket.put(name, readFileSync(path.join(folder, name)));
  const asked = host.answered.length;
  assert.deepEqual(await ask({ by: 'bucket', space: 'docs', query }), hits);
  assert.equal(await ask({ by: 'bucket', space: 'texts', key: '7' }), 'the seventh');
  assert.equal(host.answered.length, asked, 'the host was not asked');
  // What was fetched is in the Cache API: another database needs the root alone, and without the host not even that.
  assert.deepEqual(await ask({ by: 'host again', space: 'docs', query }), hits);
  assert.deepEqual(
    host.answered.slice(asked).map(({ file }) => file),
    ['shibumi.json'],
  );
  await host.stop();
  assert.deepEqual(await ask({ by: 'host again', space: 'docs', query }), hits);
});
