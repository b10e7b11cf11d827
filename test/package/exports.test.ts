// What package.json promises: entries, types first, what a page loads with the main entry, and what an install brings.

import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { loadedWith } from '../architecture/import-graph.ts';

interface Manifest {
  type: string;
  license: string;
  exports: Record<string, string | Record<string, string>>;
  sideEffects: string[];
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  peerDependenciesMeta: Record<string, { optional?: boolean }>;
}

const root = path.resolve(import.meta.dirname, '../..');
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Manifest;
const lockFile = readFileSync(path.join(root, 'package-lock.json'), 'utf8');
const entries = Object.entries(manifest.exports).filter(
  (entry): entry is [string, Record<string, string>] => {
    return typeof entry[1] !== 'string';
  },
);

test('every entry is an ES module with its types first, made from a source file', () => {
  assert.equal(manifest.type, 'module');
  const names = entries.map(([name]) => name);
  for (const name of ['.', './worker', './node', './bridge', './server', './edge'])
    assert.ok(names.includes(name), `${name} is missing from ${names}`);
  for (const [name, conditions] of entries) {
    assert.deepEqual(Object.keys(conditions), ['types', 'default'], name);
    const file = path.basename(conditions.default ?? '', '.js');
    assert.equal(conditions.types, `./dist/${file}.d.ts`);
    assert.equal(conditions.default, `./dist/${file}.js`);
    assert.ok(existsSync(path.join(root, 'src', `${file}.ts`)), `${name} has no source file src/${file}.ts`);
  }
});

test('the main entry loads neither engine nor WASM', () => {
  const loaded = [...loadedWith(path.join(root, 'src/index.ts'))].map((file) => path.relative(root, file));
  assert.ok(loaded.length > 3, `only ${loaded} found`);
  for (const file of loaded) {
    assert.doesNotMatch(file, /^src\/(engine|space|kernel|storage|bridge)\//, `src/index.ts loads ${file}`);
    assert.doesNotMatch(
      readFileSync(path.join(root, file), 'utf8'),
      /\.wasm['"]/,
      `${file} names a WASM file`,
    );
  }
});

test('only the scripts of workers have side effects', () => {
  assert.deepEqual(manifest.sideEffects.map((file) => path.basename(file)).sort(), [
    'broker.js',
    'broker.ts',
    'page-worker.js',
    'page-worker.ts',
    'worker.js',
    'worker.ts',
  ]);
});

test('an install brings no model runtime and no address of a registry', () => {
  assert.equal(manifest.peerDependenciesMeta['@huggingface/transformers']?.optional, true);
  assert.deepEqual(Object.keys(manifest.dependencies).sort(), ['@noble/hashes', 'comlink', 'idb', 'ws']);
  const { packages } = JSON.parse(lockFile) as { packages: Record<string, unknown> };
  assert.ok(Object.keys(packages).length > 5, 'the lock file lists no packages');
  for (const name of Object.keys(packages)) assert.doesNotMatch(name, /huggingface|onnxruntime/);
  for (const file of ['package-lock.json', ...globSync('test/*/package-lock.json', { cwd: root })]) {
    assert.doesNotMatch(
      readFileSync(path.join(root, file), 'utf8'),
      /"resolved"|https?:\/\/[^"]*\.tgz/,
      file,
    );
  }
});

test('development dependencies are pinned', () => {
  for (const [name, version] of Object.entries(manifest.devDependencies)) {
    assert.match(
      version,
      /^\d+\.\d+\.\d+(-[\w.-]+)?$/,
      `${name} is at ${version}, expected one exact version`,
    );
  }
});
