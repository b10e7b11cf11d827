/** The bench page: takes one job, measures it with the real worker and IndexedDB, and answers with rows. */

import type { DataSet } from '../../data/data-set.ts';
import type { Row } from '../row.ts';
import { measureApi } from './api.ts';
import type { PageJob, PagePeers } from './jobs.ts';
import { measureStorage } from './storage.ts';
import { vectorsInPage } from './vectors.ts';

async function runJob(job: PageJob<string>, peers: PagePeers): Promise<Row[]> {
  if (job.kind === 'storage') return measureStorage(job.quick);
  if (job.kind === 'api') return measureApi(job.quick, peers);
  const { base, queries, truth, ...rest } = job.data;
  const data: DataSet = {
    ...rest,
    base: new Float32Array(await fetchBytes(base)),
    queries: new Float32Array(await fetchBytes(queries)),
    truth: new Float64Array(await fetchBytes(truth)),
  };
  return vectorsInPage(data, job.quick, peers);
}

async function fetchBytes(url: string): Promise<ArrayBuffer> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`Got HTTP ${response.status} for ${url}, expected the data`);
  return response.arrayBuffer();
}

Object.assign(globalThis, { runJob });
