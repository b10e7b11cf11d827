/** The conformance suite: every method of `Database` with normal, edge and bad input, over whatever opens databases. */

import type { Database } from '../../src/api/database.ts';
import type { Case, CaseContext, CaseOptions } from './case.ts';
import { batchCases } from './cases/batches.ts';
import { codeCases } from './cases/codes.ts';
import { controlCases } from './cases/control.ts';
import { eventCases } from './cases/events.ts';
import { filterCases } from './cases/filters.ts';
import { keyValueCases } from './cases/key-value.ts';
import { keyValueCallCases } from './cases/key-value-calls.ts';
import { largeValueCases } from './cases/large-values.ts';
import { listCases } from './cases/lists.ts';
import { memoryBudgetCases } from './cases/memory-budget.ts';
import { metadataCases } from './cases/metadata.ts';
import { metricCases } from './cases/metrics.ts';
import { originalsCases } from './cases/originals.ts';
import { reindexCases } from './cases/reindex.ts';
import { scanCases } from './cases/scans.ts';
import { indexCases, searchCases } from './cases/search.ts';
import { spaceCases } from './cases/spaces.ts';
import { transferCases } from './cases/transfer.ts';
import { userCases } from './cases/users.ts';
import { valueStreamCases } from './cases/value-streams.ts';
import { idCases, vectorCases } from './cases/vectors.ts';

export const suite: readonly Case[] = [
  ...spaceCases,
  ...keyValueCases,
  ...keyValueCallCases,
  ...largeValueCases,
  ...valueStreamCases,
  ...scanCases,
  ...vectorCases,
  ...idCases,
  ...metadataCases,
  ...filterCases,
  ...batchCases,
  ...searchCases,
  ...indexCases,
  ...metricCases,
  ...codeCases,
  ...listCases,
  ...reindexCases,
  ...originalsCases,
  ...memoryBudgetCases,
  ...controlCases,
  ...transferCases,
  ...userCases,
  ...eventCases,
];

/** Those in which what is stored counts: for a layer of the storage, where the whole suite would say nothing more. */
export const storageCases: readonly Case[] = [
  ...spaceCases,
  ...largeValueCases,
  ...valueStreamCases,
  ...scanCases,
  ...transferCases,
  ...[...keyValueCases, ...metadataCases, ...reindexCases, ...controlCases].filter(({ reopens }) => reopens),
];

/**
 * Those in which the kernels count. The builds of the core differ in nothing else: where one build has taken all cases over a
 * storage, the other takes these in memory. In Node (node.test.ts) each takes all.
 */
export const kernelCases: readonly Case[] = [
  ...vectorCases,
  ...filterCases,
  ...batchCases,
  ...searchCases,
  ...indexCases,
  ...metricCases,
  ...codeCases,
  ...listCases,
  ...reindexCases,
  ...originalsCases,
];

const engineCases: readonly Case[] = [
  ...filterCases,
  ...searchCases,
  ...indexCases,
  ...metricCases,
  ...codeCases,
  ...listCases,
  ...reindexCases,
  ...memoryBudgetCases,
];

/**
 * Those in which it counts how a call gets to the engine. For one more way to an engine that takes all cases beside it: of those
 * on how it finds what is near every sixth is enough.
 */
export const callCases: readonly Case[] = suite.filter(
  (entry) => !engineCases.includes(entry) || engineCases.indexOf(entry) % 6 === 0,
);

/** A way to have databases: one backend and build. */
export interface Platform {
  readonly build: CaseContext['build'];
  readonly storage: CaseContext['storage'];
  open(name: string, options?: CaseOptions): Promise<Database>;
  deleteDatabase(name: string): Promise<void>;
}

/** Runs one case on databases of its own, and leaves none. */
export async function runCase(entry: Case, platform: Platform): Promise<void> {
  const prefix = `conformance/${suite.indexOf(entry)}/`;
  const opened: Database[] = [];
  const names = new Set<string>();
  const context: CaseContext = {
    build: platform.build,
    storage: platform.storage,
    async open(suffix = '', options = {}) {
      names.add(prefix + suffix);
      const db = await platform.open(prefix + suffix, options);
      opened.push(db);
      return db;
    },
    deleteDatabase: (suffix = '') => platform.deleteDatabase(prefix + suffix),
  };
  try {
    await entry.run(context);
  } finally {
    for (const db of opened) await db.close();
    for (const name of names) await platform.deleteDatabase(name);
  }
}
