/** Helpers in a browser (engine/helper.ts): workers of the database's worker, made from the same script. */

import {
  type Answered,
  type Helper,
  type HelperAnswer,
  type HelperJob,
  helperName,
  type Threads,
} from '../engine/helper.ts';
import type { HelperWork } from '../engine/helper-work.ts';
import { indexingPart } from '../engine/parts.ts';
import type { BuildName } from '../kernel/module.ts';

/** More than that gain little: what they share is the way to memory. */
const threadsDefaultMost = 8;

/** A helper's first message: it holds the Web Lock of its name from now on, as long as it lives. */
const alive = 'alive';

/**
 * What this worker can have: `undefined` where memory cannot be shared (the page is not cross-origin isolated), workers have no workers, or
 * there is one core. `wanted`: how many; default, one a core.
 */
export function workerThreads(
  wanted: number | undefined,
  build: BuildName,
  load: (build: BuildName) => Promise<WebAssembly.Module>,
): Threads | undefined {
  const count = wanted ?? Math.min(navigator.hardwareConcurrency ?? 1, threadsDefaultMost);
  if (count < 2 || !globalThis.crossOriginIsolated || typeof Worker !== 'function') return undefined;
  let loading: Promise<WebAssembly.Module> | undefined;
  return {
    count,
    load: () => {
      loading ??= load(build);
      return loading;
    },
    spawn: () => new WorkerHelper(`${helperName}:${crypto.randomUUID()}`),
  };
}

class WorkerHelper implements Helper {
  readonly #worker: Worker;
  readonly #ended: AbortController = new AbortController();
  #open: PromiseWithResolvers<Answered> | undefined;

  constructor(name: string) {
    this.#worker = new Worker(self.location.href, { type: 'module', name });
    this.#worker.onmessage = ({ data }: MessageEvent<HelperAnswer | typeof alive>) => {
      if (data === alive) this.#watch(name);
      else if ('error' in data) this.#lose(data.error);
      else this.#open?.resolve(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#lose(`a helper failed: ${event.message || 'its script could not be loaded'}`);
    };
  }

  run(job: HelperJob): Promise<Answered> {
    this.#open = Promise.withResolvers<Answered>();
    this.#worker.postMessage(job);
    return this.#open.promise;
  }

  end(): void {
    this.#ended.abort();
    this.#worker.terminate();
    this.#lose('the helper was ended');
  }

  /** A worker that is ended from outside gives no sign of it, but its lock is free then. */
  #watch(name: string): void {
    navigator.locks
      .request(name, { signal: this.#ended.signal }, () => this.#lose('a helper was ended from outside'))
      .catch(() => {});
  }

  #lose(reason: string): void {
    this.#open?.reject(new Error(reason));
  }
}

/** Whether this script runs as a helper; then it does nothing else. */
export function isHelper(): boolean {
  return self.name.startsWith(`${helperName}:`);
}

export function serveHelper(): void {
  const ready = begin();
  self.onmessage = async ({ data }: MessageEvent<HelperJob>) => {
    // A job keeps the thread to itself: whoever waits for it has to know before that it lives.
    const answer = await ready.then(
      (work) => work.answer(data),
      (error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }),
    );
    self.postMessage(answer);
  };
}

async function begin(): Promise<HelperWork> {
  const [{ HelperWork }] = await Promise.all([indexingPart.load(), holdOwnLock()]);
  return new HelperWork();
}

/** Without Web Locks only the time that a helper gives no sign tells that it is gone. */
function holdOwnLock(): Promise<void> {
  if (navigator.locks === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    navigator.locks
      .request(self.name, () => {
        self.postMessage(alive);
        resolve();
        return new Promise<never>(() => {});
      })
      .catch(() => resolve());
  });
}
