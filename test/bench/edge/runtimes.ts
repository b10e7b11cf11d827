/** The runtimes of the edge suite, each with a probe in it: those that cannot be had here are left out, with a word why. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { missingWorkerd, startWorkerd } from '../../edge/workerd.ts';
import { missingPackages } from '../../support/npm-install.ts';
import { BenchBrowser } from '../browser.ts';
import type { Row } from '../row.ts';
import type { ProbeCall } from './probe.ts';

export interface ProbedRuntime {
  readonly name: Row['runtime'];
  ask(call: ProbeCall): Promise<unknown>;
  end(): Promise<void>;
}

const home = path.resolve(import.meta.dirname, '../../runtimes');
const script = path.join(import.meta.dirname, 'process.ts');

/** A fresh workerd, where there is one. */
export async function freshWorkerd(): Promise<ProbedRuntime | undefined> {
  return missingWorkerd() ? undefined : inWorkerd();
}

export function freshNode(): ProbedRuntime {
  return inProcess('node', process.execPath, ['--no-warnings']);
}

/** A page of a fresh Chromium, where there is one. */
export async function freshChromium(log: (line: string) => void): Promise<ProbedRuntime | undefined> {
  const browser = await BenchBrowser.launch(log);
  if (browser === undefined) return undefined;
  return { name: 'chromium', ask: await browser.probe(), end: () => browser.close() };
}

export async function startRuntimes(log: (line: string) => void): Promise<ProbedRuntime[]> {
  const runtimes: ProbedRuntime[] = [freshNode()];
  try {
    const missing = installRuntimes();
    if (missing) log(`bun and deno are left out: ${missing}`);
    else {
      runtimes.push(inProcess('bun', path.join(home, 'node_modules/.bin/bun'), ['run']));
      const denoArgs = ['run', '--allow-all', '--no-check'];
      runtimes.push(inProcess('deno', path.join(home, 'node_modules/.bin/deno'), denoArgs));
    }
    const noWorkerd = missingWorkerd();
    if (noWorkerd) log(`workerd is left out: ${noWorkerd}`);
    else runtimes.push(await inWorkerd());
    const chromium = await freshChromium(log);
    if (chromium !== undefined) runtimes.push(chromium);
    return runtimes;
  } catch (error) {
    // Else the processes that are there would keep the run from ending.
    for (const runtime of runtimes) await runtime.end();
    throw error;
  }
}

/** Why Bun and Deno are not there. */
function installRuntimes(): string | false {
  const missing = missingPackages(home);
  if (missing) return missing;
  const binaries = ['bun', 'deno'].map((name) => path.join(home, 'node_modules/.bin', name));
  const broken = binaries.find((file) => spawnSync(file, ['--version'], { timeout: 30_000 }).status !== 0);
  return broken === undefined ? false : `${broken} does not run`;
}

function inProcess(name: ProbedRuntime['name'], command: string, args: readonly string[]): ProbedRuntime {
  const child: ChildProcess = spawn(command, [...args, script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting: { resolve: (value: unknown) => void; reject: (error: Error) => void }[] = [];
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    waiting.shift()?.resolve(JSON.parse(line));
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      for (const { reject } of waiting) reject(new Error(`${name} ended with ${signal ?? code}`));
      resolve();
    });
  });
  return {
    name,
    ask: (call) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        child.stdin?.write(`${JSON.stringify(call)}\n`);
      }),
    end() {
      child.stdin?.end();
      return ended;
    },
  };
}

async function inWorkerd(): Promise<ProbedRuntime> {
  const workerd = await startWorkerd({ script: 'test/bench/edge/worker.ts', objects: {} });
  return {
    name: 'workerd',
    async ask(call) {
      const body = JSON.stringify(call);
      const response = await workerd.dispatchFetch('http://edge.test/', { method: 'POST', body });
      const text = await response.text();
      if (!response.ok) throw new Error(`workerd answered ${response.status}: ${text.slice(0, 500)}`);
      return JSON.parse(text);
    },
    end: () => workerd.dispose(),
  };
}
