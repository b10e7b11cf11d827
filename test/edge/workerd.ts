/**
 * A real workerd through Miniflare, which comes from npm by the package.json beside this file when a test first needs it.
 * Where it cannot be had the tests are skipped and say why.
 */

import { globSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { rolldown } from 'rolldown';
import { missingPackages } from '../support/npm-install.ts';

const home = import.meta.dirname;
const root = path.resolve(home, '../..');

/** What is used of Miniflare. Its own types are there only when it is installed. */
export interface Workerd {
  dispatchFetch(url: string, init?: object): Promise<Response>;
  /** Resolves with the address it listens on. */
  readonly ready: Promise<URL>;
  getR2Bucket(binding: string): Promise<{ put(key: string, value: Uint8Array): Promise<unknown> }>;
  dispose(): Promise<void>;
}

export interface WorkerdOptions {
  /** The script's source file, from the project's root. */
  readonly script: string;
  /** Binding -> class of the Durable Objects, all with SQLite. */
  readonly objects: Readonly<Record<string, string>>;
  readonly bindings?: Readonly<Record<string, string>>;
  /** Bindings of R2, each a bucket of its own. */
  readonly buckets?: readonly string[];
  /** Where the objects' storage is kept; by default it is forgotten. */
  readonly persist?: string;
}

/** Why there is no workerd; `false` when it is there, or was installed now. */
export function missingWorkerd(): string | false {
  return missingPackages(home);
}

export async function startWorkerd(options: WorkerdOptions): Promise<Workerd> {
  const { Miniflare } = createRequire(path.join(home, 'package.json'))('miniflare') as {
    Miniflare: new (config: object) => Workerd;
  };
  const wasm = (name: string, folder = ''): object => ({
    type: 'CompiledWasm',
    path: `${folder}shibumi-${name}.wasm`,
    contents: readFileSync(path.join(root, `build/wasm/shibumi-${name}.wasm`)),
  });
  return new Miniflare({
    modules: [
      { type: 'ESModule', path: 'worker.js', contents: await bundle(options.script) },
      wasm('relaxed'),
      wasm('simd128'),
      // As applications import it.
      wasm('relaxed', 'shibumi/'),
    ],
    compatibilityDate: '2026-07-01',
    host: '127.0.0.1',
    port: 0,
    durableObjects: Object.fromEntries(
      Object.entries(options.objects).map(([binding, className]) => [
        binding,
        { className, useSQLite: true },
      ]),
    ),
    bindings: options.bindings ?? {},
    r2Buckets: options.buckets ?? [],
    ...(options.persist === undefined ? {} : { durableObjectsPersist: options.persist }),
  });
}

/** SIGKILL for the runtimes this process has started. @returns how many there were */
export function killRuntimes(): number {
  let killed = 0;
  for (const pid of globSync('[0-9]*', { cwd: '/proc' })) {
    try {
      const [, command, parent] =
        /^\d+ \((.*)\) \S+ (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
      if (command !== 'workerd' || Number(parent) !== process.pid) continue;
      process.kill(Number(pid), 'SIGKILL');
      killed++;
    } catch {
      // It has ended by itself.
    }
  }
  return killed;
}

/** One module for workerd, whose own modules and WASM files stay imports. */
async function bundle(script: string): Promise<string> {
  const build = await rolldown({
    cwd: root,
    input: script,
    platform: 'neutral',
    external: [/^cloudflare:/, /\.wasm$/],
    resolve: { alias: { 'shibumi/edge': path.join(root, 'src/edge.ts') } },
  });
  const { output } = await build.generate({ format: 'esm', codeSplitting: false });
  await build.close();
  return output[0].code;
}
