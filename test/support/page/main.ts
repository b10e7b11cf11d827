/**
 * The page of the browser tests. It offers what the tests drive through Playwright as `window.tests`, and reads the build
 * and the storage of the databases it opens from its address: `?build=relaxed&storage=memory`. `?without=SharedWorker,locks`
 * hides what a browser may lack. `?encrypted`: what cases store is encrypted. `?as=client`: cases of the conformance suite run in a tab that does not own the database;
 * `?as=bridge`: over `connect`, to servers that the test starts.
 */

import { type Database, deleteDatabase, type OpenOptions, open } from 'shibumi';
import { connect } from '../../../src/bridge.ts';
import { deleteIndexedDb, IndexedDbBackend } from '../../../src/storage/indexeddb-backend.ts';
import { connectForCase } from '../../bridge/connect-for-case.ts';
import { flakyLoad } from '../../bridge/flaky-load.ts';
import type { Platform } from '../../conformance/suite.ts';
import { runCase, suite } from '../../conformance/suite.ts';
import { runBackendCase, runBackendSuite } from './backend-places.ts';
import { readMixedPuts, writeMixedPuts } from './mixed-puts.ts';
import { RegisterLoad } from './register-load.ts';
import { verifiers, workloads } from './workloads.ts';

const address = new URLSearchParams(location.search);
const build = address.get('build') === 'relaxed' ? 'relaxed' : 'simd128';
const storage = address.get('storage') === 'memory' ? 'memory' : 'indexeddb';

const encryption =
  address.get('encrypted') === null ? {} : { encryption: { key: new Uint8Array(32).fill(1) } };

for (const name of address.get('without')?.split(',') ?? []) {
  if (name === 'locks') Object.defineProperty(navigator, 'locks', { value: undefined });
  else Object.defineProperty(globalThis, name, { value: undefined });
}

/** A page may open a database twice: then one of the two is a client of the other's worker, as another tab would be. */
async function openAsClient(name: string, options: OpenOptions): Promise<Database> {
  const { admin: _, log: __, ...plain } = options;
  const owner = await open(name, plain);
  try {
    const client = await open(name, options);
    const close = client.close.bind(client);
    client.close = () => close().finally(() => owner.close());
    return client;
  } catch (error) {
    await owner.close();
    throw error;
  }
}

const inPage: Platform = {
  build,
  storage,
  open: (db, options) => {
    const all: OpenOptions = { build, storage, ...encryption, ...options };
    return address.get('as') === 'client' ? openAsClient(db, all) : open(db, all);
  },
  deleteDatabase,
};

/** What the test offers to a page whose cases go over the bridge. */
declare const bridgeUrlOf: (name: string) => Promise<string>;
declare const bridgeRemove: (name: string) => Promise<void>;

const overBridge: Platform = {
  build,
  storage: 'memory',
  open: async (name, options) => connectForCase(await bridgeUrlOf(name), options),
  deleteDatabase: (name) => bridgeRemove(name),
};

const tests = {
  open,
  deleteDatabase,
  /** The storage alone, without an engine: for what an owner meets that has lost it. */
  IndexedDbBackend,
  deleteIndexedDb,
  runBackendCase,
  workloads,
  verifiers,
  writeMixedPuts,
  readMixedPuts,
  RegisterLoad,
  connect,
  flakyLoad,
  /** A worker of the page's own making, as `shibumi/worker` documents it. */
  spawnWorker: () => new Worker(new URL('../../../src/worker.ts', import.meta.url), { type: 'module' }),
  /** Runs a case of the conformance suite by its name; resolves with what went wrong, if anything. */
  async runCase(name: string): Promise<string | undefined> {
    const entry = suite.find((one) => one.name === name);
    if (entry === undefined) return `there is no case "${name}"`;
    try {
      await runCase(entry, address.get('as') === 'bridge' ? overBridge : inPage);
      return undefined;
    } catch (error) {
      return error instanceof Error ? `${error.stack}` : String(error);
    }
  },
};

export type PageTests = typeof tests;
declare global {
  interface Window {
    tests: PageTests;
  }
}
window.tests = tests;
runBackendSuite(address);
