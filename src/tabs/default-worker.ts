/**
 * The worker for callers that gave none: the file beside this one, in the form that bundlers recognise. Some leave it out
 * (esbuild, Vite while it serves dependencies it has bundled beforehand): then the worker that is inlined in a module of its
 * own, with the core beside it. A policy without `worker-src blob:` refuses that one: there `open` takes a worker.
 */

import * as Comlink from 'comlink';
import { shibuDbError } from '../api/errors.ts';
import { type BuildName, supportedBuild } from '../kernel/module.ts';
import type { RemoteTab } from './own-worker.ts';

/** Where the workers of an `open` come from. */
export interface Workers {
  /** The first one. */
  readonly first: Worker;
  /** Another one; `undefined` where there is only the first. */
  spawn(): Worker | undefined;
  /** Whether there are no files: none of the broker either. */
  readonly areInlined: boolean;
  /** The core, where its file cannot be counted on either. */
  core(build: BuildName | undefined): Promise<WebAssembly.Module | undefined>;
}

type InlinedWorkers = Omit<Workers, 'first' | 'spawn'> & { spawn(): Worker };

/** Once the file turned out to be missing, for as long as the page lives. */
let inlinedFile: Promise<InlinedWorkers> | undefined;

function spawnFile(): Worker {
  // Word for word: bundlers recognise it, and read the options.
  return new Worker(new URL('../page-worker.ts', import.meta.url), { type: 'module', name: 'shibumi' });
}

/** Requires: there are workers here. @throws WORKER_LOST when there is none in any form */
export async function defaultWorkers(): Promise<Workers> {
  if (inlinedFile !== undefined) return withFirst(await inlinedFile);
  let reason: string;
  try {
    const worker = spawnFile();
    const failure = await answer(worker);
    if (failure === undefined)
      return { first: worker, spawn: spawnFile, areInlined: false, core: async () => undefined };
    worker.terminate();
    reason = failure;
  } catch (error) {
    // No address at all, as in a script that is no module.
    reason = error instanceof Error ? error.message : String(error);
  }
  inlinedFile ??= inlineWorkers(reason);
  inlinedFile.catch(() => {
    inlinedFile = undefined;
  });
  return withFirst(await inlinedFile);
}

function withFirst(workers: InlinedWorkers): Workers {
  return { ...workers, first: workers.spawn() };
}

/**
 * Keeps an endpoint as long as its worker: when the last one of a worker that Comlink knows is collected, Comlink tells the
 * worker to listen no more, also to those that are wrapped later.
 */
const asked: WeakMap<Worker, RemoteTab> = new WeakMap();

/** Why a worker does not run; `undefined` once it answers. */
function answer(worker: Worker): Promise<string | undefined> {
  return new Promise((resolve) => {
    const onError = (event: ErrorEvent): void => {
      event.preventDefault();
      resolve(event.message || 'its script could not be loaded');
    };
    worker.addEventListener('error', onError, { once: true });
    const { tab } = Comlink.wrap(worker) as unknown as { tab: RemoteTab };
    asked.set(worker, tab);
    tab.ping().then(
      () => {
        worker.removeEventListener('error', onError);
        resolve(undefined);
      },
      () => {},
    );
  });
}

async function inlineWorkers(reason: string): Promise<InlinedWorkers> {
  const { inlined } = await import('./inline-worker.ts');
  if (inlined === undefined)
    throw shibuDbError('WORKER_LOST', `The database's worker could not be started: ${reason}`);
  const address = URL.createObjectURL(new Blob([inlined.worker], { type: 'text/javascript' }));
  const cores = new Map<BuildName, Promise<WebAssembly.Module>>();
  return {
    spawn: () => new Worker(/* @vite-ignore */ address, { type: 'module', name: 'shibumi' }),
    areInlined: true,
    async core(build = supportedBuild()) {
      if (build === undefined) return undefined;
      const core = cores.get(build) ?? compile(inlined.cores[build]);
      cores.set(build, core);
      return core;
    },
  };
}

async function compile(base64: string): Promise<WebAssembly.Module> {
  const zipped = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  const bytes = new Blob([zipped]).stream().pipeThrough(new DecompressionStream('gzip'));
  return WebAssembly.compile(await new Response(bytes).arrayBuffer());
}
