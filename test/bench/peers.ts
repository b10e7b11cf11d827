/**
 * Programs that are measured beside Shibumi. They are no dependencies of the project: package.json in this folder lists
 * them, and the first run that needs them installs them here. One that cannot be had is left out, with the reason.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

export type PeerName = 'hnswlib-node' | 'hnswlib-wasm' | 'idb-keyval';

export interface Peers {
  /** Folder of an installed peer. */
  readonly folders: ReadonlyMap<PeerName, string>;
  readonly versions: Readonly<Record<string, string>>;
  /** Why others are not there. */
  readonly missing: ReadonlyMap<PeerName, string>;
}

const installTimeoutMs = 5 * 60_000;
const here = import.meta.dirname;
const names: readonly PeerName[] = ['hnswlib-node', 'hnswlib-wasm', 'idb-keyval'];

let installed: Peers | undefined;

/** Installs what is not there yet and says what there is. */
export function ensurePeers(): Peers {
  installed ??= installPeers();
  return installed;
}

function installPeers(): Peers {
  let failure = '';
  if (!names.every((name) => existsSync(folderOf(name)))) {
    console.log('Installing the programs to compare with into test/bench/node_modules. This happens once.');
    const { status, error, stderr } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
      cwd: here,
      encoding: 'utf8',
      timeout: installTimeoutMs,
      shell: process.platform === 'win32',
    });
    if (status !== 0) failure = error?.message ?? lastLines(stderr);
  }
  const folders = new Map<PeerName, string>();
  const missing = new Map<PeerName, string>();
  const versions: Record<string, string> = {};
  for (const name of names) {
    const reason = existsSync(folderOf(name)) ? unusable(name) : `npm ci failed: ${failure}`;
    if (reason !== undefined) {
      missing.set(name, reason);
      continue;
    }
    folders.set(name, folderOf(name));
    versions[name] = JSON.parse(readFileSync(path.join(folderOf(name), 'package.json'), 'utf8')).version;
  }
  return { folders, versions, missing };
}

/** hnswlib-node is compiled on the machine: npm may hold its install script back, or there is no compiler. */
function unusable(name: PeerName): string | undefined {
  if (name !== 'hnswlib-node') return undefined;
  try {
    requirePeer(name);
    return undefined;
  } catch {
    const { status, error, stderr } = spawnSync('npx', ['--no', 'node-gyp', 'rebuild'], {
      cwd: folderOf(name),
      encoding: 'utf8',
      timeout: installTimeoutMs,
      shell: process.platform === 'win32',
    });
    if (status === 0) return undefined;
    return `it cannot be compiled here: ${error?.message ?? lastLines(stderr)}`;
  }
}

export function requirePeer(name: PeerName): unknown {
  return createRequire(path.join(here, 'package.json'))(name);
}

function folderOf(name: PeerName): string {
  return path.join(here, 'node_modules', name);
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-3).join(' / ');
}
