/** The backend suite over this page's IndexedDB. */

import type { Checksum } from '../../../src/storage/envelope.ts';
import { deleteIndexedDb, IndexedDbBackend } from '../../../src/storage/indexeddb-backend.ts';
import { backendCases, type Place } from '../backend-cases.ts';

const timeoutMs = 30_000;

/** FNV-1a: IndexedDB keeps bytes and does not look at what they are sealed with. */
const checksum: Checksum = (bytes) => {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
};

const cases = backendCases(checksum);

function indexedDbPlace(name: string): Place {
  return {
    open: () => IndexedDbBackend.open(name, { timeoutMs }),
    settled: async () => {},
    remove: () => deleteIndexedDb(name, timeoutMs),
  };
}

/** Resolves with what went wrong, if anything. */
export async function runBackendCase(name: string): Promise<string | undefined> {
  const entry = cases.find((one) => one.name === name);
  if (entry === undefined) return `there is no case "${name}"`;
  try {
    await entry.run(indexedDbPlace(`backend ${name}`));
    return undefined;
  } catch (error) {
    return error instanceof Error ? `${error.message} ${error.stack}` : String(error);
  }
}

/** `?report=URL`: runs all of it and posts what became of each case, for a browser that nobody drives. */
export async function runBackendSuite(address: URLSearchParams): Promise<void> {
  const report = address.get('report');
  if (report === null) return;
  const outcomes: [string, string | undefined][] = [];
  for (const { name } of cases) outcomes.push([name, await runBackendCase(name)]);
  await fetch(report, {
    method: 'POST',
    mode: 'no-cors',
    body: JSON.stringify({ agent: navigator.userAgent, outcomes }),
  });
}
