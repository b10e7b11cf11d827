/** The suites there are, and what each measures where. */

import { supportedBuild } from '../../src/kernel/module.ts';
import type { DataSet } from '../data/data-set.ts';
import { generateSet, loadLatent, loadPublicSet, noPublicData } from '../data/sources.ts';
import { nodeCore, nodeKernels } from '../support/node-database.ts';
import { bridge } from './bridge.ts';
import { BenchBrowser } from './browser.ts';
import { edge } from './edge/suite.ts';
import { measureEngine } from './engine-calls.ts';
import { growthPlan, measureGrowth } from './growth.ts';
import { measureKernels } from './kernel-sweeps.ts';
import { measureMemory, memoryPlan } from './memory.ts';
import { type PageJob, storageInPage } from './page/jobs.ts';
import type { Row } from './row.ts';
import { packageSizes } from './sizes.ts';
import { measureBulk } from './storage-bulk.ts';
import { measureCompaction, measureLoad } from './storage-node.ts';
import { vectorsInNode } from './vectors-node.ts';
import { otherScenarios, scenariosOf, type VectorsPlan, vectorsPlan } from './vectors-plan.ts';

export interface SuiteRun {
  readonly quick: boolean;
  /** Which scenarios, of the vectors suite (`VectorsPlan.wants`) and the suites storage and memory. Empty: all. */
  readonly only: string;
  /** Takes rows as they come: a suite that fails later has not lost them. */
  readonly add: (rows: readonly Row[]) => void;
  readonly log: (line: string) => void;
}

type Suite = (run: SuiteRun) => Promise<void>;

/** Names of the contract; `undefined` where nothing is measured yet. */
export const suites: Readonly<Record<string, Suite | undefined>> = {
  vectors,
  growth,
  kernels,
  storage,
  api,
  bridge,
  memory,
  edge,
};

async function vectors(run: SuiteRun): Promise<void> {
  const plan = vectorsPlan(run.quick, run.only);
  if (noPublicData !== undefined)
    run.log(`Without public data sets (${noPublicData}): generated ones are used.`);
  for (const load of dataSets(run.quick)) {
    const data = await load();
    if (!wantsAny(plan, data)) continue;
    run.log(`vectors, ${data.name}: in Node`);
    run.add(await vectorsInNode(data, plan));
    await inPage(run, [{ kind: 'vectors', quick: run.quick, only: run.only, data }]);
  }
}

/** Whether anything is to be measured on a data set. */
function wantsAny(plan: VectorsPlan, data: DataSet): boolean {
  const scenarios = [...scenariosOf(data).map(({ indexType }) => indexType), ...otherScenarios];
  return scenarios.some((scenario) =>
    (['node', 'chromium'] as const).some((runtime) => plan.wants(data, scenario, runtime)),
  );
}

/** One at a time is loaded: the largest takes 150 MB. */
function dataSets(quick: boolean): (() => DataSet | Promise<DataSet>)[] {
  if (quick) return [() => generateSet(1500, 48, 50)];
  // The two other public sets hold some thousand vectors at most: too few to tell an index from a scan.
  const here = noPublicData === undefined ? (['sift10k', 'fashion10k', 'web-bge1024'] as const) : [];
  return [
    ...here.map((name) => () => loadPublicSet(name)),
    () => loadLatent(20_000),
    () => loadLatent(100_000),
  ];
}

async function storage(run: SuiteRun): Promise<void> {
  const data = run.quick ? await generateSet(1500, 48, 50) : await loadLatent(100_000);
  const pattern = new RegExp(run.only);
  if (pattern.test('load') || pattern.test('crash')) run.add(await measureLoad(data, run.log));
  if (pattern.test('bulk')) run.add(await measureBulk(data, run.log));
  if (pattern.test('compact')) run.add(await measureCompaction(data, run.log));
  if (storageInPage.some((scenario) => pattern.test(scenario)))
    await inPage(run, [{ kind: 'storage', quick: run.quick, only: run.only }]);
}

async function memory(run: SuiteRun): Promise<void> {
  const data = run.quick ? await generateSet(1500, 48, 50) : await loadLatent(100_000);
  run.add(await measureMemory(data, memoryPlan(run.quick), new RegExp(run.only), run.log));
}

async function growth(run: SuiteRun): Promise<void> {
  const build = supportedBuild();
  if (build === undefined) throw new Error('Got no WASM SIMD, expected it');
  run.add(await measureGrowth(nodeCore(build), 'node', growthPlan(run.quick), run.log));
  await inPage(run, [{ kind: 'growth', quick: run.quick }]);
}

async function kernels(run: SuiteRun): Promise<void> {
  const builds = supportedBuild() === 'relaxed' ? (['simd128', 'relaxed'] as const) : (['simd128'] as const);
  run.add(measureKernels(builds.map(nodeKernels), 'node', run.quick));
  await inPage(run, [{ kind: 'kernels', quick: run.quick }]);
}

async function api(run: SuiteRun): Promise<void> {
  run.add(await packageSizes(run.log));
  run.log('api: the engine in Node');
  run.add(await measureEngine(run.quick));
  await inPage(run, [{ kind: 'api', quick: run.quick }]);
}

async function inPage(run: SuiteRun, jobs: readonly PageJob[]): Promise<void> {
  const browser = await BenchBrowser.launch(run.log);
  if (browser === undefined) return;
  try {
    for (const job of jobs) run.add(await browser.run(job));
  } finally {
    await browser.close();
  }
}
