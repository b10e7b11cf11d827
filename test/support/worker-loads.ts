/** What a worker of the built package downloads until a page has come so far: seen by the server that it asks. */

import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Browser, chromium } from 'playwright-core';
import { launchFlags } from '../../tools/browser.mjs';

/** Runs in a page, with all it needs inside. */
type PageUse = (open: typeof import('../../src/index.ts').open, build: Build) => Promise<void>;

/** How far a page goes, after which the worker is asked for nothing else. */
const useOf = {
  /** A database that is empty is open. */
  async open(open, build) {
    const db = await open('loads', { build });
    await db.stats();
    await db.close();
  },
  /** One space is made, written to and read. */
  async 'key-value'(open, build) {
    const db = await open('loads', { build });
    await db.createSpace('space', 'key-value');
    await db.put('colour', 'green', { space: 'space' });
    await db.putMany([{ key: 'size', value: 'small' }], { space: 'space' });
    const value = await db.get('colour', { space: 'space' });
    if (value !== 'green') throw new Error(`Got ${value}, expected green`);
    for await (const _ of db.scan({ space: 'space' }));
    await db.close();
  },
  async vector(open, build) {
    const db = await open('loads', { build });
    const count = 400;
    await db.createSpace('space', 'vector', { dimension: 2, indexType: 'HNSW16,SQ8' });
    const ids = Array.from({ length: count }, (_, i) => i);
    await db.insertVectors(
      ids,
      Float32Array.from({ length: 2 * count }, (_, i) => Math.sin(i)),
      { space: 'space' },
    );
    const hits = await db.searchTopK([0, 1], 5, { space: 'space' });
    if (hits.length !== 5) throw new Error(`Got ${hits.length} hits, expected 5`);
    await db.deleteVector(0, { space: 'space' });
    await db.close();
  },
  /** The same with metadata, and a search that is filtered by it. */
  async filter(open, build) {
    const db = await open('loads', { build });
    await db.createSpace('space', 'vector', {
      dimension: 2,
      metadataFields: [{ name: 'colour', type: 'string' }],
    });
    await db.insertVector(1, [0, 1], { space: 'space', metadata: { colour: 'green' } });
    const hits = await db.searchTopK([0, 1], 5, { space: 'space', where: "colour = 'green'" });
    if (hits.length !== 1) throw new Error(`Got ${hits.length} hits, expected 1`);
    await db.close();
  },
  /** The same with another index than it was made with. */
  async reindex(open, build) {
    const db = await open('loads', { build });
    await db.createSpace('space', 'vector', { dimension: 2 });
    await db.insertVector(1, [0, 1], { space: 'space' });
    await db.reindex({ space: 'space', indexType: 'HNSW16' });
    await db.close();
  },
  async users(open, build) {
    const db = await open('loads', { build, admin: { username: 'root', password: 'long enough' } });
    await db.authenticate('root', 'long enough');
    await db.close();
  },
  async export(open, build) {
    const db = await open('loads', { build });
    await db.exportTo(new WritableStream());
    await db.close();
  },
  async encryption(open, build) {
    const key = await crypto.subtle.generateKey({ name: 'AES-KW', length: 256 }, false, [
      'wrapKey',
      'unwrapKey',
    ]);
    const db = await open('loads', { build, encryption: { key } });
    await db.close();
  },
  async memory(open, build) {
    const db = await open('loads', { build, storage: 'memory' });
    await db.close();
  },
} satisfies Record<string, PageUse>;

export type Use = keyof typeof useOf;
export const uses: readonly Use[] = Object.keys(useOf) as Use[];

export type Build = 'simd128' | 'relaxed';

/** Gzipped bytes of each file, by its name. */
export type Loads = ReadonlyMap<string, number>;

export function totalBytes(loads: Loads): number {
  return [...loads.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** For each use what a worker loads, in a browser that has nothing yet. `dist`: the folder of the built package. */
export async function workerLoads(
  dist: string,
  build: Build,
  executablePath: string,
): Promise<Record<Use, Loads>> {
  const browser = await chromium.launch({ executablePath, args: launchFlags });
  try {
    const found: Partial<Record<Use, Loads>> = {};
    for (const use of uses) found[use] = await loadsOf(dist, build, browser, use);
    return found as Record<Use, Loads>;
  } finally {
    await browser.close();
  }
}

async function loadsOf(dist: string, build: Build, browser: Browser, use: Use): Promise<Loads> {
  const loads = new Map<string, number>();
  const server = createServer(({ url = '', headers }, response) => {
    const name = path.basename(url);
    if (name === '') return response.setHeader('content-type', 'text/html').end('<!doctype html>');
    const file = path.join(dist, name);
    if (!existsSync(file)) return response.writeHead(404).end();
    const bytes = readFileSync(file);
    const type = name.endsWith('.wasm') ? 'application/wasm' : 'text/javascript';
    // The worker's script itself, and what that asks for.
    if (headers['sec-fetch-dest'] === 'worker' || headers.referer?.endsWith('/page-worker.js'))
      loads.set(name, gzipSync(bytes).length);
    response.setHeader('content-type', type).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    // As text: a page knows nothing of what surrounds it here.
    const work = useOf[use].toString().replace(/^async (?:'[\w-]+'|\w+)\(/, 'async function (');
    await page.evaluate(`import('/index.js').then(({ open }) => (${work})(open, '${build}'))`);
    return loads;
  } finally {
    await context.close();
    server.close();
  }
}
