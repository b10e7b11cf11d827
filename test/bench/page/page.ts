/** The bench page: takes one job, measures it with the real worker and IndexedDB, and answers with rows. */

import { open } from '../../../src/index.ts';
import { type BuildName, compileCore, supportedBuild } from '../../../src/kernel/module.ts';
import { wasmFile } from '../../../src/wasm-files.ts';
import type { DataSet } from '../../data/data-set.ts';
import { Probe, type ProbeCall } from '../edge/probe.ts';
import { growthPlan, measureGrowth } from '../growth.ts';
import { measureKernels } from '../kernel-sweeps.ts';
import type { Row } from '../row.ts';
import { measureApi } from './api.ts';
import type { PageJob, PagePeers } from './jobs.ts';
import { measureStorage } from './storage.ts';
import { vectorsInPage } from './vectors.ts';

async function runJob(job: PageJob<string>, peers: PagePeers): Promise<Row[]> {
  if (job.kind === 'storage') return measureStorage(job, peers);
  if (job.kind === 'api') return measureApi(job.quick, peers);
  if (job.kind === 'growth') return growthInPage(job.quick);
  if (job.kind === 'kernels') return kernelsInPage(job.quick);
  const { base, queries, truth, ...rest } = job.data;
  const data: DataSet = {
    ...rest,
    base: new Float32Array(await fetchBytes(base)),
    queries: new Float32Array(await fetchBytes(queries)),
    truth: new Float64Array(await fetchBytes(truth)),
  };
  return vectorsInPage(data, job, peers);
}

/** In a page the engine is asked what it can do; the faster build is what an application gets. */
async function growthInPage(quick: boolean): Promise<Row[]> {
  const build = supportedBuild() ?? 'simd128';
  const core = await compileCore(build, wasmFile(build));
  return measureGrowth(core, 'chromium', growthPlan(quick), (line) => console.log(line));
}

async function kernelsInPage(quick: boolean): Promise<Row[]> {
  const builds: BuildName[] = supportedBuild() === 'relaxed' ? ['simd128', 'relaxed'] : ['simd128'];
  const cores = await Promise.all(builds.map((build) => compileCore(build, kernelsFile(build))));
  return measureKernels(cores, 'chromium', quick);
}

/** A build of the core that exports the kernels too. */
function kernelsFile(build: BuildName): URL {
  return build === 'relaxed'
    ? new URL('../../../build/wasm/kernels-relaxed.wasm', import.meta.url)
    : new URL('../../../build/wasm/kernels-simd128.wasm', import.meta.url);
}

async function fetchBytes(url: string): Promise<ArrayBuffer> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`Got HTTP ${response.status} for ${url}, expected the data`);
  return response.arrayBuffer();
}

const probe = new Probe((from) => open({ from, cache: false }));
const askProbe = (call: ProbeCall): Promise<unknown> => probe.answer(call);

Object.assign(globalThis, { runJob, askProbe });
