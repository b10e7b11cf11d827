/** Helpers in Node, Bun and Deno (engine/helper.ts): worker threads. */

import { parentPort, Worker } from 'node:worker_threads';
import type { Answered, Helper, HelperAnswer, HelperJob, Threads } from '../engine/helper.ts';
import { indexingPart } from '../engine/parts.ts';

/** `undefined` where one thread is all that is wanted. */
export function nodeThreads(
  count: number | undefined,
  load: () => Promise<WebAssembly.Module>,
): Threads | undefined {
  if (count === undefined || count < 2) return undefined;
  let loading: Promise<WebAssembly.Module> | undefined;
  return {
    count,
    load: () => {
      loading ??= load();
      return loading;
    },
    spawn: () => new ThreadHelper(new Worker(new URL('../helper.ts', import.meta.url))),
  };
}

class ThreadHelper implements Helper {
  readonly #worker: Worker;
  #open: PromiseWithResolvers<Answered> | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    // What it does ends with the process.
    worker.unref();
    worker.on('message', (answer: HelperAnswer) => {
      if ('error' in answer) this.#lose(answer.error);
      else this.#open?.resolve(answer);
    });
    worker.on('error', (error) => this.#lose(`a helper failed: ${error.message}`));
    worker.on('exit', () => this.#lose('a helper ended'));
  }

  run(job: HelperJob): Promise<Answered> {
    this.#open = Promise.withResolvers<Answered>();
    this.#worker.postMessage(job);
    return this.#open.promise;
  }

  end(): void {
    this.#worker.terminate();
    this.#lose('the helper was ended');
  }

  #lose(reason: string): void {
    this.#open?.reject(new Error(reason));
  }
}

export function serveHelperThread(): void {
  const port = parentPort;
  if (port === null) throw new Error('helper.js is the script of a worker thread, not a module to import');
  const ready = indexingPart.load().then(({ HelperWork }) => new HelperWork());
  port.on('message', async (job: HelperJob) => port.postMessage(await (await ready).answer(job)));
}
