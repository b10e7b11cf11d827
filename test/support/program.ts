/**
 * Runs a program written against the package's entries, on the sources, and holds it to its comments: what follows `// ->`
 * is, line by line, what it prints, apart from headings (`== …`). A `…` in a promise stands for anything.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const root = path.resolve(import.meta.dirname, '../..');
const timeoutMs = 90_000;

export function holdToPromises(source: string): void {
  const printed = run(source).filter((line) => !line.startsWith('== '));
  const promised = source.split('\n').flatMap((line) => /\/\/ ->(?: (.*))?$/.exec(line)?.slice(1) ?? []);
  assert.ok(promised.length > 0, 'a program that promises nothing');
  assert.deepEqual(
    printed.map((line, i) => (matches(line, promised[i]) ? promised[i] : line)),
    promised,
  );
}

function matches(line: string, promise: string | undefined): boolean {
  if (promise === undefined) return false;
  const pattern = promise.split('…').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${pattern.join('.*')}$`).test(line);
}

function run(source: string): string[] {
  mkdirSync(path.join(root, 'build'), { recursive: true });
  const folder = mkdtempSync(path.join(root, 'build/program-'));
  try {
    const file = path.join(folder, 'program.ts');
    writeFileSync(
      file,
      source.replace(/(from ')shibumi\/(\w+)'/g, (_, from, entry) => `${from}${sourceOf(entry)}'`),
    );
    const { status, stdout, stderr, signal } = spawnSync(process.execPath, ['--no-warnings', file], {
      cwd: folder,
      encoding: 'utf8',
      timeout: timeoutMs,
      // What it prints is compared, colours are not.
      env: { ...process.env, FORCE_COLOR: '0' },
    });
    assert.equal(status, 0, `the program ended with ${signal ?? status}:\n${stdout}\n${stderr}`);
    return stdout.split('\n').slice(0, -1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function sourceOf(entry: string): string {
  return pathToFileURL(path.join(root, 'src', `${entry}.ts`)).href;
}
