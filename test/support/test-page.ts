/** Builds the page of the browser tests as an application would be built, and serves it on a free port. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build, type InlineConfig, preview } from 'vite';

const root: string = path.resolve(import.meta.dirname, '../..');

export interface PageServer {
  readonly url: string;
  close(): Promise<void>;
}

export async function serveTestPage(): Promise<PageServer> {
  const outDir = await mkdtemp(path.join(tmpdir(), 'shibumi-test-page-'));
  const config: InlineConfig = {
    configFile: false,
    root: path.join(import.meta.dirname, 'page'),
    logLevel: 'warn',
    // A file that is not there is a 404, not the page.
    appType: 'mpa',
    resolve: { alias: [{ find: /^shibumi$/, replacement: path.join(root, 'src/index.ts') }] },
    worker: { format: 'es' },
    build: { outDir, emptyOutDir: true, target: 'es2022' },
    preview: { host: '127.0.0.1', port: 0, open: false },
  };
  await build(config);
  const server = await preview(config);
  const address = server.httpServer.address();
  if (address === null || typeof address === 'string') throw new Error(`Expected a port, found ${address}`);
  return {
    url: `http://127.0.0.1:${address.port}/`,
    async close() {
      await server.close();
      await rm(outDir, { recursive: true, force: true });
    },
  };
}
