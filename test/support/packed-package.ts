// The package as `npm pack` makes it: once for all test files that use it, as long as nothing that goes into it changes.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { withLock } from './lock-folder.ts';

const root = path.resolve(import.meta.dirname, '../..');
const folder = path.join(root, 'build/packed');
const timeoutMs = 300_000;

export interface PackedPackage {
  /** The path of the tarball. */
  readonly tarball: string;
  /** What is in it. */
  readonly files: readonly string[];
}

/** @throws when the package cannot be built */
export function packedPackage(): PackedPackage {
  return withLock(
    path.join(root, 'build/.packing'),
    () => {
      const hash = hashOfInputs();
      const report = path.join(folder, `${hash}.json`);
      const tarball = path.join(folder, `${hash}.tgz`);
      if (!existsSync(report)) {
        rmSync(folder, { recursive: true, force: true });
        mkdirSync(folder, { recursive: true });
        const { filename, files } = pack();
        renameSync(path.join(folder, filename), tarball);
        writeFileSync(report, JSON.stringify(files));
      }
      return { tarball, files: JSON.parse(readFileSync(report, 'utf8')) };
    },
    timeoutMs,
  );
}

function pack(): { filename: string; files: string[] } {
  const { status, stdout, stderr } = spawnSync('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: root,
    encoding: 'utf8',
    timeout: timeoutMs,
    maxBuffer: 2 ** 26,
    shell: process.platform === 'win32',
  });
  if (status !== 0) throw new Error(`npm pack failed:\n${stdout}\n${stderr}`);
  // The build prints before it.
  const [packed] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as [
    { filename: string; files: { path: string }[] },
  ];
  return { filename: packed.filename, files: packed.files.map((file) => file.path) };
}

/** Of all that is built or packed. */
function hashOfInputs(): string {
  const hash = createHash('sha256');
  const inputs = ['src/**/*', 'tools/**/*', 'docs/**/*', 'build/wasm/*', '*.json', '*.md', 'LICENSE'];
  for (const file of globSync(inputs, { cwd: root }).sort()) {
    const place = path.join(root, file);
    if (statSync(place).isFile()) hash.update(`${file}\n`).update(readFileSync(place));
  }
  return hash.digest('hex').slice(0, 16);
}
