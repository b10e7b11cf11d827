/** examples/worker inside workerd, as its README uses it. */

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { missingWorkerd, startWorkerd, type Workerd } from './workerd.ts';

const skip = missingWorkerd();
const sample = path.resolve(import.meta.dirname, '../../demo/sample');
let workerd: Workerd | undefined;
after(() => workerd?.dispose());

test('examples/worker finds the document that a question is about', { skip, timeout: 120_000 }, async () => {
  workerd = await startWorkerd({
    script: 'examples/worker/src/index.ts',
    objects: { INDEX: 'SearchIndex' },
    bindings: { ADMIN_PASSWORD: 'a long enough password', API_TOKEN: 'token' },
  });
  const ask = (target: string, init?: object): Promise<Response> =>
    (workerd as Workerd).dispatchFetch(`http://edge.test${target}`, init);
  const put = (id: string, body: object, token = 'token'): Promise<Response> =>
    ask(`/documents/${id}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
  assert.deepEqual(await (await ask('/search?q=bread')).json(), { hits: [] });
  for (const file of globSync('*.md', { cwd: sample })) {
    const text = readFileSync(path.join(sample, file), 'utf8');
    assert.equal((await put(path.basename(file, '.md'), { title: file, text })).status, 204);
  }
  for (const [question, expected] of [
    ['how do I feed my sourdough starter', 'sourdough'],
    ['my bicycle chain squeaks', 'bicycle-care'],
    ['where does a browser keep data', 'indexeddb'],
  ] as const) {
    const { hits } = (await (await ask(`/search?q=${encodeURIComponent(question)}&k=3`)).json()) as {
      hits: { id: string; title: string; distance: number }[];
    };
    assert.equal(hits.length, 3);
    assert.equal(hits[0]?.id, expected, question);
    assert.equal(hits[0]?.title, `${expected}.md`);
  }
  assert.equal((await put('x', { title: 'x', text: 'x' }, 'wrong')).status, 401);
  assert.equal((await put('x', { title: 1 })).status, 400);
  assert.equal((await ask('/search?q=x&k=0')).status, 400);
  assert.equal((await ask('/elsewhere')).status, 404);
});
