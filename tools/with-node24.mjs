// Runs a script of this project under Node 24: `node tools/with-node24.mjs <script> [arguments]`.
//
// The tools and tests are TypeScript run by type stripping, and the relaxed SIMD build needs a current V8, so
// they want Node 24, which comes from npm as the dev dependency `node`. This file alone must run on Node 20.
// npm may hold back that package's install script (the one that fetches the binary); it is then run here.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const nodePackage = path.join(root, 'node_modules', 'node');
const nodeBinary = path.join(nodePackage, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');

const [script, ...scriptArguments] = process.argv.slice(2);
if (script === undefined) fail('Usage: node tools/with-node24.mjs <script> [arguments]');
if (!existsSync(path.join(root, 'node_modules'))) fail('Dependencies are missing. Type: npm install');

const node = isNode24(process.execPath) ? process.execPath : findNode24();
const child = spawn(node, ['--disable-warning=ExperimentalWarning', script, ...scriptArguments], {
  stdio: 'inherit',
  env: { ...process.env, PATH: path.dirname(node) + path.delimiter + process.env.PATH },
});
// A terminal's Ctrl-C reaches the child by itself; a signal sent to this process alone must be handed on.
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(signal, () => child.kill(signal));
}
child.on('error', (error) => fail(`${node} does not start: ${error.message}`));
child.on('exit', (code, signal) =>
  process.exit(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
);

function findNode24() {
  if (isNode24(nodeBinary)) return nodeBinary;
  if (existsSync(nodePackage)) {
    console.error('The install script of the npm package `node` was held back; running it now.');
    spawnSync(process.execPath, ['installArchSpecificPackage.js'], { cwd: nodePackage, stdio: 'inherit' });
    if (isNode24(nodeBinary)) return nodeBinary;
  }
  fail(
    `Found Node ${process.version}; this project's tools need Node 24 or newer.\n` +
      'Its npm package `node` brings one, but no working binary is there. Type one of:\n' +
      '  npm rebuild node                     (runs the install script that npm held back)\n' +
      '  npm install --allow-scripts=node     (the same, on npm 11 and newer)\n' +
      'or put Node 24 or newer on the PATH, then try again.',
  );
}

/** @param {string} binary */
function isNode24(binary) {
  if (binary === process.execPath) return Number.parseInt(process.versions.node, 10) >= 24;
  if (!existsSync(binary)) return false;
  const { stdout, status } = spawnSync(binary, ['--version'], { encoding: 'utf8' });
  return status === 0 && Number.parseInt(stdout.slice(1), 10) >= 24;
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(message);
  process.exit(1);
}
