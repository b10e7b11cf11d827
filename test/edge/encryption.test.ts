/** Encryption inside workerd: an object's rows say nothing, and only the right secret opens them, also after a restart. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { VaultCall } from './encryption-worker.ts';
import { missingWorkerd, startWorkerd, type Workerd } from './workerd.ts';

const skip = missingWorkerd();
const letter = ['dearest anna', 5];

for (const [kind, secret, wrong] of [
  ['password', { password: 'correct horse' }, { password: 'another horse' }],
  ['key', { key: 7 }, { key: 8 }],
] as const)
  test(`a database in an object is encrypted under a ${kind}`, { skip, timeout: 120_000 }, async (t) => {
    const persist = mkdtempSync(path.join(tmpdir(), 'shibumi-edge-vault-'));
    t.after(() => rmSync(persist, { recursive: true, force: true }));
    const start = (): Promise<Workerd> =>
      startWorkerd({ script: 'test/edge/encryption-worker.ts', objects: { VAULTS: 'Vault' }, persist });
    let workerd = await start();
    t.after(() => workerd.dispose());
    const ask = async (call: VaultCall, name = 'vault'): Promise<unknown> => {
      const body = JSON.stringify(call);
      const response = await workerd.dispatchFetch(`http://edge.test/${name}`, { method: 'POST', body });
      const text = await response.text();
      assert.equal(response.status, 200, text);
      return JSON.parse(text);
    };
    const inPlain = (await ask({ do: 'fill' }, 'plain')) as string[];
    assert.ok(inPlain.length > 1, 'what is not encrypted can be read');
    assert.deepEqual(await ask({ ...secret, do: 'fill' }), []);
    await workerd.dispose();
    workerd = await start();
    assert.deepEqual(await ask({ ...secret, do: 'read' }), letter);
    assert.equal(await ask({ ...wrong, do: 'read' }), 'INVALID_CREDENTIALS');
    assert.equal(await ask({ do: 'read' }), 'ENCRYPTED');
    assert.equal(await ask({ ...secret, do: 'read' }, 'plain'), 'NOT_ENCRYPTED');
    await ask({ ...secret, do: 'change' });
    assert.equal(await ask({ ...secret, do: 'read' }), 'INVALID_CREDENTIALS');
    assert.deepEqual(await ask({ key: 9, do: 'read' }), letter);
  });
