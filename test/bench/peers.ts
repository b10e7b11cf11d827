/**
 * Programs that are measured beside Shibumi. They are no dependencies of the project: package.json in this folder lists
 * them, and the first run that needs them installs them here. One that cannot be had is left out, with the reason.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

export type PeerName = 'dexie' | 'hnswlib-node' | 'hnswlib-wasm' | 'idb-keyval' | 'usearch';
/** What draws the charts; installed with them. */
export type ChartLibrary = 'vega' | 'vega-lite';

export interface Peers {
  /** Folder of an installed peer. */
  readonly folders: ReadonlyMap<PeerName, string>;
  readonly versions: Readonly<Record<string, string>>;
  /** Why others are not there. */
  readonly missing: ReadonlyMap<PeerName, string>;
}

const npmTimeoutMs = 4 * 60_000;
const here = import.meta.dirname;
const names: readonly PeerName[] = ['dexie', 'hnswlib-node', 'hnswlib-wasm', 'idb-keyval', 'usearch'];

let installed: Peers | undefined;

/** Installs what is not there yet and says what there is. */
export function ensurePeers(): Peers {
  installed ??= installPeers();
  return installed;
}

function installPeers(): Peers {
  let failure: string | undefined;
  if (!names.every((name) => existsSync(folderOf(name)))) {
    console.log('Installing the programs to compare with into test/bench/node_modules. This happens once.');
    // Without scripts: one that cannot be compiled must not take the others with it.
    failure = npm('ci', '--ignore-scripts');
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

/** hnswlib-node is native: it is compiled here, where there is a compiler. */
function unusable(name: PeerName): string | undefined {
  // usearch brings binaries for the usual platforms; elsewhere it is left out.
  if (name === 'usearch') return loads(name) ? undefined : 'it has no binary for this platform';
  if (name !== 'hnswlib-node' || loads(name)) return undefined;
  const failure = npm('rebuild', name);
  if (loads(name)) return undefined;
  return `it cannot be compiled here: ${failure ?? 'npm rebuild left nothing that can be loaded'}`;
}

function loads(name: PeerName): boolean {
  try {
    requirePeer(name);
    return true;
  } catch {
    return false;
  }
}

/** Runs npm in this folder; the end of what it said if it failed. */
function npm(...args: string[]): string | undefined {
  const { status, error, stderr } = spawnSync('npm', [...args, '--no-audit', '--no-fund'], {
    cwd: here,
    encoding: 'utf8',
    timeout: npmTimeoutMs,
    shell: process.platform === 'win32',
  });
  if (status === 0) return undefined;
  // node-gyp says what went wrong in the midst of much else.
  const cause = /^.*stack Error: (.*)$/m.exec(stderr)?.[1];
  return error?.message ?? cause ?? stderr.trim().split('\n').slice(-3).join(' / ');
}

export function requirePeer(name: PeerName): unknown {
  return createRequire(path.join(here, 'package.json'))(name);
}

/** @throws when it is not installed */
export async function importPeer(name: ChartLibrary): Promise<unknown> {
  const entry = createRequire(path.join(here, 'package.json')).resolve(name);
  return import(pathToFileURL(entry).href);
}

function folderOf(name: PeerName): string {
  return path.join(here, 'node_modules', name);
}
