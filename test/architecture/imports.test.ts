// The rooms of src/ and the arrows between them: imports point down, and nothing skips sideways.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { importsOf, localImportsOf } from './import-graph.ts';

const root = path.resolve(import.meta.dirname, '../..');
const source = path.join(root, 'src');

/** What each room stands on; it may import from those and from whatever they stand on. Entries are the files in src/. */
const standsOn: Record<string, string[]> = {
  entries: ['tabs', 'node', 'edge', 'cli', 'bridge', 'server', 'wasm-files'],
  tabs: ['rpc'],
  rpc: ['client', 'engine'],
  cli: ['node', 'server'],
  server: ['host', 'node'],
  // The server's side of the bridge, for any runtime.
  host: ['bridge'],
  // The client's side and the protocol: no engine, no Node.
  bridge: ['client'],
  node: ['local', 'wasm-files'],
  edge: ['host', 'local'],
  // Client and engine in one process: what node and edge share.
  local: ['client', 'engine'],
  // One file, which lies in src/ because bundlers want its addresses relative to where the entries are.
  'wasm-files': ['kernel'],
  engine: ['space', 'storage'],
  space: ['kernel'],
  client: ['base'],
  kernel: ['base'],
  storage: ['base'],
  base: ['api'],
  api: [],
};

/** The packages that a room may use; `node:` stands for all of Node's modules. */
const packages: Record<string, string[]> = {
  entries: ['comlink'],
  rpc: ['comlink'],
  tabs: ['comlink'],
  storage: ['idb'],
  engine: ['@noble/hashes'],
  host: ['@noble/hashes'],
  node: ['node:'],
  edge: ['@noble/hashes', 'cloudflare:workers'],
  cli: ['node:'],
  server: ['node:', 'ws', 'ioredis', 'pg'],
};

const files = globSync('**/*.ts', { cwd: source }).map((file) => path.join(source, file));

function roomOf(file: string): string {
  const [first = '', ...rest] = path.relative(source, file).split(path.sep);
  if (rest.length > 0) return first;
  return first === 'wasm-files.ts' ? 'wasm-files' : 'entries';
}

function below(room: string): Set<string> {
  const rooms = new Set(standsOn[room]);
  for (const each of rooms) for (const lower of standsOn[each] ?? []) rooms.add(lower);
  return rooms;
}

test('every room is known', () => {
  assert.ok(files.length > 0, 'no source files found');
  for (const file of files) {
    assert.ok(
      roomOf(file) in standsOn,
      `${path.relative(root, file)} is in a room without a place in the order`,
    );
  }
});

test('imports point down', () => {
  let arrows = 0;
  const upward: string[] = [];
  for (const file of files) {
    const room = roomOf(file);
    for (const { file: target } of localImportsOf(file)) {
      arrows++;
      if (roomOf(target) === room || below(room).has(roomOf(target))) continue;
      upward.push(`${path.relative(root, file)} -> ${path.relative(root, target)}`);
    }
  }
  assert.ok(arrows > files.length / 2, `only ${arrows} imports were found in ${files.length} files`);
  assert.deepEqual(upward, []);
});

test('a room uses only its own packages', () => {
  const strangers: string[] = [];
  for (const file of files) {
    for (const { specifier } of importsOf(file)) {
      // `node:` stands for all of them, a package's name for its modules.
      const name = specifier.replace(/^node:.*/, 'node:').replace(/^((?:@[^/]+\/)?[^/]+)\/.*/, '$1');
      if (specifier.startsWith('.') || packages[roomOf(file)]?.includes(name)) continue;
      strangers.push(`${path.relative(root, file)} imports ${specifier}`);
    }
  }
  assert.deepEqual(strangers, []);
});

test('modules do not import each other in a circle', () => {
  const finished = new Set<string>();
  const visit = (file: string, trail: string[]): void => {
    const start = trail.indexOf(file);
    if (start >= 0) {
      assert.fail(
        `circle: ${[...trail.slice(start), file].map((each) => path.relative(root, each)).join(' -> ')}`,
      );
    }
    if (finished.has(file)) return;
    for (const { file: target, found } of localImportsOf(file)) {
      // A part of the engine that is loaded later stands on what is there by then.
      if (!found.typeOnly && !found.dynamic) visit(target, [...trail, file]);
    }
    finished.add(file);
  };
  for (const file of files) visit(file, []);
});

test('the C++ core knows nothing of JavaScript, and includes no file outside wasm/', () => {
  const sources = globSync('wasm/**/*.{cc,h}', { cwd: root }).map((file) => path.join(root, file));
  assert.ok(sources.length > 0, 'no C++ files found');
  for (const file of sources) {
    for (const [, included = ''] of readFileSync(file, 'utf8').matchAll(/^#include "([^"]+)"/gm)) {
      const candidates = [path.dirname(file), path.join(root, 'wasm')].map((folder) =>
        path.resolve(folder, included),
      );
      const inside = candidates.some((candidate) => sources.includes(candidate));
      assert.ok(inside, `${path.relative(root, file)} includes ${included}, which is not in wasm/`);
    }
  }
});
