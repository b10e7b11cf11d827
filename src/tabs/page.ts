/**
 * What a page loads when it opens its first database, and not before: connections to workers, its own and those of other
 * tabs.
 */

import { fromEnvelope } from '../api/error-envelope.ts';
import type { Transport } from '../client/transport.ts';
import type { WorkerOpenOptions } from '../rpc/messages.ts';
import { WorkerTransport } from '../rpc/worker-transport.ts';
import { defaultWorkers, type Workers } from './default-worker.ts';
import type { FinderOptions } from './owner-finder.ts';
import { watchPage } from './page-life.ts';
import { TabTransport } from './tab-transport.ts';

/** @throws WORKER_LOST */
export async function workersOf(worker: Worker | (() => Worker) | undefined): Promise<Workers> {
  if (worker === undefined) return defaultWorkers();
  const given = { areInlined: false, core: async () => undefined };
  if (typeof worker === 'function') return { ...given, first: worker(), spawn: worker };
  return { ...given, first: worker, spawn: () => undefined };
}

/** Opens a database that pages share: the worker of one of them owns it. */
export async function openShared(options: FinderOptions, timeoutMs: number): Promise<Transport> {
  const transport = new TabTransport(options);
  try {
    await transport.open(timeoutMs);
  } catch (error) {
    transport.release();
    throw error;
  }
  watchPage(transport);
  return transport;
}

/** Opens one in memory, which only this page sees. */
export async function openPrivately(
  name: string,
  options: WorkerOpenOptions,
  worker: Worker,
): Promise<Transport> {
  const transport = new WorkerTransport(worker);
  try {
    transport.watch();
    const failure = await transport.endpoint((remote) => remote.open(name, options));
    if (failure !== undefined) throw fromEnvelope(failure);
    return transport;
  } catch (error) {
    transport.release();
    throw error;
  }
}

/** @throws LOCKED while a page has it open */
export async function deleteStored(name: string, worker: Worker, timeoutMs: number): Promise<void> {
  const transport = new WorkerTransport(worker);
  try {
    const failure = await transport.endpoint((remote) => remote.deleteDatabase(name, timeoutMs));
    if (failure !== undefined) throw fromEnvelope(failure);
  } finally {
    transport.release();
  }
}
