/**
 * A real Chromium with a profile of its own on the disk, and the bench page, built as an application would build it.
 *
 * Data sets travel over HTTP, as raw bytes. The page is cross-origin isolated, only for its finer clock.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';
import { build, type PreviewServer, preview } from 'vite';
import { findBrowser, launchFlags } from '../../tools/browser.mjs';
import type { ProbeCall } from './edge/probe.ts';
import type { PageJob, PagePeers } from './page/jobs.ts';
import { ensurePeers } from './peers.ts';
import type { Row } from './row.ts';

const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

declare global {
  interface Window {
    runJob(job: PageJob<string>, peers: PagePeers): Promise<Row[]>;
    askProbe(call: ProbeCall): Promise<unknown>;
  }
}

export class BenchBrowser {
  readonly #server: PreviewServer;
  readonly #context: BrowserContext;
  readonly #folder: string;
  readonly #files: Map<string, Uint8Array>;
  readonly #url: string;
  readonly #log: (line: string) => void;

  private constructor(parts: {
    server: PreviewServer;
    context: BrowserContext;
    folder: string;
    files: Map<string, Uint8Array>;
    log: (line: string) => void;
  }) {
    this.#server = parts.server;
    this.#context = parts.context;
    this.#folder = parts.folder;
    this.#files = parts.files;
    this.#log = parts.log;
    const address = parts.server.httpServer.address();
    if (address === null || typeof address === 'string') throw new Error(`Got ${address}, expected a port`);
    this.#url = `http://127.0.0.1:${address.port}/`;
  }

  /** `undefined`, and a word why, where there is no Chromium. */
  static async launch(log: (line: string) => void): Promise<BenchBrowser | undefined> {
    const executablePath = findBrowser();
    if (executablePath === undefined) {
      log('In Chromium: left out, none was found (tools/browser.mjs installs one).');
      return undefined;
    }
    const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-bench-'));
    const files = new Map<string, Uint8Array>();
    const server = await servePage(path.join(folder, 'page'), files);
    const context = await chromium.launchPersistentContext(path.join(folder, 'profile'), {
      executablePath,
      args: launchFlags,
      chromiumSandbox: false,
    });
    return new BenchBrowser({ server, context, folder, files, log });
  }

  /** Runs a job in a page that has done nothing else. */
  async run(job: PageJob): Promise<Row[]> {
    const page = await this.#context.newPage();
    page.on('console', (message) => this.#log(`  page: ${message.text()}`));
    try {
      await page.goto(this.#url);
      await page.waitForFunction(() => typeof window.runJob === 'function');
      const sent = { job: this.#place(job), peers: this.#peers() };
      return await page.evaluate(({ job, peers }) => window.runJob(job, peers), sent);
    } finally {
      await page.close();
      this.#files.clear();
    }
  }

  /** A page that answers the calls of the edge suite. */
  async probe(): Promise<(call: ProbeCall) => Promise<unknown>> {
    const page = await this.#context.newPage();
    await page.goto(this.#url);
    await page.waitForFunction(() => typeof window.askProbe === 'function');
    return (call) => page.evaluate((sent) => window.askProbe(sent), call);
  }

  async close(): Promise<void> {
    await this.#context.close();
    await this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Puts a job's arrays where the page can fetch them, and their names in their place. */
  #place(job: PageJob): PageJob<string> {
    if (job.kind !== 'vectors') return job;
    const place = (part: string, array: Float32Array | Float64Array): string => {
      this.#files.set(`/data/${part}`, new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
      return `data/${part}`;
    };
    const { base, queries, truth } = job.data;
    return {
      ...job,
      data: {
        ...job.data,
        base: place('base', base),
        queries: place('queries', queries),
        truth: place('truth', truth),
      },
    };
  }

  #peers(): PagePeers {
    const { folders } = ensurePeers();
    return {
      ...(folders.has('hnswlib-wasm') ? { hnswlibWasm: '/peers/hnswlib-wasm/dist/hnswlib.js' } : {}),
      ...(folders.has('dexie') ? { dexie: '/peers/dexie/dist/modern/dexie.mjs' } : {}),
      ...(folders.has('idb-keyval') ? { idbKeyval: '/peers/idb-keyval/dist/index.js' } : {}),
    };
  }
}

/** Of the Chromium that is used; `undefined` where there is none. */
export async function browserVersion(): Promise<string | undefined> {
  const executablePath = findBrowser();
  if (executablePath === undefined) return undefined;
  const browser = await chromium.launch({ executablePath, args: launchFlags, chromiumSandbox: false });
  const version = browser.version();
  await browser.close();
  return version;
}

async function servePage(outDir: string, files: ReadonlyMap<string, Uint8Array>): Promise<PreviewServer> {
  const config = {
    configFile: false as const,
    root: path.join(import.meta.dirname, 'page'),
    logLevel: 'warn' as const,
  };
  await build({
    ...config,
    base: './',
    worker: { format: 'es' },
    build: { outDir, emptyOutDir: true, target: 'es2024', minify: true },
  });
  return preview({
    ...config,
    build: { outDir },
    preview: { host: '127.0.0.1', port: 0, open: false, headers: isolation },
    plugins: [
      {
        name: 'bench-files',
        configurePreviewServer: (server) => {
          server.middlewares.use((request: IncomingMessage, response: ServerResponse, next: () => void) =>
            answer(request, response, next, files),
          );
        },
      },
    ],
  });
}

function answer(
  { url = '' }: IncomingMessage,
  response: ServerResponse,
  next: () => void,
  files: ReadonlyMap<string, Uint8Array>,
): void {
  const bytes = files.get(url) ?? peerFile(url);
  if (bytes === undefined) {
    next();
    return;
  }
  for (const [name, value] of Object.entries(isolation)) response.setHeader(name, value);
  response.setHeader('Content-Type', /\.m?js$/.test(url) ? 'text/javascript' : 'application/octet-stream');
  response.end(bytes);
}

function peerFile(url: string): Uint8Array | undefined {
  const match = /^\/peers\/((?:[\w-]+\/)+[\w-]+\.m?js)$/.exec(url);
  const file = path.join(import.meta.dirname, 'node_modules', match?.[1] ?? '');
  return match !== null && existsSync(file) ? readFileSync(file) : undefined;
}
